use std::time::Duration;

use super::{Command, CommandError, Scrubber};

fn sh(script: &str) -> [&str; 3] {
    ["sh", "-c", script]
}

#[tokio::test]
async fn a_program_has_an_environment_of_its_own_and_no_input() {
    let script = sh("env | sort; cat");
    let said = Command::new(&script).with("BULLA_STAGED", "/run/x").succeeds(&Scrubber::default()).await.unwrap();
    let names: Vec<&str> = said.lines().map(|line| line.split('=').next().unwrap()).collect();
    // The last ones are the shell's own.
    let expected = ["BULLA_STAGED", "HOME", "LANG", "PATH", "XDG_RUNTIME_DIR", "PWD", "OLDPWD", "SHLVL", "_"];
    assert!(names.iter().all(|name| expected.contains(name)), "{said}");
    assert!(std::env::vars().count() > expected.len() || std::env::var_os("CARGO").is_some(), "nothing to keep back");
}

#[tokio::test]
async fn what_a_program_said_is_in_its_error_without_the_secret() {
    let script = sh("echo one; echo 'bad value s3cr3t-canary-value' >&2; exit 3");
    let scrubber = Scrubber::new([b"s3cr3t-canary-value".as_slice()]);
    let error = Command::new(&script).succeeds(&scrubber).await.unwrap_err();
    assert_eq!(error.to_string(), "sh ended with exit code 3:\none\nbad value ***");
}

#[tokio::test]
async fn only_the_end_of_a_long_output_is_shown_and_no_half_of_a_secret() {
    // 64 KiB are kept: the first kept line lacks its beginning.
    let script = sh("i=0; while [ $i -lt 20000 ]; do echo canary-0123456789; i=$((i+1)); done; echo the end; exit 1");
    let scrubber = Scrubber::new([b"canary-0123456789".as_slice()]);
    let Err(CommandError::Failed { output, .. }) = Command::new(&script).succeeds(&scrubber).await else { panic!() };
    assert!(output.ends_with("the end") && output.len() <= (4 << 10) + 8, "{output}");
    assert!(!output.contains("456"), "{output}");
}

#[tokio::test]
async fn what_takes_too_long_is_ended_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let script = sh("sleep 1000 & echo $! > \"$PID_FILE\"; echo waiting; wait");
    let command = Command::new(&script).with("PID_FILE", &file).within(Duration::from_millis(500));
    let error = command.ended(&Scrubber::default()).await.unwrap_err();
    assert!(matches!(&error, CommandError::TimedOut { output, .. } if output == "waiting"), "{error}");
    let pid = std::fs::read_to_string(file).unwrap();
    let state = || std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    for _ in 0..100 {
        // Gone, or a zombie that nobody has waited for yet.
        if state().map_or(true, |stat| stat.contains(") Z ")) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{pid} is still there: {:?}", state());
}

#[tokio::test]
async fn what_is_left_running_in_the_background_does_not_hold_up_the_caller() {
    let script = sh("sleep 1000 & echo $!");
    let said = Command::new(&script).succeeds(&Scrubber::default()).await.unwrap();
    let pid = rustix::process::Pid::from_raw(said.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let error = Command::new(&["no-such-program-here"]).succeeds(&Scrubber::default()).await.unwrap_err();
    assert!(error.to_string().starts_with("no-such-program-here could not be started"), "{error}");
    let none: [&str; 0] = [];
    assert!(matches!(Command::new(&none).succeeds(&Scrubber::default()).await, Err(CommandError::Empty)));
}
