//! Secrets that others than those who need them can have.

use bulla::host::agent::{Condition, Request};

use super::bench::Host;
use super::{CANARY, declared};

const SPEC: &str = "  - {path: /etc/on-disk, secret: {name: app, key: token}, place: copy}\n  \
                    - {path: /etc/for-all, secret: {name: app, key: token}, mode: \"0644\"}\n  \
                    - {path: /etc/tls.crt, secret: {name: app, key: token}, mode: \"0644\", place: copy}\n  \
                    - {path: /etc/words, inline: hello, mode: \"0644\", place: copy}\n  \
                    - {path: /etc/right, secret: {name: app, key: token}, mode: \"0440\"}\n";

fn host(settings: &str) -> Host {
    let mut host = Host::new(settings);
    host.write("web/app.yaml", &host.sealed("app", &[("token", CANARY)]));
    host.write("web/host.yaml", &declared(SPEC, "").replace("  services:\n", ""));
    host.commit("Files");
    host.start();
    host
}

#[test]
fn a_secret_on_a_disk_or_for_everybody_is_told_and_written_all_the_same() {
    let host = host("");
    let status = host.status();
    assert_eq!(status.condition, Condition::InSync, "it is as declared: {}", status.message);
    let [all, disk] = status.warnings.as_slice() else { panic!("{:?}", status.warnings) };
    assert!(all.contains("/etc/for-all") && all.contains("everybody") && all.contains("web/app"), "{all}");
    assert!(disk.contains("/etc/on-disk") && disk.contains("place: link"), "{disk}");
    assert_eq!(host.read("/etc/on-disk").as_deref(), Some(CANARY));
    // Once in the log, not at each look.
    host.ask(&Request::Sync);
    assert_eq!(host.log().matches("allow.readableByAll").count(), 1, "{}", host.log());
}

#[test]
fn what_the_settings_allow_is_not_warned_of() {
    let host = host("allow: {plaintextOnDisk: true, readableByAll: true, stores: [file]}\n");
    assert_eq!(host.status().warnings, [""; 0]);
}
