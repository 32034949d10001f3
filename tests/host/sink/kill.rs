//! Power loss: the process is killed at every point of every way through the sink, and whoever comes next finds the old
//! generation or the new one, nothing half, and nothing of anybody lost.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use bulla::host::desired::{File, Keep};
use bulla::host::sink::{Probe, Sink};

use super::world::{DAEMON, World, copy, inside, link, of};

/// At which point the child ends itself; 0 for never.
const AT: &str = "BULLA_TEST_SINK_KILL_AT";
/// Where the number of points is written at the end.
const COUNT: &str = "points";

static PASSED: AtomicUsize = AtomicUsize::new(0);
static KILL_AT: OnceLock<usize> = OnceLock::new();

fn point(_: &'static str) {
    let passed = PASSED.fetch_add(1, Ordering::SeqCst) + 1;
    let at = *KILL_AT.get_or_init(|| std::env::var(AT).unwrap().parse().unwrap());
    if passed == at {
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
    }
}

fn old() -> Vec<File> {
    vec![
        of(link("/etc/bytes", "old canary"), DAEMON, 0o440),
        link("/etc/rights", "same canary"),
        copy("/etc/copy", "old canary"),
        link("/etc/to-copy", "same canary"),
        copy("/etc/to-link", "same canary"),
        link("/etc/gone", "old canary"),
        copy("/srv/made/gone", "old canary"),
        link("/etc/was-file", "old canary"),
    ]
}

fn new() -> Vec<File> {
    vec![
        of(link("/etc/bytes", "new canary"), DAEMON, 0o440),
        of(link("/etc/rights", "same canary"), "2", 0o404),
        of(copy("/etc/copy", "new canary"), DAEMON, 0o640),
        copy("/etc/to-copy", "same canary"),
        link("/etc/to-link", "same canary"),
        link("/opt/made/link", "new canary"),
        copy("/opt/made/copy", "new canary"),
        link("/etc/was-file/below", "new canary"),
        link("/etc/theirs-1", "new canary"),
        copy("/etc/theirs-2", "new canary"),
        copy("/etc/theirs-3", "theirs"),
    ]
}

/// What is at every path below the root: link or file, bytes, owner, group, mode.
type State = BTreeMap<String, (bool, String, (u32, u32, u32))>;

fn state(world: &World) -> State {
    let files = world.tree().into_iter().filter(|path| !path.ends_with('/'));
    files.map(|path| (path.clone(), (world.is_link(&path), world.read(&path), world.rights(&path)))).collect()
}

