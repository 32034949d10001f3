//! Podman's own generator makes services of the Quadlets that the agent installs: those that our plans tell.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bulla::host::agent::Condition;
use bulla::host::desired::{Role, Service};
use bulla::host::units::{Asked, Change, Step, What, name, plan};

use crate::agent::bench::Host;
use crate::servers::servers;

const FOLDER: &str = "/etc/containers/systemd";

/// One of each kind.
const OTHERS: [(&str, &str); 8] = [
    ("app@.container", "[Container]\\nImage=docker.io/library/app:1\\n"),
    ("app.kube", "[Kube]\\nYaml=/etc/app.yaml\\n"),
    ("data.volume", "[Volume]\\n"),
    ("inside.network", "[Network]\\n"),
    ("base.image", "[Image]\\nImage=docker.io/library/base:1\\n"),
    ("own.build", "[Build]\\nImageTag=localhost/own\\nFile=/srv/own/Containerfile\\n"),
    ("both.pod", "[Pod]\\n"),
    (
        "worker.container",
        "[Container]\\nImage=docker.io/library/worker:1\\nPod=both.pod\\nVolume=data.volume:/data\\nNetwork=inside.network\\n",
    ),
];

fn generator(folder: &Path) -> Output {
    let mut command = Command::new(servers::path("quadlet"));
    command.arg("-dryrun").env("QUADLET_UNIT_DIRS", folder);
    command.output().unwrap()
}

/// The units that it makes of a folder, by their names.
fn generated(folder: &Path) -> BTreeMap<String, String> {
    let out = generator(folder);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).unwrap();
    let mut units = BTreeMap::new();
    for part in text.split("\n---").flat_map(|part| part.strip_prefix("---").or(Some(part))) {
        let (name, unit) = part.split_once("---\n").unwrap_or_else(|| panic!("no name:\n{part}"));
        units.insert(name.to_owned(), unit.to_owned());
    }
    units
}

/// The example's Quadlet and one of each other kind, installed by the agent; their folder.
fn installed() -> (Host, PathBuf) {
    let host = Host::new("");
    let settings = fs::read_to_string(host.path("host.yaml")).unwrap();
    // One that has nothing to read again when a unit's file changes; nothing is told here.
    fs::write(host.path("host.yaml"), settings.replace("manager: none", "manager: openrc")).unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples/hosts/hosts/frodo/cache.container");
    host.write("frodo/cache.container", &fs::read_to_string(example).unwrap());
    let mut text = "apiVersion: bulla.dev/v1alpha1\nkind: Host\nmetadata: {name: frodo}\nspec:\n  units:\n  \
                    - {name: cache.container, source: cache.container}\n"
        .to_owned();
    for (name, unit) in OTHERS {
        text.push_str(&format!("  - {{name: {name}, inline: \"{unit}\"}}\n"));
    }
    host.write("frodo/host.yaml", &text);
    host.commit("Quadlets");
    let out = host.controller(&["--once"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(host.status().condition, Condition::InSync, "{:?}", host.status().problems);
    let folder = host.declared(FOLDER);
    (host, folder)
}

#[test]
fn the_units_that_podman_makes_of_installed_quadlets_are_those_that_are_told() {
    let (_host, folder) = installed();
    let units = generated(&folder);
    let of = |path: PathBuf| name::of_file(&path).unwrap_or_else(|| panic!("{} is of no unit", path.display()));
    let ours: Vec<String> = fs::read_dir(&folder).unwrap().map(|entry| of(entry.unwrap().path()).0).collect();
    // `app.kube` and the template `app@.container` are two.
    assert_eq!(ours.len(), OTHERS.len() + 1);
    for unit in &ours {
        assert!(units.contains_key(unit), "Podman makes no {unit}: {:?}", units.keys());
    }
    assert_eq!(units.len(), ours.len(), "{:?}", units.keys());
    let cache = &units["cache.service"];
    for line in ["Description=A cache for the application", "Restart=always", "WantedBy=multi-user.target"] {
        assert!(cache.lines().any(|it| it == line), "{line}:\n{cache}");
    }
    let start = cache.lines().find(|line| line.starts_with("ExecStart=")).unwrap();
    for word in ["--read-only", "--cap-drop all", "no-new-privileges", "127.0.0.1:6379:6379", "valkey/valkey:8-alpine"]
    {
        assert!(start.contains(word), "{word}: {start}");
    }

    // What the example says about its service is about that unit.
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples/hosts/hosts/frodo/host.yaml"))
            .unwrap();
    assert!(text.contains("name: cache\n    restartOn: [\"/etc/containers/systemd/cache.container\"]"), "{text}");
    let path = PathBuf::from(format!("{FOLDER}/cache.container"));
    let globs = vec![path.display().to_string()];
    let services = [Service { name: "cache".to_owned(), restart_on: globs, ..Service::default() }];
    let changes = [Change { path, role: Role::Unit, what: What::Changed }];
    let plan = plan(&Asked { services: &services, units: &[], changes: &changes, credentials: &[] });
    let told: Vec<&str> = plan
        .steps
        .iter()
        .filter_map(|step| if let Step::Tell(tell) = step { Some(tell.unit.as_str()) } else { None })
        .collect();
    assert_eq!(told, ["cache.service"], "{:?}", plan.steps);
}

#[test]
fn systemd_takes_the_service_that_podman_makes_of_the_example() {
    let (_host, folder) = installed();
    let root = crate::packaging::machine();
    let at = |path: &str| root.path().join(path);
    fs::copy(at("bin/kill"), at("usr/bin/podman")).unwrap();
    fs::write(at("usr/lib/systemd/system/cache.service"), &generated(&folder)["cache.service"]).unwrap();
    crate::packaging::verify(root.path(), "cache.service").unwrap();
}

#[test]
fn a_broken_quadlet_is_refused_by_podman() {
    let (_host, folder) = installed();
    let file = folder.join("cache.container");
    let text = fs::read_to_string(&file).unwrap();
    for (right, wrong) in
        [("ReadOnly=", "ReadsOnly="), ("Image=docker.io/valkey/valkey:8-alpine\n", ""), ("[Container]", "[Box]")]
    {
        assert!(text.contains(right), "{right}");
        fs::write(&file, text.replace(right, wrong)).unwrap();
        let out = generator(&folder);
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(!out.status.success() && said.contains("cache.container"), "{wrong}: {said}");
        assert!(!String::from_utf8_lossy(&out.stdout).contains("---cache.service---"), "{wrong}");
    }
}
