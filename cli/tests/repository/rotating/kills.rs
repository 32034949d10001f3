//! A run that is killed, without a word, at every place where it does something: the next call ends as if it had not been.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::team::Team;

/// A `git` that counts the calls of `bulla` and, at one of them, kills it: before the real one runs, or after.
const KILLER: &str = r#"
parent=$(cat /proc/$PPID/comm)
if [ "$parent" = bulla ]; then
    calls=$(cat "$HOME/calls" 2>/dev/null || echo 0)
    calls=$((calls + 1))
    echo $calls > "$HOME/calls"
    if [ "$calls" = "$KILL_BEFORE" ]; then kill -9 $PPID; exit 1; fi
    if [ "$calls" = "$KILL_AFTER" ]; then PATH="$REAL" git "$@"; kill -9 $PPID; exit 1; fi
fi
PATH="$REAL" exec git "$@"
"#;

const WISH: [&str; 7] = ["rotate", "repo", "--yes", "--identity", "old.key", "--new-identity", "new.key"];

/// A command that runs the whole run, or what is left of it.
fn rotation(team: &Team) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bulla"));
    command.args(WISH).current_dir(team.bench.path("")).env_clear();
    command.env("HOME", team.bench.path("")).env("PATH", std::env::var_os("PATH").unwrap());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Kills at the call number `at`; whether the run lived so long that it ended by itself.
fn killed(team: &Team, variable: &str, at: usize) -> bool {
    team.script("bin/git", KILLER);
    fs::remove_file(team.bench.path("calls")).unwrap_or_default();
    let real = std::env::var("PATH").unwrap();
    let mut command = rotation(team);
    command.env("PATH", format!("{}:{real}", team.bench.path("bin").display())).env("REAL", &real);
    let status = command.env(variable, at.to_string()).status().unwrap();
    status.code().is_some()
}

#[test]
fn a_kill_at_any_call_of_git_changes_nothing_of_the_result() {
    let template = Team::new(2);
    let mut at = 0;
    let mut kills = 0;
    loop {
        at += 1;
        let mut has_ended = [false; 2];
        for (index, variable) in ["KILL_BEFORE", "KILL_AFTER"].into_iter().enumerate() {
            let team = template.copy();
            has_ended[index] = killed(&team, variable, at);
            kills += usize::from(!has_ended[index]);
            // git may have been at work still.
            fs::remove_file(team.path(".git/index.lock")).unwrap_or_default();
            let done = rotation(&team).status().unwrap();
            assert!(done.success(), "{variable}={at}: {:?}", team.rotate(&["--yes"]).err);
            team.assert_rotated(2);
        }
        if has_ended == [true, true] {
            break;
        }
        assert!(at < 200, "the run does not end");
    }
    assert!(kills > 30, "only {kills} kills");
}

/// Waits until something is there, or the run is over.
fn kill_when(team: &Team, is_time: impl Fn() -> bool) {
    let mut child = rotation(team).spawn().unwrap();
    let began = Instant::now();
    while !is_time() && child.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < Duration::from_secs(60));
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_kill_amid_the_files_changes_nothing_of_the_result() {
    const FILES: usize = 40;
    let template = Team::new(FILES);
    let file = |team: &Team, number: usize| team.path(&format!("clusters/prod/app-{number}.yaml"));
    let mut amid = 0;
    for number in [0, 7, 13, 21, 33] {
        let team = template.copy();
        let (path, before) = (file(&team, number), fs::read(file(&template, number)).unwrap());
        kill_when(&team, || fs::read(&path).is_ok_and(|now| now != before));
        let changed = (0..FILES)
            .filter(|number| fs::read(file(&team, *number)).unwrap() != fs::read(file(&template, *number)).unwrap())
            .count();
        amid += usize::from(changed < FILES);
        assert!(rotation(&team).status().unwrap().success());
        team.assert_rotated(FILES);
    }
    assert!(amid > 0, "every kill came too late to mean anything");
}

#[test]
fn a_kill_when_the_state_or_the_key_appears_changes_nothing_of_the_result() {
    let template = Team::new(3);
    type When = fn(&Team) -> Vec<PathBuf>;
    let moments: [When; 3] = [
        |team| vec![team.state()],
        |team| vec![team.bench.path("new.key"), team.bench.path(".new.key.part")],
        |team| vec![team.bench.path("new.key")],
    ];
    for moment in moments {
        let team = template.copy();
        let paths = moment(&team);
        kill_when(&team, || paths.iter().any(|path| path.exists()));
        assert!(rotation(&team).status().unwrap().success());
        team.assert_rotated(3);
        let keys = fs::read_dir(team.bench.path(""))
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("new.key"));
        assert_eq!(keys.count(), 1);
    }
}

#[test]
fn a_killed_run_can_be_given_up() {
    let template = Team::new(2);
    let before = (template.git(&["rev-parse", "HEAD"]), String::new());
    for at in (1..60).step_by(3) {
        let team = template.copy();
        let has_ended = killed(&team, "KILL_AFTER", at);
        fs::remove_file(team.path(".git/index.lock")).unwrap_or_default();
        if team.state().exists() {
            team.rotate(&["--abort", "--yes"]).exits(0);
        }
        assert_eq!((team.git(&["rev-parse", "HEAD"]), team.git(&["status", "--porcelain"])), before, "killed at {at}");
        assert_eq!(team.git(&["for-each-ref", "--format=%(refname)", "refs/heads"]), "refs/heads/main");
        if has_ended {
            break;
        }
    }
}
