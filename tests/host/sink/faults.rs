//! Full disks, read-only targets, a run folder that is no tmpfs.

use std::fs;
use std::process::Command;

use bulla::host::sink::{Error, Sink, Storage};

use super::world::{World, apply, copy, inside, inside_of_size, link, map, stage, told, try_apply};
use bulla::host::desired::Keep;

fn mount(kind: &[&str], at: &std::path::Path) {
    assert!(Command::new("mount").args(kind).arg(at).status().unwrap().success(), "mount {kind:?}");
}

#[test]
fn a_full_tmpfs_fails_the_whole_stage_and_changes_nothing() {
    inside_of_size("256k", "faults::a_full_tmpfs_fails_the_whole_stage_and_changes_nothing", |world| {
        let mut sink = world.open();
        apply(&mut sink, vec![link("/etc/a", "good"), copy("/etc/b", "good")]);
        let large = "x".repeat(300 << 10);
        let failed = sink.stage(vec![link("/etc/a", "new"), link("/etc/big", &large)], &Keep::default(), "commit");
        assert!(matches!(&failed, Err(Error::NoSpace { at, .. }) if at.ends_with("etc/big")), "{:?}", failed.err());
        assert_eq!(fs::read_dir(world.run().join("generations")).unwrap().count(), 2, "what was staged is wiped");
        assert_eq!((world.read("/etc/a"), world.read("/etc/b")), ("good".to_owned(), "good".to_owned()));
        assert_eq!(
            told(&apply(&mut sink, vec![link("/etc/a", "new"), copy("/etc/b", "good")])),
            map([("/etc/a", "bytes")])
        );
    });
}

#[test]
fn a_full_disk_keeps_the_old_copy_says_so_and_it_is_made_when_there_is_room() {
    inside("faults::a_full_disk_keeps_the_old_copy_says_so_and_it_is_made_when_there_is_room", |world| {
        fs::create_dir(world.path("/small")).unwrap();
        mount(&["-t", "tmpfs", "-o", "size=64k", "tmpfs"], &world.path("/small"));
        let mut sink = world.open();
        apply(&mut sink, vec![copy("/small/a", "good"), link("/etc/b", "1")]);
        world.put("/small/fill", &"x".repeat(40 << 10));
        let large = "y".repeat(30 << 10);
        let (_, problems) = try_apply(&mut sink, vec![copy("/small/a", &large), link("/etc/b", "2")]);
        assert!(problems.len() == 1 && problems[0].starts_with("/small/a: "), "{problems:?}");
        assert_eq!((world.read("/small/a"), world.read("/etc/b")), ("good".to_owned(), "2".to_owned()));
        assert_eq!(world.tree(), ["/etc/", "/etc/b", "/small/", "/small/a", "/small/fill"], "nothing half is left");
        assert_eq!(sink.drift().unwrap().len(), 1);
        fs::remove_file(world.path("/small/fill")).unwrap();
        assert_eq!(sink.repair().unwrap().settled.put.len(), 1);
        assert_eq!(world.read("/small/a"), large);
    });
}

#[test]
fn a_read_only_target_is_a_problem_of_its_files_alone() {
    inside("faults::a_read_only_target_is_a_problem_of_its_files_alone", |world| {
        fs::create_dir(world.path("/ro")).unwrap();
        mount(&["-t", "tmpfs", "-o", "ro", "tmpfs"], &world.path("/ro"));
        let mut sink = world.open();
        let staged = stage(&sink, vec![link("/ro/a", "1"), copy("/ro/sub/b", "1"), link("/etc/c", "1")]);
        let problems: Vec<_> = staged.problems().iter().map(ToString::to_string).collect();
        assert!(
            problems.len() == 2 && problems.iter().all(|problem| problem.contains("Read-only file system")),
            "{problems:?}"
        );
        assert_eq!(told(&sink.flip(staged).unwrap()), map([("/etc/c", "added")]));
        assert_eq!(world.read("/etc/c"), "1");
    });
}

#[test]
fn a_run_folder_on_a_disk_is_refused_unless_the_settings_allow_it() {
    inside("faults::a_run_folder_on_a_disk_is_refused_unless_the_settings_allow_it", |world| {
        let disk = World::at(world.base.join("disk"));
        fs::create_dir_all(disk.path("/etc")).unwrap();
        // The temporary folder of the machine may itself be in memory: another kind of file system is what counts.
        let kind = rustix::fs::statfs(&disk.base).unwrap().f_type;
        if kind == 0x0102_1994 {
            panic!("this test needs a temporary folder on a disk: set TMPDIR");
        }
        assert!(matches!(Sink::open(disk.settings()), Err(Error::OnDisk { .. })));
        let disk = World { storage: Storage::Any, ..disk };
        let sink = disk.open();
        assert!(sink.warnings().iter().any(|warning| warning.contains("is on a disk")), "{:?}", sink.warnings());
    });
}

#[test]
fn a_state_folder_that_cannot_be_written_stops_a_flip_before_it() {
    inside("faults::a_state_folder_that_cannot_be_written_stops_a_flip_before_it", |world| {
        fs::create_dir(world.base.join("state")).unwrap();
        mount(&["-t", "tmpfs", "-o", "size=64k", "tmpfs"], &world.base.join("state"));
        let mut sink = world.open();
        apply(&mut sink, vec![link("/etc/a", "1")]);
        assert!(
            Command::new("mount").args(["-o", "remount,ro"]).arg(world.base.join("state")).status().unwrap().success()
        );
        let staged = stage(&sink, vec![link("/etc/a", "2"), link("/etc/b", "2")]);
        assert!(matches!(sink.flip(staged), Err(Error::System { .. })));
        assert_eq!(
            (world.read("/etc/a"), world.tree()),
            ("1".to_owned(), vec!["/etc/".to_owned(), "/etc/a".to_owned()])
        );
        let staged = stage(&sink, vec![link("/etc/a", "2")]);
        sink.flip(staged).expect("where nothing new is claimed the ledger is not needed");
        assert_eq!(world.read("/etc/a"), "2");
    });
}

#[test]
fn a_run_folder_of_somebody_else_and_a_link_in_its_place_are_refused() {
    inside("faults::a_run_folder_of_somebody_else_and_a_link_in_its_place_are_refused", |world| {
        std::os::unix::fs::chown(world.run(), Some(1), None).unwrap();
        assert!(matches!(Sink::open(world.settings()), Err(Error::NotOurs { uid: 1, .. })));
        std::os::unix::fs::chown(world.run(), Some(0), None).unwrap();
        std::os::unix::fs::symlink(world.run(), world.base.join("link")).unwrap();
        let settings = bulla::host::sink::Settings { run: world.base.join("link"), ..world.settings() };
        assert!(matches!(Sink::open(settings), Err(Error::System { .. })));
        world.open();
    });
}
