//! Without root: `--user`.

use std::os::unix::fs::{MetadataExt as _, chown};
use std::process::Command;

use bulla::host::sink::Storage;

use super::world::{NOBODY, World, apply, copy, inside, link, map, of, told, try_apply};

const AS_NOBODY: &str = "BULLA_TEST_SINK_AS_NOBODY";

#[test]
fn an_unprivileged_agent_does_all_but_give_files_away() {
    let name = "plain_user::an_unprivileged_agent_does_all_but_give_files_away";
    if let Some(base) = std::env::var_os(AS_NOBODY) {
        return unprivileged(&World { storage: Storage::Memory, ..World::at(base.into()) });
    }
    inside(name, |world| {
        for folder in ["run", "root", "root/etc"] {
            chown(world.base.join(folder), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        std::fs::create_dir(world.base.join("state")).unwrap();
        chown(world.base.join("state"), Some(NOBODY), Some(NOBODY)).unwrap();
        // The test's own program may be where only root reads.
        let program = world.run().join("test");
        std::fs::create_dir(world.base.join("bin")).unwrap();
        let bound = world.base.join("bin/test");
        std::fs::write(&bound, "").unwrap();
        let exe = std::env::current_exe().unwrap();
        assert!(Command::new("mount").arg("--bind").args([&exe, &bound]).status().unwrap().success(), "{program:?}");
        let done = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&bound)
            .args([&format!("sink::{name}"), "--exact", "--nocapture", "--test-threads=1"])
            .env(AS_NOBODY, &world.base)
            .current_dir("/")
            .output()
            .unwrap();
        let output = format!("{}\n{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success() && output.contains("1 passed"), "{output}");
    });
}

fn unprivileged(world: &World) {
    assert_eq!(rustix::process::geteuid().as_raw(), NOBODY);
    world.put("/etc/mine", "before");
    let mut sink = world.open();
    let (flipped, problems) = try_apply(
        &mut sink,
        vec![
            link("/etc/a", "1"),
            copy("/etc/b/c", "1"),
            of(link("/etc/d", "1"), "root", 0o400),
            of(link("/etc/e", "1"), "65534", 0o600),
            link("/etc/mine", "ours"),
        ],
    );
    assert_eq!(
        told(&flipped),
        map([("/etc/a", "added"), ("/etc/b/c", "added"), ("/etc/e", "added"), ("/etc/mine", "added")])
    );
    assert!(problems.len() == 1 && problems[0].starts_with("/etc/d: the agent (user 65534) may not"), "{problems:?}");
    assert_eq!(std::fs::metadata(world.path("/etc/b/c")).unwrap().uid(), NOBODY);
    apply(&mut sink, vec![link("/etc/a", "2")]);
    assert_eq!((world.read("/etc/a"), world.read("/etc/mine")), ("2".to_owned(), "before".to_owned()));
    assert_eq!(sink.drift().unwrap(), []);
}
