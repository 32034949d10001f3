//! Changes by hand are found, told and put back.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::time::Duration;

use bulla::host::sink::{Drift, Watch};

use super::world::{apply, copy, inside, last_good, link, map, stage, told, try_apply};

fn kinds(drift: &[Drift]) -> Vec<String> {
    let words = drift.iter().map(|drift| match drift {
        Drift::Current => "current".to_owned(),
        Drift::Path { path, .. } => format!("path {}", path.display()),
        Drift::Generation { path, what, .. } => format!("generation {} {what:?}", path.display()),
    });
    words.collect()
}

#[test]
fn what_was_edited_or_removed_at_declared_paths_is_put_back() {
    inside("drift::what_was_edited_or_removed_at_declared_paths_is_put_back", |world| {
        let mut sink = world.open();
        let names = ["/etc/gone", "/etc/file", "/etc/elsewhere"];
        let copies = ["/etc/c/bytes", "/etc/c/mode", "/etc/c/owner", "/etc/c/gone", "/etc/c/link"];
        let files = names.iter().map(|path| link(path, "good")).chain(copies.iter().map(|path| copy(path, "good")));
        apply(&mut sink, files.collect());
        assert_eq!(sink.drift().unwrap(), []);
        fs::remove_file(world.path("/etc/gone")).unwrap();
        fs::remove_file(world.path("/etc/file")).unwrap();
        world.put("/etc/file", "by hand");
        fs::remove_file(world.path("/etc/elsewhere")).unwrap();
        symlink("/tmp", world.path("/etc/elsewhere")).unwrap();
        fs::write(world.path("/etc/c/bytes"), "gooD").unwrap();
        fs::set_permissions(world.path("/etc/c/mode"), fs::Permissions::from_mode(0o444)).unwrap();
        chown(world.path("/etc/c/owner"), Some(1), None).unwrap();
        fs::remove_file(world.path("/etc/c/gone")).unwrap();
        fs::remove_file(world.path("/etc/c/link")).unwrap();
        symlink("bytes", world.path("/etc/c/link")).unwrap();
        let found = sink.drift().unwrap();
        assert_eq!(found.len(), 8, "{found:?}");
        assert!(found.iter().all(|drift| matches!(drift, Drift::Path { .. })), "{found:?}");
        let repaired = sink.repair().unwrap();
        assert_eq!((repaired.settled.put.len(), repaired.settled.problems.len(), repaired.stage_again), (8, 0, false));
        assert_eq!(sink.drift().unwrap(), []);
        for path in names.iter().chain(&copies) {
            assert_eq!((world.read(path), world.rights(path)), ("good".to_owned(), (0, 0, 0o400)), "{path}");
        }
        fs::remove_dir_all(world.path("/etc/c")).unwrap();
        assert_eq!(sink.repair().unwrap().settled.put.len(), 5, "with their folder");
    });
}

#[test]
fn an_edit_of_the_file_on_tmpfs_itself_is_found_and_staged_again() {
    inside("drift::an_edit_of_the_file_on_tmpfs_itself_is_found_and_staged_again", |world| {
        let mut sink = world.open();
        let files = || {
            vec![
                link("/etc/a", "good"),
                link("/etc/b", "good"),
                link("/etc/c", "good"),
                copy("/etc/d", "good"),
                link("/etc/e", "1"),
            ]
        };
        apply(&mut sink, files());
        // Through the link: what `vi` or `echo >` does.
        fs::write(world.path("/etc/a"), "evil").unwrap();
        fs::set_permissions(world.path("/etc/b"), fs::Permissions::from_mode(0o644)).unwrap();
        fs::hard_link(world.run().join("current/files/etc/c"), world.run().join("stolen")).unwrap();
        fs::write(world.run().join("current/files/etc/d"), "evil").unwrap();
        let found = kinds(&sink.drift().unwrap());
        let expected = [
            "generation /etc/a [Bytes]",
            "generation /etc/b [Mode]",
            "generation /etc/c [Bytes]",
            "generation /etc/d [Bytes]",
        ];
        assert_eq!(found, expected);
        assert!(sink.repair().unwrap().stage_again);
        assert_eq!(world.read("/etc/d"), "good", "a copy is never made of bytes that were changed");
        let staged = stage(&sink, files());
        let flipped = sink.flip(staged).unwrap();
        assert_eq!(
            told(&flipped),
            map([("/etc/a", "bytes"), ("/etc/b", "mode"), ("/etc/c", "bytes"), ("/etc/d", "bytes")])
        );
        assert_eq!((sink.drift().unwrap(), world.read("/etc/a")), (Vec::new(), "good".to_owned()));
    });
}

