//! The image that `deploy/image/build` writes without a container runtime.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::manifests::{at, run, text};

/// The controller that the tests were built with.
const BINARY: &str = env!("CARGO_BIN_EXE_bulla-controller");

fn build(output: &Path, more: &[&str]) -> Result<String, String> {
    let arguments = ["--binary", BINARY, "--output", output.to_str().unwrap(), "--name", "example.com/bulla:test"];
    run(&at("deploy/image/build"), &[&arguments[..], more].concat())
}

/// A blob of the layout whose digest and size are what its descriptor says.
fn blob(layout: &Path, descriptor: &Value) -> PathBuf {
    let digest = text(descriptor, "/digest").strip_prefix("sha256:").expect("a digest by SHA-256");
    let path = layout.join("blobs/sha256").join(digest);
    let found = run(Path::new("sha256sum"), &[path.to_str().unwrap()]).unwrap();
    assert_eq!(found.split(' ').next(), Some(digest));
    assert_eq!(fs::metadata(&path).unwrap().len(), descriptor["size"].as_u64().unwrap());
    path
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn the_image_is_whole_repeatable_and_runs_as_nobody_with_nothing_else_around() {
    let scratch = tempfile::tempdir().unwrap();
    let archive = scratch.path().join("image.tar");
    build(&archive, &["--with-libraries"]).unwrap();
    let again = scratch.path().join("again.tar");
    build(&again, &["--with-libraries"]).unwrap();
    run(Path::new("cmp"), &[archive.to_str().unwrap(), again.to_str().unwrap()]).expect("the same bytes again");

    let layout = scratch.path().join("layout");
    fs::create_dir(&layout).unwrap();
    run(Path::new("tar"), &["-xf", archive.to_str().unwrap(), "-C", layout.to_str().unwrap()]).unwrap();
    assert_eq!(json(&layout.join("oci-layout"))["imageLayoutVersion"], "1.0.0");
    let index = json(&layout.join("index.json"));
    let manifest = json(&blob(&layout, &index["manifests"][0]));
    let config = json(&blob(&layout, &manifest["config"]));
    assert_eq!(config["config"]["User"], "65532:65532");
    assert_eq!(config["config"]["Entrypoint"][0], "/usr/bin/bulla-controller");
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
    let layer = blob(&layout, &manifest["layers"][0]);
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(fs::File::open(&layer).unwrap()).read_to_end(&mut tar).unwrap();
    let plain = scratch.path().join("layer.tar");
    fs::write(&plain, &tar).unwrap();
    let digest = run(Path::new("sha256sum"), &[plain.to_str().unwrap()]).unwrap();
    let digest = format!("sha256:{}", digest.split(' ').next().unwrap());
    assert_eq!(config["rootfs"]["diff_ids"], serde_json::json!([digest]));

    let root = scratch.path().join("root");
    fs::create_dir(&root).unwrap();
    run(Path::new("tar"), &["-xf", plain.to_str().unwrap(), "-C", root.to_str().unwrap()]).unwrap();
    let authorities = fs::read_to_string(root.join("etc/ssl/certs/ca-certificates.crt")).unwrap();
    assert!(authorities.matches("BEGIN CERTIFICATE").count() > 50);
    assert!(!root.join("bin/sh").exists() && !root.join("usr/bin/sh").exists());
    for program in ["/usr/bin/bulla-controller", "/usr/bin/controller"] {
        let said = inside(&root, &[program, "--version"]);
        assert!(said.contains(env!("CARGO_PKG_VERSION")), "{said}");
    }
}

/// Runs a program in that root as the image's user, in namespaces of its own.
fn inside(root: &Path, command: &[&str]) -> String {
    let mut unshare = Command::new("unshare");
    // As root of the machine, or where user namespaces are allowed; the user of the image either way.
    let is_root = run(Path::new("id"), &["-u"]).unwrap().trim() == "0";
    if is_root {
        unshare.args(["--mount", "--pid", "--fork", "--setuid=65532", "--setgid=65532"]);
    } else {
        unshare.args(["--user", "--map-user=65532", "--map-group=65532", "--mount", "--pid", "--fork"]);
    }
    let done = unshare.arg(format!("--root={}", root.display())).arg("--").args(command).env_clear().output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(done.status.success(), "{command:?}: {}{}", text(&done.stdout), text(&done.stderr));
    text(&done.stdout)
}

#[test]
fn a_binary_that_would_not_start_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let refused = build(&scratch.path().join("image.tar"), &[]).unwrap_err();
    assert!(refused.contains("build it static, or give --with-libraries"), "{refused}");
}
