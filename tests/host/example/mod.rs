//! `deploy/examples/hosts` as it is shipped: two machines with a systemd and an nginx each, a Vault, and a visitor. The
//! same story is told without a systemd, where services are told by commands: that needs no root either.

mod folder;
mod upstream;
mod visitor;
mod world;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use bulla::host::agent::Condition;

use self::world::{Host, PASSWORD, TOKEN, World};

const CONF: &str = "hosts/web/nginx.conf";

/// Both hosts answer with this version and this token.
async fn both_answer(world: &World, version: Option<&str>, token: usize) {
    for host in &world.hosts {
        let answer = host.visitor.ask().await.unwrap_or_else(|error| panic!("{error}\n{}", host.log()));
        assert_eq!(
            (answer.status, answer.version.as_deref(), answer.body.as_str()),
            (200, version, format!("token {token}").as_str()),
            "{}",
            host.log()
        );
    }
}

/// Both hosts answer so soon: nginx takes a reload, and gets to it a moment later.
async fn both_answer_soon(world: &World, version: Option<&str>, token: usize) {
    for host in &world.hosts {
        let mut tries = 0;
        while host.visitor.ask().await.is_ok_and(|answer| answer.status != 200) && tries < 100 {
            tries += 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    both_answer(world, version, token).await;
}

/// Requests were answered since the last look, and every one of them well.
fn none_was_dropped(world: &World, when: &str) {
    for host in &world.hosts {
        let (answered, failures) = host.visitor.seen();
        assert!(failures.is_empty(), "{when}, {}: {failures:#?}", host.name);
        assert!(answered > 10, "{when}, {}: hardly a request was made ({answered})", host.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn the_example_works_from_the_first_commit_over_good_and_bad_ones_to_a_revert() {
    if crate::units::machine::wanting().is_none() {
        story(World::start(true).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn the_example_works_where_services_are_told_by_commands() {
    story(World::start(false).await).await;
}

/// Good changes, bad ones, reverts, an edit by hand, and another token in Vault; requests all the time.
async fn story(mut world: World) {
    for host in &world.hosts {
        let status = host.status();
        assert_eq!(status.condition, Condition::InSync, "{}\n{}", status.message, host.log());
        files_are_as_declared(host);
        if host.machine().is_some() {
            as_it_is_declared(host);
        }
    }
    both_answer(&world, None, 0).await;
    for host in &mut world.hosts {
        host.visitor.begin();
    }

    // A good change: both reload nginx with it.
    let pids = main_pids(&world);
    world.adapt(CONF, "server_tokens off;", "server_tokens off;\n    add_header X-Version two always;");
    let good = world.commit("Version two");
    for answer in world.sync().await {
        assert!(answer.done, "{}", answer.message);
        assert_eq!(answer.status.good.as_ref().unwrap().commit, good);
    }
    both_answer(&world, Some("two"), 0).await;
    assert_eq!(main_pids(&world), pids, "a reload, no restart");
    none_was_dropped(&world, "a good change");

    // nginx itself refuses: nothing was flipped.
    let generations: Vec<u64> = world.hosts.iter().map(|host| host.status().generation).collect();
    world.adapt(CONF, "X-Version two", "X-Version three");
    world.adapt(CONF, "server_tokens off;", "server_tokens perhaps;");
    world.commit("A misspelt word");
    for answer in world.sync().await {
        assert_eq!(answer.status.condition, Condition::RolledBack, "{}", answer.message);
        let said = &answer.message;
        assert!(said.contains("nginx.conf") && said.contains("\"perhaps\""), "{said}");
    }
    assert_eq!(generations, world.hosts.iter().map(|host| host.status().generation).collect::<Vec<_>>());
    both_answer(&world, Some("two"), 0).await;
    none_was_dropped(&world, "a configuration that nginx refuses");
    world.revert();
    assert!(world.sync().await.iter().all(|answer| answer.done));
    none_was_dropped(&world, "the first revert");

    // nginx takes it, and answers 500.
    world.adapt(CONF, "proxy_pass http://application;", "return 500;");
    let bad = world.commit("It answers, but how");
    for answer in world.sync().await {
        assert_eq!(answer.status.condition, Condition::RolledBack, "{}", answer.message);
        assert!(answer.message.contains("answered 500"), "{}", answer.message);
        assert_eq!(answer.status.bad.last().unwrap().commit, bad);
    }
    both_answer_soon(&world, Some("two"), 0).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    for host in &world.hosts {
        let (_, failures) = host.visitor.seen();
        assert!(failures.iter().all(|failure| failure.contains("500")), "answers only: {failures:#?}");
        assert!(!failures.is_empty(), "it was in use for a while, or the check would prove nothing");
    }
    let revert = world.revert();
    for answer in world.sync().await {
        assert!(answer.done && answer.status.condition == Condition::InSync, "{}", answer.message);
        assert_eq!(answer.status.good.unwrap().commit, revert);
    }
    both_answer(&world, Some("two"), 0).await;
    none_was_dropped(&world, "the second revert");

    by_hand(&world).await;
    none_was_dropped(&world, "a change by hand");

    // Another token in Vault; the application takes both for a while.
    world.upstream.admit("second-t0ken");
    world.rotate("second-t0ken");
    for host in &world.hosts {
        let mut tries = 0;
        while host.visitor.ask().await.unwrap().body != "token 1" {
            tries += 1;
            assert!(tries < 600, "the token does not arrive\n{}", host.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    none_was_dropped(&world, "another token");
    for host in &world.hosts {
        let log = host.log();
        let status = host.status_text();
        for secret in [TOKEN, "second-t0ken", PASSWORD] {
            assert!(!log.contains(secret) && !status.contains(secret), "{log}");
        }
    }
}

/// Edits nginx' configuration on both hosts.
async fn by_hand(world: &World) {
    for host in &world.hosts {
        let conf = host.inside("/etc/nginx/nginx.conf");
        fs::remove_file(&conf).unwrap();
        fs::write(&conf, "events {}\n").unwrap();
        host.until("the link is back", || fs::symlink_metadata(&conf).is_ok_and(|about| about.is_symlink()));
        // Not one that nginx reads at every request: it would miss it for a moment.
        let key = host.inside("/etc/nginx/tls.key");
        fs::remove_file(&key).unwrap();
        host.until("the file is back", || fs::symlink_metadata(&key).is_ok_and(|about| about.is_symlink()));
        let job = host.inside("/etc/cron.d/bulla-backup");
        let declared = fs::read_to_string(&job).unwrap();
        fs::write(&job, "* * * * *\troot\treboot\n").unwrap();
        host.until("the job is as it was", || fs::read_to_string(&job).is_ok_and(|text| text == declared));
        host.until("it is told", || host.status().drifts >= 3);
    }
    both_answer(world, Some("two"), 0).await;
}

fn main_pids(world: &World) -> Vec<String> {
    world.hosts.iter().map(Host::nginx).collect()
}

/// The files that every host has, whoever they belong to.
fn files_are_as_declared(host: &Host) {
    let modes = [
        ("/etc/nginx/nginx.conf", 0o400),
        ("/etc/nginx/tls.crt", 0o444),
        ("/etc/nginx/tls.key", 0o400),
        ("/etc/nginx/users", 0o440),
        ("/etc/backup/passphrase", 0o400),
        ("/etc/backup/run", 0o755),
        ("/etc/cron.d/bulla-backup", 0o644),
    ];
    for (path, mode) in modes {
        let about = fs::symlink_metadata(host.inside(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        let is_copy = path.ends_with("run") || path.ends_with("backup");
        assert_eq!(about.is_symlink(), !is_copy, "{path}");
        let target = if host.machine().is_some() { behind(host, path) } else { host.inside(path) };
        assert_eq!(fs::metadata(target).unwrap().mode() & 0o7777, mode, "{path}");
    }
    // What was there before is beside it.
    let nginx = fs::read_dir(host.inside("/etc/nginx")).unwrap();
    let names: Vec<_> = nginx.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.iter().any(|name| name == ".nginx.conf.before-bulla"), "{names:?}");
}

/// Everything besides nginx that the documents ask for.
fn as_it_is_declared(host: &Host) {
    let about = |path: &str| {
        let text = host.says(&["stat", "-L", "-c", "%U:%G %a", path]);
        (path.to_owned(), text)
    };
    let expected = [
        ("/etc/nginx/nginx.conf", "root:root 400"),
        ("/etc/nginx/tls.crt", "root:root 444"),
        ("/etc/nginx/tls.key", "root:root 400"),
        ("/etc/nginx/users", "root:www-data 440"),
        ("/etc/backup/passphrase", "backup:backup 400"),
        ("/etc/backup/run", "root:root 755"),
        ("/etc/cron.d/bulla-backup", "root:root 644"),
    ];
    for (path, rights) in expected {
        assert_eq!(about(path), (path.to_owned(), rights.to_owned()), "{}", host.log());
    }
    // The drop-in counts, and systemd has nothing to say against it.
    assert_eq!(host.says(&["systemctl", "show", "-P", "LimitNOFILE", "nginx.service"]), "65536");
    let verified = host.run_there(&["systemd-analyze", "verify", "--man=no", "nginx.service"]);
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && !said.contains("bulla.conf"), "{said}");

    // cron's job, as cron would run it: by the shell, as its user.
    let job = fs::read_to_string(host.inside("/etc/cron.d/bulla-backup")).unwrap();
    let line = job.lines().find(|line| !line.starts_with('#')).unwrap();
    let mut words = line.splitn(3, '\t');
    assert_eq!((words.next(), words.next()), (Some("17 3 * * *"), Some("backup")), "{line}");
    let command = words.next().unwrap().replace("\\%", "%");
    let as_user = |user: &str, command: &str| {
        let ids = [format!("--reuid={user}"), format!("--regid={user}")];
        host.run_there(&["setpriv", &ids[0], &ids[1], "--clear-groups", "sh", "-c", command])
    };
    let out = as_user("backup", &command);
    assert!(out.status.success(), "{out:?}");
    let listed = as_user(
        "backup",
        "openssl enc -d -aes-256-ctr -pbkdf2 -pass file:/etc/backup/passphrase -in /var/backups/nginx-*.tar.enc | tar -t",
    );
    assert_eq!(String::from_utf8_lossy(&listed.stdout), "nginx/listen.conf\nnginx/tls.crt\n", "{listed:?}");
    assert!(!as_user("www-data", "cat /etc/backup/passphrase").status.success(), "for the backup user alone");
    assert!(as_user("www-data", "cat /etc/nginx/users").status.success());
    assert!(!as_user("backup", "cat /etc/nginx/users").status.success());

    // Nothing of a secret is on what stands for the disk.
    let run = fs::metadata(host.inside("/run")).unwrap().dev();
    for path in ["/etc/nginx/nginx.conf", "/etc/nginx/tls.key", "/etc/nginx/users", "/etc/backup/passphrase"] {
        assert_eq!(fs::metadata(behind(host, path)).unwrap().dev(), run, "{path}");
    }

    let quadlet = host.inside("/etc/containers/systemd/cache.container");
    assert_eq!(quadlet.exists(), host.name == "frodo", "only frodo has it");
    // Podman's own generator takes it: `units::quadlet`.
}

/// What a link inside leads to, seen from here.
fn behind(host: &Host, path: &str) -> std::path::PathBuf {
    host.inside(&host.says(&["readlink", "-f", path]))
}
