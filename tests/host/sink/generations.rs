//! Stage, flip, back, prune.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use bulla::host::desired::{File, Keep, Place};
use bulla::host::sink::{Error, Probe};

use super::world::{DAEMON, NOBODY, World, apply, copy, inside, last_good, link, map, of, stage, told, try_apply};

#[test]
fn files_are_there_with_owner_group_and_mode_and_a_link_leads_to_tmpfs() {
    inside("generations::files_are_there_with_owner_group_and_mode_and_a_link_leads_to_tmpfs", |world| {
        let mut sink = world.open();
        let group = File { group: Some("nogroup".to_owned()), ..of(link("/etc/app/b", "two"), DAEMON, 0o640) };
        let group = if uzers_has("nogroup") { group } else { File { group: Some("65534".to_owned()), ..group } };
        let flipped = apply(
            &mut sink,
            vec![
                of(link("/etc/app/a", "one"), "65534", 0o400),
                group,
                of(copy("/etc/cron.d/c", "three"), "root", 0o4755),
            ],
        );
        assert_eq!((flipped.from, flipped.to), (0, 1));
        assert_eq!(told(&flipped), map([("/etc/app/a", "added"), ("/etc/app/b", "added"), ("/etc/cron.d/c", "added")]));
        assert_eq!(
            (world.read("/etc/app/a"), world.read("/etc/app/b"), world.read("/etc/cron.d/c")),
            ("one".into(), "two".into(), "three".into())
        );
        assert_eq!((world.rights("/etc/app/a").0, world.rights("/etc/app/a").2), (NOBODY, 0o400));
        assert_eq!(world.rights("/etc/app/b"), (1, 65534, 0o640));
        assert_eq!(world.rights("/etc/cron.d/c"), (0, 0, 0o4755));
        assert!(world.is_link("/etc/app/a") && !world.is_link("/etc/cron.d/c"));
        assert_eq!(fs::read_link(world.path("/etc/app/a")).unwrap(), world.run().join("current/files/etc/app/a"));
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(world.run()), mode(world.run().join("generations/1"))), (0o751, 0o751));
        assert_eq!(mode(world.run().join("generations/1/files/etc/app")), 0o711);
        assert_eq!(mode(world.run().join("generations/1/manifest.json")), 0o600);
        let manifest = fs::read_to_string(world.run().join("generations/1/manifest.json")).unwrap();
        assert!(!manifest.contains("one") && manifest.contains("test/secret"), "{manifest}");
    });
}

fn uzers_has(group: &str) -> bool {
    fs::read_to_string("/etc/group")
        .unwrap()
        .lines()
        .any(|line| line.starts_with(&format!("{group}:")) && line.contains(":65534:"))
}

static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Notes every file whose mode opens it to anybody before it has its owner, mode and all of its bytes.
fn too_open_too_early(_: &'static str) {
    let base = PathBuf::from(std::env::var_os("BULLA_TEST_SINK").unwrap());
    for folder in ["run/generations", "root", "state"] {
        look(&base.join(folder));
    }
}

fn look(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let Ok(stat) = fs::symlink_metadata(entry.path()) else { continue };
        if stat.is_dir() {
            look(&entry.path());
        } else if stat.is_file() && stat.mode() & 0o7777 != 0 {
            let own = stat.mode() & 0o7777 == 0o600 && stat.uid() == 0;
            let as_declared = (stat.uid(), stat.gid(), stat.mode() & 0o7777, stat.size()) == (1, NOBODY, 0o444, 6);
            if !own && !as_declared {
                SEEN.lock().unwrap().push(format!("{}: {:o} of {}", entry.path().display(), stat.mode(), stat.uid()));
            }
        }
    }
}

