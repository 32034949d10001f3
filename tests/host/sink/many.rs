//! A thousand files.

use std::process::Command;

use bulla::host::sink::Probe;

use super::world::{World, apply, inside_of_size, link, stage};

#[test]
fn a_thousand_files_are_staged_flipped_changed_and_removed() {
    inside_of_size("64m", "many::a_thousand_files_are_staged_flipped_changed_and_removed", |world| {
        let files = |word: &str| {
            (0..1000).map(|at| link(&format!("/etc/app-{}/secret-{at}", at / 5), word)).collect::<Vec<_>>()
        };
        let mut sink = world.open();
        let clock = std::time::Instant::now();
        let lap = |what: &str, since: &mut std::time::Duration| {
            println!("{what}: {:?}", clock.elapsed() - *since);
            *since = clock.elapsed();
        };
        let mut since = std::time::Duration::ZERO;
        let staged = stage(&sink, files("one"));
        lap("stage", &mut since);
        assert_eq!((staged.changes().len(), staged.problems().len()), (1000, 0));
        let flipped = sink.flip(staged).unwrap();
        lap("first flip", &mut since);
        assert_eq!((flipped.settled.put.len(), flipped.settled.problems.len()), (1000, 0));
        let staged = stage(&sink, files("two"));
        lap("stage again", &mut since);
        let flipped = sink.flip(staged).unwrap();
        lap("flip of bytes alone", &mut since);
        assert_eq!((flipped.changes.len(), flipped.settled.put.len()), (1000, 0), "one rename changes them all");
        assert_eq!(
            (world.read("/etc/app-0/secret-0"), world.read("/etc/app-199/secret-999")),
            ("two".into(), "two".into())
        );
        assert_eq!(sink.drift().unwrap(), []);
        lap("drift", &mut since);
        let staged = stage(&sink, files("two"));
        assert_eq!(sink.flip(staged).unwrap().changes.len(), 0);
        lap("unchanged", &mut since);
        apply(&mut sink, Vec::new());
        lap("remove all", &mut since);
        assert_eq!(world.tree(), ["/etc/"]);
    });
}

/// Files in 20,000 folders: 330 of 60 folders each, and some more in the last of them.
fn deep() -> Vec<bulla::host::desired::File> {
    let below = |at: usize| format!("/deep/{at}{}", "/d".repeat(59));
    (0..10_000).map(|at| link(&format!("{}/{at}", below(at % 330)), "x")).collect()
}

/// Ends the process as soon as the new generation is current.
fn die_after_the_flip(step: &'static str) {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static PASSED: AtomicUsize = AtomicUsize::new(0);
    // Of the empty generation first, before and after it.
    if step == "flip" && PASSED.fetch_add(1, Ordering::SeqCst) == 3 {
        std::process::exit(9);
    }
}

#[test]
fn a_large_generation_in_deep_folders_that_was_interrupted_is_settled_when_the_sink_is_opened() {
    let name = "many::a_large_generation_in_deep_folders_that_was_interrupted_is_settled_when_the_sink_is_opened";
    inside_of_size("256m", name, |world| {
        const CHILD: &str = "BULLA_TEST_SINK_MANY_CHILD";
        if std::env::var_os(CHILD).is_some() {
            let mut sink = World { probe: Probe::calling(die_after_the_flip), ..World::at(world.base.clone()) }.open();
            apply(&mut sink, deep());
            unreachable!("it was to end after the flip");
        }
        let state = world.base.join("state");
        std::fs::create_dir(&state).unwrap();
        for folder in [world.base.join("root"), state] {
            assert!(Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(folder).status().unwrap().success());
        }
        let test = format!("sink::{name}");
        let child = Command::new(std::env::current_exe().unwrap())
            .args([test.as_str(), "--exact", "--nocapture", "--test-threads=1"])
            .env(CHILD, "1")
            .status();
        assert_eq!(child.unwrap().code(), Some(9));
        // Steps are bounded by folders plus files, not by their product: that took longer than anybody waits.
        let clock = std::time::Instant::now();
        let (sink, settled) = world.reopen();
        println!("opened: {:?}", clock.elapsed());
        assert_eq!((settled.put.len(), settled.problems.len()), (10_000, 0));
        assert_eq!(sink.current().files.len(), 10_000);
    });
}

#[test]
fn files_in_more_folders_than_may_be_are_told_and_the_others_are_there() {
    inside_of_size("256m", "many::files_in_more_folders_than_may_be_are_told_and_the_others_are_there", |world| {
        assert!(
            Command::new("mount")
                .args(["-t", "tmpfs", "tmpfs"])
                .arg(world.base.join("root"))
                .status()
                .unwrap()
                .success()
        );
        let sink = world.open();
        let below = |at: usize| format!("/deep/{at}{}", "/d".repeat(59));
        // With `/` and `/deep`: 333 times 60 folders fit.
        let mut files: Vec<_> = (100..450).map(|at| link(&format!("{}/key", below(at)), "x")).collect();
        files.push(link("/deep/key", "x"));
        let staged = stage(&sink, files);
        let problems: Vec<String> = staged.problems().iter().map(ToString::to_string).collect();
        assert_eq!((staged.changes().len(), problems.len()), (334, 17), "{problems:?}");
        assert!(problems.iter().all(|problem| problem.contains("more than 20000 folders")), "{problems:?}");
        assert!(staged.manifest().files.contains_key(std::path::Path::new("/deep/key")));
    });
}
