//! Where the servers are: asks `tests/servers/build` once in a process.
//!
//! `tests/run` builds everything first and passes the answer on in the file that `BULLA_TEST_SERVERS`
//! names. Without it the script is run from here, which on a fresh machine takes minutes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

type Paths = BTreeMap<String, PathBuf>;

/// The path of a server, tool or data folder by the name that `tests/servers/build` gives it:
/// `etcd`, `kube-apiserver`, `kubeseal`, `sealed-secrets-controller`, `sealed-secrets-crd`,
/// `age`, `age-keygen`, `cctv-age` (a folder), `moto-server`, `vault`, `promtool`, `helm`, `kubeconform`, `kustomize`,
/// `pre-commit`, `quadlet`, `nginx`, `sshd`, `cron`, `runsvdir`, `runsv`, `sv`, `openrc` (a folder), `gitleaks`, `gitleaks-re2` (with the other engine of regular expressions, as its release files have it).
pub(crate) fn path(name: &str) -> PathBuf {
    static PATHS: OnceLock<Paths> = OnceLock::new();
    let paths = PATHS.get_or_init(|| match std::env::var_os("BULLA_TEST_SERVERS") {
        Some(file) => {
            let text = std::fs::read(&file)
                .unwrap_or_else(|error| panic!("BULLA_TEST_SERVERS names {}: {error}", file.display()));
            parse(&text, &file.to_string_lossy())
        }
        None => ask(&[]),
    });
    find(paths, name)
}

/// The path of a server outside the default set (`kube-controller-manager`), built now if need be.
pub(crate) fn on_demand(name: &str) -> PathBuf {
    find(&ask(&[name]), name)
}

/// A file of `tests/servers`, found upwards from the crate that the test belongs to.
pub(crate) fn script(name: &str) -> PathBuf {
    let start = Path::new(env!("CARGO_MANIFEST_DIR"));
    start
        .ancestors()
        .map(|folder| folder.join("tests/servers").join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("no tests/servers/{name} in {} or above it", start.display()))
}

fn ask(names: &[&str]) -> Paths {
    let script = script("build");
    let output = Command::new(&script)
        .arg("--print-paths")
        .args(names)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .unwrap_or_else(|error| panic!("cannot run {} (it needs Python 3): {error}", script.display()));
    assert!(output.status.success(), "{} failed ({}), see above", script.display(), output.status);
    parse(&output.stdout, "the output of tests/servers/build")
}

fn parse(text: &[u8], from: &str) -> Paths {
    serde_json::from_slice(text).unwrap_or_else(|error| panic!("{from} is not a JSON map of paths: {error}"))
}

fn find(paths: &Paths, name: &str) -> PathBuf {
    let path = paths.get(name).unwrap_or_else(|| panic!("tests/servers/build knows no {name:?}"));
    assert!(path.exists(), "{name} is missing at {}: run tests/servers/build", path.display());
    path.clone()
}
