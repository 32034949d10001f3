//! Symbolic links on the path, and what is no file at its end.

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::process::Command;

use bulla::host::sink::Policy;

use super::world::{World, apply, copy, inside, link, map, told, try_apply};

#[test]
fn a_link_that_a_user_can_change_is_not_followed_and_one_of_roots_is() {
    inside("attacks::a_link_that_a_user_can_change_is_not_followed_and_one_of_roots_is", |world| {
        fs::create_dir_all(world.path("/home/app")).unwrap();
        fs::create_dir_all(world.path("/run/real")).unwrap();
        fs::create_dir_all(world.path("/var")).unwrap();
        chown(world.path("/home/app"), Some(1), Some(1)).unwrap();
        symlink("/etc", world.path("/home/app/conf")).unwrap();
        std::os::unix::fs::lchown(world.path("/home/app/conf"), Some(1), Some(1)).unwrap();
        // Root's link, but in a folder where the user can put another in its place.
        symlink("../../etc", world.path("/home/app/roots")).unwrap();
        symlink("/run", world.path("/var/run")).unwrap();
        symlink("../run/real", world.path("/var/up")).unwrap();
        symlink("loop", world.path("/var/loop")).unwrap();
        let mut sink = world.open();
        let (flipped, problems) = try_apply(
            &mut sink,
            vec![
                link("/home/app/conf/secret", "x"),
                copy("/home/app/conf/cron.d/secret", "x"),
                copy("/home/app/roots/secret", "x"),
                link("/home/app/own/secret", "theirs"),
                link("/var/run/a", "1"),
                copy("/var/up/new/b", "1"),
                link("/var/loop/c", "x"),
            ],
        );
        assert_eq!(
            told(&flipped),
            map([("/home/app/own/secret", "added"), ("/var/run/a", "added"), ("/var/up/new/b", "added")])
        );
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert_eq!(
            problems.iter().filter(|problem| problem.contains("can change, so it is not followed")).count(),
            3,
            "{problems:?}"
        );
        assert_eq!(fs::read_dir(world.path("/etc")).unwrap().count(), 0, "nothing came through the links");
        assert_eq!((world.read("/run/a"), world.read("/run/real/new/b")), ("1".to_owned(), "1".to_owned()));
        apply(&mut sink, Vec::new());
        assert_eq!((fs::read_dir(world.path("/run/real")).unwrap().count(), world.path("/run/a").exists()), (0, false));
    });
}

#[test]
fn a_link_that_takes_a_folders_place_after_the_flip_leads_nobody_astray() {
    inside("attacks::a_link_that_takes_a_folders_place_after_the_flip_leads_nobody_astray", |world| {
        fs::create_dir_all(world.path("/home/app/conf")).unwrap();
        chown(world.path("/home/app"), Some(1), Some(1)).unwrap();
        let mut sink = world.open();
        apply(&mut sink, vec![copy("/home/app/conf/passwd", "1"), link("/home/app/conf/link", "1")]);
        world.put("/etc/passwd", "theirs");
        fs::rename(world.path("/home/app/conf"), world.path("/home/app/away")).unwrap();
        symlink("/etc", world.path("/home/app/conf")).unwrap();
        std::os::unix::fs::lchown(world.path("/home/app/conf"), Some(1), Some(1)).unwrap();
        assert_eq!(sink.drift().unwrap().len(), 2);
        assert_eq!(sink.repair().unwrap().settled.problems.len(), 2);
        let gone = sink.stage(Vec::new(), &bulla::host::desired::Keep::default(), "commit").unwrap();
        assert_eq!(
            sink.flip(gone).unwrap().settled.problems.len(),
            2,
            "what cannot be reached safely is told of, not removed"
        );
        assert_eq!(world.read("/etc/passwd"), "theirs");
        assert_eq!(fs::read_dir(world.path("/etc")).unwrap().count(), 1);
    });
}