#[test]
fn no_file_can_be_read_by_anybody_before_it_is_whole_and_its_owners() {
    inside("generations::no_file_can_be_read_by_anybody_before_it_is_whole_and_its_owners", |world| {
        let world = World { probe: Probe::calling(too_open_too_early), ..World::at(world.base.clone()) };
        let mut sink = world.open();
        let given = |file| File { group: Some(NOBODY.to_string()), ..of(file, DAEMON, 0o444) };
        apply(&mut sink, vec![given(link("/etc/a", "secret")), given(copy("/etc/b", "secret"))]);
        apply(&mut sink, vec![given(link("/etc/a", "SECRET")), given(copy("/etc/b", "SECRET"))]);
        assert_eq!(*SEEN.lock().unwrap(), [""; 0]);
        assert_eq!(world.read("/etc/b"), "SECRET");
    });
}

#[test]
fn an_unchanged_commit_changes_nothing_and_says_so() {
    inside("generations::an_unchanged_commit_changes_nothing_and_says_so", |world| {
        let mut sink = world.open();
        apply(&mut sink, vec![link("/etc/a", "one"), copy("/etc/b", "two")]);
        let before = fs::metadata(world.path("/etc/b")).unwrap();
        let staged = sink.stage(vec![link("/etc/a", "one"), copy("/etc/b", "two")], &Keep::default(), "other").unwrap();
        assert_eq!(staged.changes(), []);
        let flipped = sink.flip(staged).unwrap();
        assert_eq!((flipped.from, flipped.to, flipped.changes.len()), (1, 1, 0));
        let after = fs::metadata(world.path("/etc/b")).unwrap();
        assert_eq!((before.ino(), before.ctime_nsec()), (after.ino(), after.ctime_nsec()));
        assert_eq!(sink.current().commit.as_deref(), Some("other"), "the commit is known all the same");
        assert_eq!(
            fs::read_dir(world.run().join("generations")).unwrap().count(),
            2,
            "0 and 1, nothing staged is left"
        );
    });
}

#[test]
fn owner_mode_and_place_count_as_bytes_do() {
    inside("generations::owner_mode_and_place_count_as_bytes_do", |world| {
        let mut sink = world.open();
        apply(
            &mut sink,
            vec![
                link("/etc/a", "1"),
                link("/etc/b", "1"),
                link("/etc/c", "1"),
                link("/etc/d", "1"),
                link("/etc/e", "1"),
            ],
        );
        let flipped = apply(
            &mut sink,
            vec![
                link("/etc/a", "1"),
                link("/etc/b", "2"),
                of(link("/etc/c", "1"), "root", 0o440),
                of(link("/etc/d", "1"), "1", 0o400),
                copy("/etc/e", "1"),
            ],
        );
        let expected = map([("/etc/b", "bytes"), ("/etc/c", "mode"), ("/etc/d", "owner group"), ("/etc/e", "place")]);
        assert_eq!(told(&flipped), expected);
        assert!(!world.is_link("/etc/e"));
        let back = apply(&mut sink, vec![link("/etc/e", "1")]);
        assert_eq!(told(&back).get("/etc/e").map(String::as_str), Some("place"));
        assert!(world.is_link("/etc/e"));
    });
}

#[test]
fn one_rename_changes_every_link_at_once_and_a_staged_generation_is_seen_by_nobody() {
    inside("generations::one_rename_changes_every_link_at_once_and_a_staged_generation_is_seen_by_nobody", |world| {
        let mut sink = world.open();
        apply(&mut sink, vec![link("/etc/a", "one"), link("/etc/b", "one")]);
        let staged = stage(&sink, vec![link("/etc/a", "two"), link("/etc/b", "two"), copy("/etc/c", "two")]);
        assert_eq!((world.read("/etc/a"), world.path("/etc/c").exists()), ("one".to_owned(), false));
        let seen: Vec<_> =
            staged.files().map(|file| (file.path, fs::read_to_string(file.staged).unwrap(), file.place)).collect();
        assert_eq!(seen.last(), Some(&(world.path("/etc/c"), "two".to_owned(), Place::Copy)));
        assert_eq!(staged.covers(), world.run().join("generations/1"));
        let folder = staged.folder().to_owned();
        drop(staged);
        assert!(!folder.exists(), "what is not flipped is wiped");
        let staged = stage(&sink, vec![link("/etc/a", "two"), link("/etc/b", "two")]);
        assert_eq!(told(&sink.flip(staged).unwrap()), map([("/etc/a", "bytes"), ("/etc/b", "bytes")]));
        assert_eq!((world.read("/etc/a"), world.read("/etc/b")), ("two".to_owned(), "two".to_owned()));
    });
}

