//! The real program: its flags and SIGUSR1.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::leash::{End, Leash};
use crate::support::rights::Reach;
use crate::world::{LABEL, SOON, UPSTREAM_LABEL, World};

/// Starts the program in the world's namespace; the leash and the program's process id.
fn start(world: &World, folder: &std::path::Path, flags: &[&str]) -> (Leash, String) {
    start_with(world, folder, flags, &[])
}

/// The same with variables in its environment.
pub(crate) fn start_with(
    world: &World,
    folder: &std::path::Path,
    flags: &[&str],
    environment: &[(&str, &str)],
) -> (Leash, String) {
    let pid_file = folder.join("pid");
    let mut command = Command::new("sh");
    command.args(["-c", "echo $$ > \"$0\"; exec \"$@\""]).arg(&pid_file).arg(env!("CARGO_BIN_EXE_bulla-controller"));
    let token = world.server.controller_token(&world.namespace, Reach::Namespaces(&[&world.namespace]));
    let kubeconfig = world.server.kubeconfig_as(&format!("controller-{}", world.namespace), &token);
    command.arg("run").arg("--kubeconfig").arg(kubeconfig);
    command.args(["--listen", "127.0.0.1:0", "--external-secrets", "false", "--log-format", "json"]);
    command.args(["--controller-namespace", &world.namespace, "--watch-namespace", &world.namespace]).args(flags);
    command.envs(environment.iter().copied());
    std::fs::remove_file(&pid_file).ok();
    let leash = Leash::spawn("bulla-controller", &command, &folder.join("log"), End::default());
    let began = Instant::now();
    loop {
        let pid = std::fs::read_to_string(&pid_file).unwrap_or_default();
        if pid.ends_with('\n') {
            return (leash, pid.trim().to_owned());
        }
        assert!(began.elapsed() < SOON, "{}", leash.log_tail());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigusr1_makes_a_key_now() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let (leash, pid) = start(&world, folder.path(), &["--kubeseal-certificates", "true", "--key-size", "2048"]);
    world.until_states(LABEL, &[("bulla-sealing-key-0001", "active")]).await;
    world.until_states(UPSTREAM_LABEL, &[("sealed-secrets-key-0001", "active")]).await;
    let killed = Command::new("kill").args(["-USR1", &pid]).status().unwrap();
    assert!(killed.success());
    world.until_states(LABEL, &[("bulla-sealing-key-0001", "opening"), ("bulla-sealing-key-0002", "active")]).await;
    let certificates = [("sealed-secrets-key-0001", "active"), ("sealed-secrets-key-0002", "active")];
    world.until_states(UPSTREAM_LABEL, &certificates).await;
    let log = leash.log();
    assert!(log.contains("told to make a new sealing key") && log.contains("\"action\":\"make-key\""), "{log}");
    assert!(!log.contains("AGE-SECRET-KEY") && !log.contains("PRIVATE KEY"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_off_time_as_date_prints_it_makes_a_key_at_the_start() {
    let world = World::new().await;
    world.bring("brought", &bulla::seal::Identity::generate_x25519().unwrap(), "active").await;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let date = Command::new("date").arg("-R").output().unwrap().stdout;
    let folder = tempfile::tempdir().unwrap();
    let date = String::from_utf8(date).unwrap();
    let flags = ["--key-renew-period", "0", "--key-cutoff-time", date.trim()];
    let (_leash, _) = start(&world, folder.path(), &flags);
    world.until_states(LABEL, &[("brought", "opening"), ("bulla-sealing-key-0001", "active")]).await;
}
