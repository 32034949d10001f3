//! What a `validate` command sees, and that nobody else does.

use std::fs;
use std::path::PathBuf;

use bulla::host::command::Scrubber;
use bulla::host::desired::{Role, Service};
use bulla::host::gate::{Isolation, Shown, validate};
use bulla::host::units::{Change, What};

use super::Host;

fn service(script: &str) -> Service {
    let validate = ["sh", "-c", script].map(str::to_owned).to_vec();
    Service { name: "web".to_owned(), validate, ..Service::default() }
}

fn changes() -> Vec<Change> {
    vec![Change { path: PathBuf::from("/etc/a"), role: Role::File, what: What::Changed }]
}

#[tokio::test]
async fn the_command_sees_links_copies_and_removals_and_nobody_else_does() {
    let host = Host::new();
    host.stage(1, "etc/a", "old a");
    host.flip(1);
    host.stage(2, "etc/a", "new a");
    host.stage(2, "etc/sub/deep/fresh", "fresh link");
    host.stage(2, "etc/copied", "new copy");
    host.stage(2, "etc/fresh-copy", "fresh copy");
    let a = host.link("etc/a");
    fs::write(host.at("etc/copied"), "old copy").unwrap();
    fs::write(host.at("etc/gone"), "to go").unwrap();
    fs::write(host.at("etc/neighbour"), "stays").unwrap();
    let from = |name: &str| host.generation(2).join("files").join(name);
    let view = host.view(
        1,
        2,
        vec![
            Shown::Link { path: a.clone(), target: host.target("etc/a") },
            Shown::Link { path: host.at("etc/sub/deep/fresh"), target: host.target("etc/sub/deep/fresh") },
            Shown::Copy { path: host.at("etc/copied"), from: from("etc/copied") },
            Shown::Copy { path: host.at("etc/fresh-copy"), from: from("etc/fresh-copy") },
            Shown::Gone { path: host.at("etc/gone") },
        ],
    );
    // It waits until the outside has been looked at, too.
    let script = format!(
        "cd {0}/etc; cat a copied fresh-copy sub/deep/fresh neighbour; ls; test -e gone && echo STILL; \
         touch {0}/inside; while [ ! -e {0}/looked ]; do sleep 0.02; done; exit 1",
        host.path().display()
    );
    let services = [service(&script)];
    let (changes, scrubber) = (changes(), Scrubber::default());
    let validated = validate(&services, &changes, view, &scrubber);
    let outside = async {
        while !host.at("inside").exists() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert_eq!(fs::read_to_string(&a).unwrap(), "old a");
        assert_eq!(fs::read_to_string(host.at("etc/copied")).unwrap(), "old copy");
        assert!(host.at("etc/gone").exists() && !host.at("etc/sub").exists() && !host.at("etc/fresh-copy").exists());
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        assert!(!mounts.contains(&*host.path().to_string_lossy()), "{mounts}");
        fs::write(host.at("looked"), "").unwrap();
    };
    let (validated, ()) = tokio::join!(validated, outside);
    let said = validated.unwrap_err().to_string();
    assert!(said.contains("new anew copyfresh copyfresh linkstaysa\ncopied\nfresh-copy\nneighbour\nsub"), "{said}");
    assert!(!said.contains("STILL") && !said.contains("gone"), "{said}");
    assert!(!host.at("run/scratch").exists(), "the scratch folder stays behind");
    assert_eq!(fs::read_to_string(host.generation(1).join("files/etc/a")).unwrap(), "old a");
}

#[tokio::test]
async fn the_command_is_told_where_the_staged_files_are_and_how_it_was_isolated() {
    let host = Host::new();
    host.stage(1, "etc/a", "staged");
    let a = host.link("etc/a");
    let script = format!("test \"$(cat {})\" = staged && test -e \"$BULLA_STAGED/files/etc/a\"", a.display());
    let view = host.view(0, 1, Vec::new());
    let validated = validate(&[service(&script)], &changes(), view, &Scrubber::default()).await.unwrap();
    // CAP_SYS_ADMIN is bit 21.
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap().trim();
    let may_mount = u64::from_str_radix(effective, 16).unwrap() & (1 << 21) != 0;
    let expected = if may_mount { Isolation::Namespace } else { Isolation::UserNamespace };
    assert_eq!(validated.isolation, Some(expected));
    assert_eq!(validated.services, ["web"]);
    assert!(validated.hidden.is_empty());
}

#[tokio::test]
async fn every_refusal_is_told_and_a_path_that_cannot_be_shown_is_named() {
    let host = Host::new();
    host.stage(1, "etc/a", "staged");
    let lost = PathBuf::from("/no-such-folder-of-bulla/file");
    let gone = Shown::Link { path: lost.clone(), target: PathBuf::from("/nowhere") };
    let services = [
        Service { name: "one".to_owned(), ..service("echo first; exit 1") },
        Service { name: "two".to_owned(), ..service("echo second; exit 2") },
        Service { name: "not-asked".to_owned(), reload_on: vec!["/other".to_owned()], ..service("exit 3") },
    ];
    let refusal = validate(&services, &changes(), host.view(0, 1, vec![gone.clone()]), &Scrubber::default()).await;
    let refusal = refusal.unwrap_err();
    let names: Vec<&str> = refusal.0.iter().map(|refused| refused.service.as_str()).collect();
    assert_eq!(names, ["one", "two"]);
    assert!(refusal.to_string().contains("exit code 2:\nsecond"), "{refusal}");
    let validated = validate(&[service("true")], &changes(), host.view(0, 1, vec![gone]), &Scrubber::default()).await;
    assert_eq!(validated.unwrap().hidden, [lost]);
}

/// Root without this power is like everybody else, as far as mounts are concerned.
const POWERLESS: [&str; 2] = ["setpriv", "--bounding-set=-sys_admin"];

fn powerless(arguments: &[impl AsRef<std::ffi::OsStr>]) -> std::process::Output {
    std::process::Command::new(POWERLESS[0]).args(&POWERLESS[1..]).args(arguments).output().unwrap()
}

#[test]
fn without_the_power_to_mount_a_user_namespace_shows_the_same() {
    assert!(!powerless(&["unshare", "-m", "true"]).status.success(), "it has the power all the same");
    let allowed = powerless(&["unshare", "-U", "-r", "-m", "true"]).status.success();
    assert!(allowed, "this machine allows no user namespaces (kernel.unprivileged_userns_clone, AppArmor)");
    // The tests above, in a process that can do less.
    let program = std::env::current_exe().unwrap();
    for test in [
        "the_command_sees_links_copies_and_removals_and_nobody_else_does",
        "the_command_is_told_where_the_staged_files_are_and_how_it_was_isolated",
    ] {
        let name = format!("gate::view::{test}");
        let arguments = [program.as_os_str(), "--exact".as_ref(), name.as_ref()];
        let output = powerless(&arguments);
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
    }
}