#[test]
fn last_good_bytes_stay_also_with_a_new_mode_and_after_a_boot_a_copy_is_left_alone() {
    inside("generations::last_good_bytes_stay_also_with_a_new_mode_and_after_a_boot_a_copy_is_left_alone", |world| {
        let mut sink = world.open();
        apply(&mut sink, vec![link("/etc/a", "good"), copy("/etc/b", "good"), link("/etc/c", "1")]);
        let files = || {
            vec![of(last_good(link("/etc/a", "")), "root", 0o440), last_good(copy("/etc/b", "")), link("/etc/c", "2")]
        };
        assert_eq!(told(&apply(&mut sink, files())), map([("/etc/a", "mode"), ("/etc/c", "bytes")]));
        assert_eq!((world.read("/etc/a"), world.read("/etc/b")), ("good".to_owned(), "good".to_owned()));
        assert!(sink.current().files[Path::new("/etc/a")].stale && !sink.current().files[Path::new("/etc/c")].stale);
        drop(sink);
        world.boot();
        let mut sink = world.open();
        assert_eq!(world.read("/etc/b"), "good", "opening after a boot touches nothing");
        apply(&mut sink, files());
        assert_eq!((world.read("/etc/b"), world.read("/etc/c")), ("good".to_owned(), "2".to_owned()));
        assert_eq!(sink.current().held, [PathBuf::from("/etc/a"), PathBuf::from("/etc/b")]);
        apply(&mut sink, Vec::new());
        assert_eq!(world.tree(), ["/etc/"], "and goes when it is declared no more");
    });
}

#[test]
fn what_a_document_that_cannot_be_read_declared_stays() {
    inside("generations::what_a_document_that_cannot_be_read_declared_stays", |world| {
        let mut sink = world.open();
        apply(&mut sink, vec![link("/etc/a", "1"), copy("/etc/b", "1"), link("/etc/c", "1")]);
        let one = Keep::Paths([PathBuf::from("/etc/b")].into());
        let staged = sink.stage(vec![link("/etc/a", "2")], &one, "commit").unwrap();
        assert_eq!(told(&sink.flip(staged).unwrap()), map([("/etc/a", "bytes"), ("/etc/c", "removed")]));
        let staged = sink.stage(Vec::new(), &Keep::Everything, "commit").unwrap();
        assert_eq!(staged.changes(), []);
        drop((staged, sink));
        world.boot();
        let mut sink = world.open();
        let staged = sink.stage(vec![link("/etc/a", "2")], &Keep::Everything, "commit").unwrap();
        sink.flip(staged).unwrap();
        assert_eq!((world.read("/etc/a"), world.read("/etc/b")), ("2".to_owned(), "1".to_owned()));
    });
}

