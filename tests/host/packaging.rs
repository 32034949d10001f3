//! What a package puts onto a host: units that the real systemd takes, scripts that a shell reads, settings that the
//! agent reads.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bulla::host::config::Config;

/// The worst that `systemd-analyze security` may say, in tenths: the agent writes into /etc, mounts and changes users.
const EXPOSURE: &str = "40";

fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(path)
}

fn analyze(arguments: &[&str]) -> Output {
    let output = Command::new("systemd-analyze").args(arguments).output();
    output.expect("systemd-analyze is needed: install the package `systemd`")
}

/// Every unit of the package, in the root of a machine that has what it starts.
pub(crate) fn machine() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let units = root.path().join("usr/lib/systemd/system");
    for folder in ["usr/bin", "bin", "usr/lib/systemd/system"] {
        fs::create_dir_all(root.path().join(folder)).unwrap();
    }
    for program in ["usr/bin/bulla-controller", "bin/kill"] {
        fs::write(root.path().join(program), "#!/bin/sh\n").unwrap();
        fs::set_permissions(root.path().join(program), fs::Permissions::from_mode(0o755)).unwrap();
    }
    for target in ["basic", "sysinit", "multi-user", "default", "network-online", "shutdown", "local-fs", "sockets"] {
        fs::write(units.join(format!("{target}.target")), "[Unit]\nDescription=A target\n").unwrap();
    }
    fs::copy(deploy("systemd/bulla-host.service"), units.join("bulla-host.service")).unwrap();
    fs::copy(deploy("systemd/bulla-host-boot.service"), units.join("bulla-host-boot.service")).unwrap();
    fs::copy(deploy("systemd/run-bulla.mount"), units.join("run-bulla.mount")).unwrap();
    // A manager of a user does not start in a test; what it would read is read by that of the system.
    fs::copy(deploy("systemd/user/bulla-host.service"), units.join("bulla-user.service")).unwrap();
    root
}

pub(crate) fn verify(root: &Path, unit: &str) -> Result<(), String> {
    let root = format!("--root={}", root.display());
    let output = analyze(&["verify", "--man=no", &root, unit]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // A setting that it does not know is told and no failure.
    if output.status.success() && said.trim().is_empty() { Ok(()) } else { Err(format!("{}: {said}", output.status)) }
}

#[test]
fn systemd_takes_every_unit_without_a_word() {
    let root = machine();
    for unit in ["bulla-host.service", "bulla-host-boot.service", "bulla-user.service", "run-bulla.mount"] {
        verify(root.path(), unit).unwrap_or_else(|error| panic!("{unit}: {error}"));
    }
    // And says so where one is wrong.
    let file = root.path().join("usr/lib/systemd/system/bulla-host.service");
    let text = fs::read_to_string(&file).unwrap();
    for (right, wrong) in [
        ("WatchdogSec=", "WatchdogSecs="),
        ("Type=notify", "Type=notifies"),
        ("ExecStart=/usr/bin/", "ExecStart=/nowhere/"),
    ] {
        fs::write(&file, text.replace(right, wrong)).unwrap();
        assert!(verify(root.path(), "bulla-host.service").is_err(), "{wrong} is not seen");
    }
}

#[test]
fn the_units_are_as_confined_as_an_agent_that_writes_everywhere_can_be() {
    for unit in ["systemd/bulla-host.service", "systemd/bulla-host-boot.service"] {
        let file = deploy(unit).display().to_string();
        let review = |threshold| analyze(&["security", "--offline=true", &format!("--threshold={threshold}"), &file]);
        let output = review(EXPOSURE);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert!(!review("10").status.success(), "the threshold is not looked at");
    }
}

#[test]
fn the_units_keep_the_files_of_services_while_the_agent_is_away() {
    for unit in ["systemd/bulla-host.service", "systemd/bulla-host-boot.service", "systemd/user/bulla-host.service"] {
        let text = fs::read_to_string(deploy(unit)).unwrap();
        for line in ["RuntimeDirectory=bulla", "RuntimeDirectoryPreserve=yes", "StateDirectory=bulla", "LimitCORE=0"] {
            assert!(text.lines().any(|it| it == line), "{unit} has no {line}");
        }
    }
}

#[test]
fn the_units_take_a_bounded_part_of_the_memory_and_nothing_of_the_swap() {
    for unit in ["systemd/bulla-host.service", "systemd/bulla-host-boot.service", "systemd/user/bulla-host.service"] {
        let text = fs::read_to_string(deploy(unit)).unwrap();
        for line in ["MemoryMax=512M", "MemorySwapMax=0"] {
            assert!(text.lines().any(|it| it == line), "{unit} has no {line}");
        }
    }
}

#[test]
fn the_scripts_of_other_service_managers_are_read_by_a_shell() {
    for script in ["openrc/bulla-host", "runit/bulla-host/run", "runit/bulla-host/log/run"] {
        let file = deploy(script);
        let output = Command::new("sh").arg("-n").arg(&file).output().unwrap();
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o111, 0o111, "{script} cannot be run");
    }
}

#[test]
fn the_example_settings_are_settings() {
    let file = deploy("systemd/host.yaml");
    let config = Config::read(&file).unwrap();
    assert_eq!(config.groups, ["web"]);
    // And so is everything in it that is commented out.
    let text = fs::read_to_string(&file).unwrap();
    let all: Vec<String> = text.lines().map(uncommented).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("host.yaml");
    fs::write(&file, all.join("\n")).unwrap();
    let config = Config::read(&file).unwrap_or_else(|error| panic!("{error}\n{}", all.join("\n")));
    assert!(config.hook.is_some() && config.notify.is_some() && config.allow.commands == Some(false));
    assert!(config.repository.signatures.is_some() && config.repository.access.ssh_key.is_some());
}

/// `# key: value` without the mark.
fn uncommented(line: &str) -> String {
    let Some((indent, rest)) = line.split_once("# ") else { return line.to_owned() };
    let key = rest.trim_start().split_once(':').map(|(key, _)| key);
    let is_setting = indent.trim().is_empty() && key.is_some_and(|key| key.chars().all(char::is_alphanumeric));
    if is_setting { format!("{indent}{rest}") } else { line.to_owned() }
}

#[test]
fn the_package_has_the_files_that_it_names() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let mut command = Command::new(env!("CARGO"));
    command.args(["metadata", "--no-deps", "--offline", "--format-version=1"]);
    let output = command.arg("--manifest-path").arg(manifest).output().unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|package| package["name"] == "bulla").unwrap();
    let assets = package["metadata"]["deb"]["assets"].as_array().unwrap();
    assert!(assets.len() > 4);
    for asset in assets {
        let source = asset[0].as_str().unwrap();
        let there = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
        assert!(source.starts_with("target/release/") || there.is_file(), "{source} is not there");
    }
}
