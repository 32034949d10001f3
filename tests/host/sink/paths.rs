//! What was there before, what somebody else put there, and folders.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use super::world::{DAEMON, apply, copy, inside, link, map, of, told, try_apply};

#[test]
fn what_was_there_before_is_kept_beside_it_with_owner_and_mode_and_comes_back() {
    inside("paths::what_was_there_before_is_kept_beside_it_with_owner_and_mode_and_comes_back", |world| {
        world.put("/etc/a", "theirs");
        fs::set_permissions(world.path("/etc/a"), fs::Permissions::from_mode(0o641)).unwrap();
        std::os::unix::fs::chown(world.path("/etc/a"), Some(1), Some(2)).unwrap();
        world.put("/etc/b", "same");
        symlink("/usr/share/zoneinfo/UTC", world.path("/etc/c")).unwrap();
        let mut sink = world.open();
        let flipped = apply(&mut sink, vec![link("/etc/a", "ours"), copy("/etc/b", "same"), link("/etc/c", "ours")]);
        assert_eq!(flipped.settled.kept.len(), 3, "{:?}", flipped.settled);
        assert_eq!(
            world.tree(),
            [
                "/etc/",
                "/etc/.a.before-bulla",
                "/etc/.b.before-bulla",
                "/etc/.c.before-bulla",
                "/etc/a",
                "/etc/b",
                "/etc/c"
            ]
        );
        assert_eq!(
            (world.read("/etc/a"), world.read("/etc/.a.before-bulla")),
            ("ours".to_owned(), "theirs".to_owned())
        );
        assert_eq!(world.rights("/etc/.a.before-bulla"), (1, 2, 0o641));
        let flipped =
            apply(&mut sink, vec![link("/etc/a", "ours 2"), copy("/etc/b", "ours 2"), link("/etc/c", "ours")]);
        assert_eq!(flipped.settled.kept, [], "it is kept once");
        let gone = apply(&mut sink, Vec::new());
        assert_eq!(gone.settled.restored.len(), 3);
        assert_eq!(world.tree(), ["/etc/", "/etc/a", "/etc/b", "/etc/c"]);
        assert_eq!(
            (world.read("/etc/a"), world.read("/etc/b"), world.rights("/etc/a")),
            ("theirs".into(), "same".into(), (1, 2, 0o641))
        );
        assert_eq!(fs::read_link(world.path("/etc/c")).unwrap().to_str(), Some("/usr/share/zoneinfo/UTC"));
    });
}

#[test]
fn what_is_no_longer_declared_disappears_with_the_folders_that_were_made_for_it() {
    inside("paths::what_is_no_longer_declared_disappears_with_the_folders_that_were_made_for_it", |world| {
        fs::create_dir(world.path("/etc/theirs")).unwrap();
        let mut sink = world.open();
        apply(
            &mut sink,
            vec![link("/srv/a/b/c", "1"), copy("/srv/a/d", "1"), link("/etc/theirs/e", "1"), link("/opt/f/g", "1")],
        );
        let folder = fs::metadata(world.path("/srv/a/b")).unwrap();
        assert_eq!((folder.uid(), folder.mode() & 0o7777), (0, 0o755));
        world.put("/opt/f/somebody-elses", "x");
        let flipped = apply(&mut sink, vec![copy("/srv/a/d", "1")]);
        assert_eq!(
            told(&flipped),
            map([("/srv/a/b/c", "removed"), ("/etc/theirs/e", "removed"), ("/opt/f/g", "removed")])
        );
        let left =
            ["/etc/", "/etc/theirs/", "/opt/", "/opt/f/", "/opt/f/somebody-elses", "/srv/", "/srv/a/", "/srv/a/d"];
        assert_eq!(world.tree(), left);
        fs::remove_file(world.path("/opt/f/somebody-elses")).unwrap();
        drop(sink);
        world.boot();
        let mut sink = world.open();
        assert_eq!(world.read("/srv/a/d"), "1", "a boot alone removes nothing");
        apply(&mut sink, Vec::new());
        assert_eq!(world.tree(), ["/etc/", "/etc/theirs/"], "what is ours is known after a boot too");
    });
}

#[test]
fn a_file_becomes_a_folder_and_a_folder_a_file() {
    inside("paths::a_file_becomes_a_folder_and_a_folder_a_file", |world| {
        let mut sink = world.open();
        apply(&mut sink, vec![link("/etc/a", "1"), copy("/etc/b", "1"), link("/etc/c/d", "1")]);
        apply(&mut sink, vec![link("/etc/a/x", "2"), copy("/etc/b/x/y", "2"), link("/etc/c", "2")]);
        assert_eq!(
            (world.read("/etc/a/x"), world.read("/etc/b/x/y"), world.read("/etc/c")),
            ("2".into(), "2".into(), "2".into())
        );
        apply(&mut sink, vec![link("/etc/a", "3"), copy("/etc/b", "3"), link("/etc/c/d", "3")]);
        assert_eq!(world.tree(), ["/etc/", "/etc/a", "/etc/b", "/etc/c/", "/etc/c/d"]);
    });
}

#[test]
fn what_somebody_put_in_our_place_is_not_removed_with_ours() {
    inside("paths::what_somebody_put_in_our_place_is_not_removed_with_ours", |world| {
        let mut sink = world.open();
        apply(&mut sink, vec![link("/etc/a", "1"), link("/etc/b", "1")]);
        fs::remove_file(world.path("/etc/a")).unwrap();
        world.put("/etc/a", "by hand");
        fs::remove_file(world.path("/etc/b")).unwrap();
        fs::create_dir(world.path("/etc/b")).unwrap();
        apply(&mut sink, Vec::new());
        assert_eq!(
            (world.tree(), world.read("/etc/a")),
            (vec!["/etc/".into(), "/etc/a".into(), "/etc/b/".into()], "by hand".into())
        );
    });
}

#[test]
fn a_lost_ledger_costs_no_file_of_anybody() {
    inside("paths::a_lost_ledger_costs_no_file_of_anybody", |world| {
        world.put("/etc/theirs", "theirs");
        let files = || vec![link("/etc/a", "1"), of(copy("/etc/b", "1"), DAEMON, 0o440), copy("/etc/theirs", "ours")];
        let mut sink = world.open();
        apply(&mut sink, files());
        drop(sink);
        fs::write(world.base.join("state/placed.json"), "{").unwrap();
        let mut sink = world.open();
        assert!(sink.warnings().iter().any(|warning| warning.contains("placed.json")), "{:?}", sink.warnings());
        assert_eq!(
            (world.read("/etc/a"), world.read("/etc/b"), world.read("/etc/theirs")),
            ("1".into(), "1".into(), "ours".into())
        );
        apply(&mut sink, Vec::new());
        assert_eq!(world.read("/etc/theirs"), "theirs");
        assert!(!world.path("/etc/a").exists());

        // Two files want one name: nobody is overwritten.
        world.put("/etc/x", "theirs");
        world.put("/etc/.x.before-bulla", "theirs too");
        let (_, problems) = try_apply(&mut sink, vec![link("/etc/x", "ours"), link("/etc/y", "1")]);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(
            (world.read("/etc/x"), world.read("/etc/.x.before-bulla"), world.read("/etc/y")),
            ("theirs".into(), "theirs too".into(), "1".into())
        );
    });
}