#[test]
fn going_back_brings_bytes_owners_and_removed_files_back_and_pruning_keeps_three() {
    inside("generations::going_back_brings_bytes_owners_and_removed_files_back_and_pruning_keeps_three", |world| {
        world.put("/etc/mine", "before");
        let mut sink = world.open();
        apply(&mut sink, vec![link("/etc/a", "one"), copy("/etc/b", "one"), link("/etc/mine", "ours")]);
        apply(&mut sink, vec![of(link("/etc/a", "two"), DAEMON, 0o440), link("/etc/c", "two")]);
        assert_eq!((world.read("/etc/mine"), world.path("/etc/b").exists()), ("before".to_owned(), false));
        let back = sink.back_to(1).unwrap();
        assert_eq!(told(&back)["/etc/a"], "bytes owner group mode");
        assert_eq!(
            (world.read("/etc/a"), world.read("/etc/b"), world.read("/etc/mine")),
            ("one".into(), "one".into(), "ours".into())
        );
        assert!(!world.path("/etc/c").exists());
        assert_eq!(world.rights("/etc/a"), (0, 0, 0o400));
        let back = sink.back_to(0).unwrap();
        assert_eq!(back.to, 0);
        assert_eq!(
            (world.tree(), world.read("/etc/mine")),
            (vec!["/etc/".to_owned(), "/etc/mine".to_owned()], "before".to_owned())
        );
        for number in 3..8 {
            assert_eq!(apply(&mut sink, vec![link("/etc/a", &number.to_string())]).to, number);
        }
        assert_eq!(sink.prune().unwrap(), 5);
        let kept: Vec<_> =
            sink.generations().unwrap().into_iter().map(|kept| (kept.manifest.number, kept.is_current)).collect();
        assert_eq!(kept, [(5, false), (6, false), (7, true)]);
        assert!(matches!(sink.back_to(1), Err(Error::NoGeneration(1))));
        sink.back_to(5).unwrap();
        assert_eq!(world.read("/etc/a"), "5");
        assert_eq!(sink.prune().unwrap(), 0, "the current one is never pruned");
        fs::write(world.run().join("generations/6/files/etc/a"), "by hand").unwrap();
        assert!(matches!(sink.back_to(6), Err(Error::Damaged { number: 6, .. })));
        assert_eq!(world.read("/etc/a"), "5");
        drop(sink);
        let sink = world.open();
        assert_eq!(
            (sink.current().number, sink.generations().unwrap().len()),
            (5, 1),
            "what was gone back from is gone"
        );
    });
}

#[test]
fn only_one_agent_works_in_a_run_folder() {
    inside("generations::only_one_agent_works_in_a_run_folder", |world| {
        let sink = world.open();
        assert!(matches!(bulla::host::sink::Sink::open(world.settings()), Err(Error::Busy(_))));
        drop(sink);
        world.open();
    });
}

#[test]
fn one_bad_file_never_takes_the_others_down() {
    inside("generations::one_bad_file_never_takes_the_others_down", |world| {
        let mut sink = world.open();
        apply(&mut sink, vec![link("/etc/a", "good"), link("/etc/z", "1")]);
        let long = format!("/etc/{}", "x".repeat(240));
        let files = vec![
            of(link("/etc/a", "bad"), "no-such-user", 0o400),
            of(link("/etc/b", "bad"), "no-such-user", 0o400),
            link("/etc/../etc/c", "bad"),
            link("relative", "bad"),
            link(&long, "bad"),
            link("/proc/self/mem", "bad"),
            link("/etc/d", "bad"),
            link("/etc/d", "twice"),
            link("/etc/d/below", "bad"),
            File { mode: 0o17777, ..link("/etc/e", "bad") },
            File { path: "/etc/nul\0".into(), ..link("", "bad") },
            link("/etc/z", "2"),
        ];
        let (flipped, problems) = try_apply(&mut sink, files);
        assert_eq!(told(&flipped), map([("/etc/d", "added"), ("/etc/z", "bytes")]));
        assert_eq!(world.read("/etc/a"), "good", "its last good bytes stay");
        assert_eq!(problems.len(), 10, "{problems:#?}");
        assert!(problems.iter().any(|problem| problem.contains("no user \"no-such-user\"")), "{problems:#?}");
        assert_eq!(world.tree(), ["/etc/", "/etc/a", "/etc/d", "/etc/z"]);
    });
}