#[test]
fn links_do_not_lead_around_the_policy_nor_into_the_agents_own_folders() {
    inside("attacks::links_do_not_lead_around_the_policy_nor_into_the_agents_own_folders", |world| {
        fs::create_dir_all(world.path("/etc/private")).unwrap();
        symlink("private", world.path("/etc/open")).unwrap();
        symlink("/proc", world.path("/etc/kernel")).unwrap();
        fs::create_dir(world.path("/proc")).unwrap();
        let forbidden = ["/etc/private/**".to_owned()];
        let policy = Policy::new(None, &forbidden, vec![world.path("/etc/bulla")]).unwrap();
        let world = World { policy, ..World::at(world.base.clone()) };
        let mut sink = world.open();
        let paths = [
            "/etc/private/a",
            "/etc/open/a",
            "/etc/kernel/a",
            "/etc/bulla/host.yaml",
            "/etc/bulla",
            "/dev/null",
            "/sys/a",
        ];
        let (flipped, problems) =
            try_apply(&mut sink, paths.iter().map(|path| link(path, "x")).chain([link("/etc/b", "1")]).collect());
        assert_eq!(told(&flipped), map([("/etc/b", "added")]));
        assert_eq!(problems.len(), paths.len(), "{problems:?}");
        assert_eq!(world.tree(), ["/etc/", "/etc/b", "/etc/kernel", "/etc/open", "/etc/private/", "/proc/"]);
    });
}

#[test]
fn what_may_be_written_is_held_against_the_path_that_links_lead_to() {
    inside("attacks::what_may_be_written_is_held_against_the_path_that_links_lead_to", |world| {
        for folder in ["/etc/app", "/usr/lib/mods", "/etc/app/real"] {
            fs::create_dir_all(world.path(folder)).unwrap();
        }
        symlink("/usr/lib/mods", world.path("/etc/app/modules")).unwrap();
        symlink("real", world.path("/etc/app/inner")).unwrap();
        let policy = Policy::new(Some(&["/etc/app/**".to_owned()]), &[], Vec::new()).unwrap();
        let mut sink = World { policy, ..World::at(world.base.clone()) }.open();
        let paths = ["/etc/app/modules/evil.so", "/etc/app/modules/new/evil.so", "/etc/app/inner/a", "/etc/app/new/a"];
        let (flipped, problems) = try_apply(&mut sink, paths.iter().map(|path| link(path, "x")).collect());
        assert_eq!(told(&flipped), map([("/etc/app/inner/a", "added"), ("/etc/app/new/a", "added")]));
        let both = |problem: &&String| {
            problem.contains("/etc/app/modules/")
                && problem.contains("/usr/lib/mods/")
                && problem.contains("allow.paths")
        };
        assert_eq!((problems.len(), problems.iter().filter(both).count()), (2, 2), "{problems:?}");
        assert_eq!(fs::read_dir(world.path("/usr/lib/mods")).unwrap().count(), 0);

        // A folder that becomes a link later is drift, and nothing goes through it.
        fs::rename(world.path("/etc/app/new"), world.path("/etc/app/old")).unwrap();
        symlink("/usr/lib/mods", world.path("/etc/app/new")).unwrap();
        assert_eq!((sink.drift().unwrap().len(), sink.repair().unwrap().settled.problems.len()), (1, 1));
        assert_eq!(fs::read_dir(world.path("/usr/lib/mods")).unwrap().count(), 0);
    });
}

#[test]
fn folders_fifos_devices_sockets_and_mount_points_are_never_replaced() {
    inside("attacks::folders_fifos_devices_sockets_and_mount_points_are_never_replaced", |world| {
        fs::create_dir(world.path("/etc/folder")).unwrap();
        let run = |program: &str, args: &[&str]| {
            assert!(Command::new(program).args(args).status().unwrap().success(), "{program}")
        };
        let path = |declared: &str| world.path(declared).to_str().unwrap().to_owned();
        run("mkfifo", &[&path("/etc/fifo")]);
        run("mknod", &[&path("/etc/device"), "c", "1", "3"]);
        let _socket = std::os::unix::net::UnixListener::bind(world.path("/etc/socket")).unwrap();
        world.put("/etc/mounted", "theirs");
        world.put("/over", "mounted");
        run("mount", &["--bind", &path("/over"), &path("/etc/mounted")]);
        let mut sink = world.open();
        let names = ["folder", "fifo", "device", "socket", "mounted"];
        let files = names.iter().enumerate().map(|(at, name)| {
            let path = format!("/etc/{name}");
            if at % 2 == 0 { link(&path, "x") } else { copy(&path, "x") }
        });
        let (flipped, problems) = try_apply(&mut sink, files.chain([link("/etc/b", "1")]).collect());
        assert_eq!(told(&flipped), map([("/etc/b", "added")]));
        let words = ["a folder", "a FIFO", "a device", "a socket", "a mount point"];
        assert!(words.iter().all(|word| problems.iter().any(|problem| problem.contains(word))), "{problems:?}");
        assert_eq!((world.read("/etc/mounted"), problems.len()), ("mounted".to_owned(), 5));

        // One that comes after the flip is not replaced either.
        fs::remove_file(world.path("/etc/b")).unwrap();
        run("mkfifo", &[&path("/etc/b")]);
        assert_eq!(sink.drift().unwrap().len(), 1);
        assert_eq!(sink.repair().unwrap().settled.problems.len(), 1);
    });
}