#[test]
fn a_file_that_its_owner_made_larger_than_any_memory_is_a_change_and_is_not_read() {
    inside("drift::a_file_that_its_owner_made_larger_than_any_memory_is_a_change_and_is_not_read", |world| {
        let files = || vec![link("/etc/a", "good"), link("/etc/b", "good"), copy("/etc/c", "good")];
        let mut sink = world.open();
        apply(&mut sink, vec![link("/etc/a", "good"), link("/etc/b", "good")]);
        apply(&mut sink, files());
        // Holes: a tmpfs takes them, and so do most disks, each as far as it can count.
        let grow = |path: std::path::PathBuf, size| {
            fs::OpenOptions::new().write(true).open(path).unwrap().set_len(size).unwrap();
        };
        let copied = world.run().join("generations/2/files/etc/c");
        grow(world.path("/etc/a"), 1 << 62);
        grow(copied, 1 << 62);
        grow(world.path("/etc/c"), 1 << 40);
        assert_eq!(kinds(&sink.drift().unwrap()).len(), 3);
        assert!(sink.repair().unwrap().stage_again);
        let files = vec![last_good(link("/etc/a", "")), link("/etc/b", "good"), copy("/etc/c", "good")];
        let (_, problems) = try_apply(&mut sink, files);
        assert_eq!(problems, [""; 0]);
        assert_eq!((world.read("/etc/a"), world.read("/etc/c")), ("good".to_owned(), "good".to_owned()));
        grow(world.run().join("generations/1/files/etc/a"), 1 << 62);
        assert!(matches!(sink.back_to(1), Err(bulla::host::sink::Error::Damaged { .. })));
    });
}

#[test]
fn last_good_bytes_are_never_those_of_an_edit() {
    inside("drift::last_good_bytes_are_never_those_of_an_edit", |world| {
        let mut sink = world.open();
        apply(&mut sink, vec![link("/etc/a", "good"), link("/etc/b", "1"), link("/etc/n", "1")]);
        apply(&mut sink, vec![link("/etc/a", "good"), link("/etc/b", "2"), link("/etc/n", "1")]);
        fs::write(world.path("/etc/a"), "evil").unwrap();
        fs::write(world.path("/etc/b"), "evil").unwrap();
        let files = vec![last_good(link("/etc/a", "")), last_good(link("/etc/b", "")), link("/etc/n", "2")];
        apply(&mut sink, files);
        assert_eq!(world.read("/etc/a"), "good", "the generation before still had them");
        assert!(!world.path("/etc/b").exists(), "none had them: no bytes are better than an edit");
    });
}