/// The death of a process loses nothing that was written: no disk is needed, and none has to be waited for.
fn in_memory(world: &World) {
    for folder in ["root", "state"] {
        fs::create_dir_all(world.base.join(folder)).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(world.base.join(folder)).status();
        assert!(mounted.unwrap().success());
        fs::set_permissions(world.base.join(folder), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// A root as it was before us, with files of somebody else.
fn wipe(world: &World) {
    world.boot();
    for folder in ["root", "state"] {
        drop(fs::remove_dir_all(world.base.join(folder)));
    }
    fs::create_dir_all(world.path("/etc")).unwrap();
    for name in ["/etc/theirs-1", "/etc/theirs-2", "/etc/theirs-3"] {
        world.put(name, "theirs");
        chown(world.path(name), Some(7), Some(8)).unwrap();
        fs::set_permissions(world.path(name), fs::Permissions::from_mode(0o604)).unwrap();
    }
}

fn apply(sink: &mut Sink, files: Vec<File>, commit: &str) {
    let staged = sink.stage(files, &Keep::default(), commit).unwrap();
    assert_eq!(staged.problems(), []);
    let flipped = sink.flip(staged).unwrap();
    assert_eq!(flipped.settled.problems, [], "{commit}");
}

/// Nothing of the old or new files outside of the run folder but where copies are declared, nothing half anywhere.
fn nothing_is_left(world: &World, at: usize) {
    let temporary = world.tree().into_iter().filter(|path| path.contains("bulla-new")).collect::<Vec<_>>();
    assert_eq!(temporary, [""; 0], "point {at}");
    let generations: Vec<_> =
        fs::read_dir(world.run().join("generations")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(generations.iter().all(|name| !name.to_string_lossy().contains("part")), "point {at}: {generations:?}");
    let ledger = fs::read_to_string(world.base.join("state/placed.json")).unwrap_or_default();
    assert!(!ledger.contains("canary"), "point {at}");
    assert!(fs::read_dir(world.base.join("state")).unwrap().count() <= 2, "point {at}");
}

struct Scenario {
    /// What was done before, in the same run folder.
    before: fn(&World),
    /// What is killed.
    step: fn(&mut Sink),
    /// The commit after it; the one before it is what `before` left.
    after: Option<&'static str>,
}

/// Kills `step` at every point. After each: opens the sink and compares with the states before and after.
fn at_every_point(name: &str, scenario: &Scenario) {
    if std::env::var_os(AT).is_some() {
        let world =
            World { probe: Probe::calling(point), ..World::at(std::env::var_os("BULLA_TEST_SINK").unwrap().into()) };
        let mut sink = world.open();
        (scenario.step)(&mut sink);
        fs::write(world.base.join(COUNT), PASSED.load(Ordering::SeqCst).to_string()).unwrap();
        return;
    }
    inside(name, |world| {
        in_memory(world);
        let child = |at: usize| {
            let done = Command::new(std::env::current_exe().unwrap())
                .args([&format!("sink::{name}"), "--exact", "--nocapture", "--test-threads=1"])
                .env(AT, at.to_string())
                .output()
                .unwrap();
            (done.status, String::from_utf8_lossy(&done.stderr).into_owned())
        };
        wipe(world);
        (scenario.before)(world);
        let start = state(world);
        let (status, output) = child(0);
        assert!(status.success(), "{output}");
        let end = state(world);
        assert_ne!(start, end, "the step does something");
        let points: usize = fs::read_to_string(world.base.join(COUNT)).unwrap().parse().unwrap();
        println!("{name}: {points} points");
        assert!(points > 20, "{points} points");
        let (mut olds, mut news) = (0, 0);
        for at in 1..=points {
            wipe(world);
            (scenario.before)(world);
            let (status, output) = child(at);
            assert_eq!(status.signal(), Some(9), "point {at} of {points}: {output}");
            let (mut sink, settled) = world.reopen();
            assert_eq!(settled.problems, [], "point {at}");
            let is_new = sink.current().commit.as_deref() == scenario.after && !sink.current().fresh;
            *if is_new { &mut news } else { &mut olds } += 1;
            assert_eq!(
                state(world),
                if is_new { end.clone() } else { start.clone() },
                "point {at} of {points}, new: {is_new}"
            );
            nothing_is_left(world, at);
            assert_eq!(sink.drift().unwrap(), [], "point {at}");
            // And life goes on, to the very end.
            (scenario.step)(&mut sink);
            assert_eq!(state(world), end, "point {at}: once more");
            apply(&mut sink, Vec::new(), "nothing");
            drop(sink);
            let (_, settled) = world.reopen();
            assert_eq!(settled, bulla::host::sink::Settled::default(), "point {at}: settled is settled");
            theirs_alone(world, at);
        }
        assert!(olds > 0 && news > 0, "{olds} times the old generation, {news} times the new one");
    });
}

/// Everything of ours is gone and everything of others is back.
fn theirs_alone(world: &World, at: usize) {
    assert_eq!(world.tree(), ["/etc/", "/etc/theirs-1", "/etc/theirs-2", "/etc/theirs-3"], "point {at}");
    for name in ["/etc/theirs-1", "/etc/theirs-2", "/etc/theirs-3"] {
        assert_eq!((world.read(name), world.rights(name)), ("theirs".to_owned(), (7, 8, 0o604)), "point {at}: {name}");
        assert_eq!(fs::metadata(world.path(name)).unwrap().nlink(), 1, "point {at}: {name}");
    }
}

fn with_old(world: &World) {
    apply(&mut world.open(), old(), "old");
}

fn with_old_and_new(world: &World) {
    let mut sink = world.open();
    apply(&mut sink, old(), "old");
    apply(&mut sink, new(), "new");
}

#[test]
fn a_kill_at_any_point_of_a_change_leaves_the_old_or_the_new() {
    let scenario = Scenario { before: with_old, step: |sink| apply(sink, new(), "new"), after: Some("new") };
    at_every_point("kill::a_kill_at_any_point_of_a_change_leaves_the_old_or_the_new", &scenario);
}

#[test]
fn a_kill_at_any_point_of_the_first_commit_leaves_nothing_or_all_of_it() {
    let scenario = Scenario { before: |_| {}, step: |sink| apply(sink, new(), "new"), after: Some("new") };
    at_every_point("kill::a_kill_at_any_point_of_the_first_commit_leaves_nothing_or_all_of_it", &scenario);
}

#[test]
fn a_kill_at_any_point_of_going_back_leaves_the_new_or_the_old() {
    let back = |sink: &mut Sink| {
        assert_eq!(sink.back_to(1).unwrap().settled.problems, []);
    };
    let scenario = Scenario { before: with_old_and_new, step: back, after: Some("old") };
    at_every_point("kill::a_kill_at_any_point_of_going_back_leaves_the_new_or_the_old", &scenario);
}

#[test]
fn a_kill_at_any_point_of_going_back_to_nothing_leaves_all_or_nothing() {
    let back = |sink: &mut Sink| {
        assert_eq!(sink.back_to(0).unwrap().settled.problems, []);
    };
    let scenario = Scenario { before: |world| apply(&mut world.open(), new(), "new"), step: back, after: None };
    at_every_point("kill::a_kill_at_any_point_of_going_back_to_nothing_leaves_all_or_nothing", &scenario);
}

#[test]
fn a_loss_of_power_and_another_commit_after_the_boot_end_at_that_commit() {
    let name = "kill::a_loss_of_power_and_another_commit_after_the_boot_end_at_that_commit";
    if std::env::var_os(AT).is_some() {
        let scenario = Scenario { before: |_| {}, step: |sink| apply(sink, new(), "new"), after: None };
        return at_every_point(name, &scenario);
    }
    inside(name, |world| {
        in_memory(world);
        wipe(world);
        with_old_and_new(world);
        let end = state(world);
        let mut at = 0;
        loop {
            at += 3;
            wipe(world);
            with_old(world);
            let done = Command::new(std::env::current_exe().unwrap())
                .args([&format!("sink::{name}"), "--exact", "--nocapture", "--test-threads=1"])
                .env(AT, at.to_string())
                .output()
                .unwrap();
            world.boot();
            let mut sink = world.open();
            nothing_is_left(world, at);
            apply(&mut sink, new(), "new");
            assert_eq!(state(world), end, "point {at}");
            nothing_is_left(world, at);
            apply(&mut sink, Vec::new(), "nothing");
            theirs_alone(world, at);
            if done.status.success() {
                break;
            }
        }
        assert!(at > 100, "{at} points");
    });
}