#[test]
fn a_temporary_name_that_somebody_put_there_first_is_not_written_through() {
    inside("attacks::a_temporary_name_that_somebody_put_there_first_is_not_written_through", |world| {
        world.put("/etc/victim", "theirs");
        symlink("victim", world.path("/etc/.a.bulla-new")).unwrap();
        world.put("/etc/b", "was there");
        symlink("victim", world.path("/etc/.b.bulla-new")).unwrap();
        let mut sink = world.open();
        apply(&mut sink, vec![copy("/etc/a", "1"), link("/etc/b", "1")]);
        assert_eq!(
            (world.read("/etc/victim"), world.read("/etc/a"), world.read("/etc/b")),
            ("theirs".into(), "1".into(), "1".into())
        );
        assert!(!world.is_link("/etc/a") && !world.path("/etc/.a.bulla-new").is_symlink());
    });
}

#[test]
fn whoever_swaps_folders_for_links_all_the_time_gets_nothing_through_them() {
    inside("attacks::whoever_swaps_folders_for_links_all_the_time_gets_nothing_through_them", |world| {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        fs::create_dir_all(world.path("/home/app/conf")).unwrap();
        chown(world.path("/home/app"), Some(1), Some(1)).unwrap();
        symlink("/etc", world.path("/home/app/evil")).unwrap();
        std::os::unix::fs::lchown(world.path("/home/app/evil"), Some(1), Some(1)).unwrap();
        let (conf, evil) = (world.path("/home/app/conf"), world.path("/home/app/evil"));
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    renameat_with(CWD, &conf, CWD, &evil, RenameFlags::EXCHANGE).unwrap();
                }
            });
            let mut sink = world.open();
            let mut placed = 0;
            for round in 0..200 {
                let word = round.to_string();
                let files =
                    vec![link("/home/app/conf/a", &word), copy("/home/app/conf/b", &word), link("/srv/c", &word)];
                let (flipped, _) = try_apply(&mut sink, if round % 3 == 2 { Vec::new() } else { files });
                placed += flipped.settled.put.len();
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(placed > 0, "some came through to the real folder");
        });
        assert_eq!(fs::read_dir(world.path("/etc")).unwrap().count(), 0);
    });
}

/// Exchanges a folder that was just made for a link to what its owner may not touch.
fn exchange(step: &'static str) {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rustix::fs::{CWD, RenameFlags, renameat_with};
    static PASSED: AtomicUsize = AtomicUsize::new(0);
    // Before it, then after it.
    if step == "make folder" && PASSED.fetch_add(1, Ordering::SeqCst) == 1 {
        let home = World::at(std::env::var_os("BULLA_TEST_SINK").unwrap().into()).path("/home/app");
        renameat_with(CWD, home.join("conf"), CWD, home.join("evil"), RenameFlags::EXCHANGE).unwrap();
    }
}

#[test]
fn a_folder_that_was_just_made_and_is_exchanged_for_a_link_opens_nothing_to_others() {
    inside("attacks::a_folder_that_was_just_made_and_is_exchanged_for_a_link_opens_nothing_to_others", |world| {
        use std::os::unix::fs::PermissionsExt as _;
        let probe = bulla::host::sink::Probe::calling(exchange);
        fs::create_dir_all(world.path("/home/app")).unwrap();
        chown(world.path("/home/app"), Some(1), Some(1)).unwrap();
        world.put("/etc/shadow", "theirs");
        fs::set_permissions(world.path("/etc/shadow"), fs::Permissions::from_mode(0o600)).unwrap();
        symlink(world.path("/etc/shadow"), world.path("/home/app/evil")).unwrap();
        let mut sink = World { probe, ..World::at(world.base.clone()) }.open();
        let (_, problems) = try_apply(&mut sink, vec![link("/home/app/conf/key", "1"), link("/etc/b", "1")]);
        assert!(problems.len() == 1 && problems[0].contains("something else in its place"), "{problems:?}");
        assert_eq!((world.rights("/etc/shadow").2, world.read("/etc/b")), (0o600, "1".to_owned()));
    });
}