#[test]
fn a_current_that_leads_elsewhere_is_put_back() {
    inside("drift::a_current_that_leads_elsewhere_is_put_back", |world| {
        let mut sink = world.open();
        apply(&mut sink, vec![link("/etc/a", "1")]);
        apply(&mut sink, vec![link("/etc/a", "2")]);
        fs::remove_file(world.run().join("current")).unwrap();
        symlink("generations/1", world.run().join("current")).unwrap();
        assert_eq!((kinds(&sink.drift().unwrap()), world.read("/etc/a")), (vec!["current".to_owned()], "1".to_owned()));
        sink.repair().unwrap();
        assert_eq!((sink.drift().unwrap(), world.read("/etc/a")), (Vec::new(), "2".to_owned()));
        fs::remove_dir_all(world.run().join("generations/2")).unwrap();
        assert_eq!(sink.drift().unwrap().len(), 1);
        assert!(sink.repair().unwrap().stage_again);
        let staged = stage(&sink, vec![link("/etc/a", "2")]);
        sink.flip(staged).unwrap();
        assert_eq!((sink.drift().unwrap(), world.read("/etc/a")), (Vec::new(), "2".to_owned()));
    });
}

#[test]
fn folders_that_come_later_are_watched_and_one_that_goes_away_asks_for_a_new_watch() {
    inside("drift::folders_that_come_later_are_watched_and_one_that_goes_away_asks_for_a_new_watch", |world| {
        let mut sink = world.open();
        apply(&mut sink, vec![link("/etc/a", "good"), copy("/srv/app/b", "good")]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (quiet, long) = (Duration::from_millis(50), Duration::from_secs(20));
            let watch = |sink: &bulla::host::sink::Sink| {
                let watch = Watch::new(sink.watch_list(), quiet, Duration::from_secs(1)).unwrap();
                watch.trying_again(Duration::from_millis(300))
            };
            let mut first = watch(&sink);
            fs::remove_dir_all(world.path("/srv/app")).unwrap();
            let told = tokio::time::timeout(long, first.changed()).await.expect("it is told");
            assert!(told.is_err(), "the watch looks at a folder that is gone");

            let mut second = watch(&sink);
            assert_eq!(second.unwatched().len(), 1);
            assert_eq!(second.unwatched()[0].0, world.path("/srv/app"));
            sink.repair().unwrap();
            tokio::time::timeout(long, second.changed()).await.expect("it is there again").unwrap();
            assert!(second.unwatched().is_empty());
            fs::write(world.path("/srv/app/b"), "by hand").unwrap();
            tokio::time::timeout(long, second.changed()).await.expect("an edit in it is told").unwrap();
        });
    });
}

#[test]
fn edits_are_told_at_once_and_other_files_of_the_folder_are_not() {
    inside("drift::edits_are_told_at_once_and_other_files_of_the_folder_are_not", |world| {
        let mut sink = world.open();
        apply(&mut sink, vec![link("/etc/a", "good"), copy("/etc/b", "good")]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let quiet = Duration::from_millis(100);
            let mut watch = Watch::new(sink.watch_list(), quiet, Duration::from_secs(1)).unwrap();
            assert!(watch.unwatched().is_empty());
            let long = Duration::from_secs(20);
            let edits: [&dyn Fn(); 5] = [
                &|| fs::write(world.path("/etc/a"), "by hand").unwrap(),
                &|| fs::write(world.path("/etc/b"), "by hand").unwrap(),
                &|| fs::set_permissions(world.path("/etc/b"), fs::Permissions::from_mode(0o444)).unwrap(),
                &|| fs::remove_file(world.path("/etc/a")).unwrap(),
                &|| fs::remove_file(world.run().join("current")).unwrap(),
            ];
            for edit in edits {
                edit();
                tokio::time::timeout(long, watch.changed()).await.expect("an edit is told").unwrap();
            }
            fs::write(world.path("/etc/b"), "again").unwrap();
            let mut told = false;
            for _ in 0..4000 {
                told = told || tokio::time::timeout(Duration::from_millis(5), watch.changed()).await.is_ok();
                if told {
                    break;
                }
            }
            assert!(told, "also to who stops listening for a moment, again and again");
            world.put("/etc/somebody-elses", "x");
            let told = tokio::time::timeout(Duration::from_millis(400), watch.changed()).await;
            assert!(told.is_err(), "a file that is not declared is nobody's business");
        });
    });
}
