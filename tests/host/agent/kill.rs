//! The power fails while a commit is on its way: the agent is killed at any moment, also while it recovers from that.
//! Afterwards every file is of one commit, and the service has been told of just these files.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use bulla::host::agent::{Request, State, ask};

use super::bench::Host;

const ROUNDS: usize = 30;
const FILES: usize = 12;

/// Every third file is a copy, the others are links.
fn document(host: &Host) -> String {
    let mut text =
        "apiVersion: bulla.dev/v1alpha1\nkind: Host\nmetadata: {name: app, namespace: web}\nspec:\n  files:\n"
            .to_owned();
    for number in 0..FILES {
        let place = if number % 3 == 2 { "copy" } else { "link" };
        text.push_str(&format!(
            "  - {{path: /etc/app/{number}, inline: \"{{{{ .app.token }}}}\\n\", secrets: [{{name: app}}], place: {place}}}\n"
        ));
    }
    let (told, read) = (host.path("told"), host.declared("/etc/app/0"));
    let (told, read) = (told.display(), read.display());
    // It remembers what it read when it was told. A commit of a bad value is not well.
    text.push_str(&format!(
        "  services:\n  - name: app\n    reloadOn: [\"/etc/app/*\"]\n    commands:\n      \
         reload: [sh, -c, \"cat {read} >> {told}\"]\n      status: [\"true\"]\n    health:\n      \
         command: [sh, -c, \"! grep -q bad {read}\"]\n      within: 1s\n      for: 100ms\n"
    ));
    text
}

fn value(host: &Host, number: usize) -> String {
    host.read(&format!("/etc/app/{number}")).unwrap_or_default().trim_end().to_owned()
}

fn values(host: &Host, which: impl Fn(usize) -> bool) -> BTreeSet<String> {
    (0..FILES).filter(|number| which(*number)).map(|number| value(host, number)).collect()
}

/// What the service has in its memory.
fn remembered(host: &Host) -> String {
    fs::read_to_string(host.path("told")).unwrap_or_default().lines().last().unwrap_or_default().to_owned()
}

fn by_chance(below: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    below.mul_f64((random % 10_000) as f64 / 10_000.0)
}

fn commit(host: &Host, value: &str) -> String {
    host.write("web/app.yaml", &host.sealed("app", &[("token", value)]));
    host.commit(value)
}

#[test]
fn a_kill_at_any_moment_leaves_the_old_or_the_new_commit_and_a_service_that_knows_it() {
    let mut host = Host::new("");
    host.write("web/host.yaml", &document(&host));
    commit(&host, "v0");
    host.start();
    let began = Instant::now();
    let mut good = (commit(&host, "v1"), "v1".to_owned());
    assert!(host.ask(&Request::Sync).done, "{}", host.log());
    let one_pass = began.elapsed();
    // What a pass takes until its flip is another time on every machine, so it is searched for.
    let mut until_flip = one_pass;
    let (mut before_flip, mut after_flip, mut not_remembered) = (0, 0, 0);
    for round in 0..ROUNDS {
        let is_bad = round % 3 == 1;
        let new = if is_bad { format!("bad{round}") } else { format!("good{round}") };
        let tip = commit(&host, &new);
        let asking = thread::spawn({
            let run = host.run();
            move || drop(ask(&run, &Request::Sync))
        });
        thread::sleep(by_chance(until_flip * 2 + Duration::from_millis(if is_bad { 200 } else { 0 })));
        host.kill();
        asking.join().unwrap();

        // Links lead to one generation at every moment.
        let links = values(&host, |number| number % 3 != 2);
        assert_eq!(links.len(), 1, "{links:?}");
        let link = links.first().unwrap();
        assert!(*link == new || *link == good.1, "{link}: neither {new} nor {}", good.1);
        if *link == new {
            after_flip += 1;
            until_flip = until_flip.mul_f64(0.8);
        } else {
            before_flip += 1;
            until_flip = until_flip.mul_f64(1.25);
        }
        not_remembered += usize::from(remembered(&host) != *link);

        // Killed again while it recovers.
        if round % 2 == 0 {
            let mut recovering = host.command(&["--once", "--offline"]);
            let mut recovering = recovering.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            thread::sleep(by_chance(one_pass));
            recovering.kill().unwrap();
            recovering.wait().unwrap();
        }
        // A start without network: what proved well is there, whole, and the service knows it.
        let out = host.controller(&["--once", "--offline"]);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        let state = State::load(&host.path("state")).unwrap().0;
        let proven = state.good.unwrap().commit;
        assert!(proven == good.0 || (proven == tip && !is_bad), "round {round}: {said}");
        let expected = if proven == tip { new.clone() } else { good.1.clone() };
        assert_eq!(values(&host, |_| true), BTreeSet::from([expected.clone()]), "round {round}: {said}");
        assert_eq!(remembered(&host), expected, "round {round}: {said}\n{}", host.log());

        // And then the tip.
        host.start();
        let end = if is_bad { good.1.clone() } else { new.clone() };
        assert_eq!(values(&host, |_| true), BTreeSet::from([end.clone()]), "round {round}: {}", host.log());
        assert_eq!(remembered(&host), end, "round {round}: {}", host.log());
        if !is_bad {
            good = (tip, new);
        }
    }
    let moments =
        format!("{before_flip} before the flip, {after_flip} after it, {not_remembered} times unknown to the service");
    assert!(before_flip >= 3 && after_flip >= 3, "the moments are too much alike: {moments}");
}
