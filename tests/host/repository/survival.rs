//! The clone outlives kills, faults of the disk, and years.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bulla::host::repository::{FetchError, Repository, Settings};
use rustix::fs::{FlockOperation, flock};
use tokio::time::{sleep, timeout};

use super::http::{Manner, Server};
use super::origin::Origin;

fn packs(origin: &Origin) -> Vec<PathBuf> {
    let folder = fs::read_dir(origin.path("state/clone.git/objects/pack")).unwrap();
    folder.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|it| it == "pack")).collect()
}

fn is_sound(origin: &Origin) {
    let clone = origin.path("state/clone.git").display().to_string();
    origin.git(&["--git-dir", &clone, "fsck", "--strict", "--no-dangling"]);
    let mut folders = vec![PathBuf::from(clone)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            assert!(!name.starts_with("tmp_") && !name.ends_with(".lock"), "{}", entry.path().display());
            if entry.path().is_dir() {
                folders.push(entry.path());
            }
        }
    }
}

#[tokio::test]
async fn a_fetch_that_is_killed_at_any_time_is_done_again() {
    let origin = Origin::new();
    let repository = origin.follow().await;
    repository.fetch().await.unwrap();
    for milliseconds in [1, 3, 5, 8, 12, 16, 20, 25, 30, 40, 60, 90] {
        let commit = origin.commit("hosts/frodo.yaml", &format!("{milliseconds} ms\n").repeat(1000));
        // The group is killed by SIGKILL when the future is dropped.
        let ended = timeout(Duration::from_millis(milliseconds), repository.fetch()).await;
        if let Ok(ended) = ended {
            assert_eq!(ended.unwrap(), commit);
        }
    }
    // Somebody else after it, with the state as it was left.
    let after = origin.follow().await;
    assert_eq!(after.fetch().await.unwrap(), origin.head());
    let tree = after.tree(&origin.head(), Path::new("")).await.unwrap();
    assert!(tree.read("hosts/frodo.yaml").await.unwrap().starts_with(b"90 ms"));
    is_sound(&origin);
}

#[tokio::test]
async fn what_a_killed_fetch_leaves_is_removed() {
    let origin = Origin::new();
    let noise: String = (1..5000_u64).map(|number| format!("{}\n", number * number * 7919)).collect();
    origin.commit("hosts/noise.yaml", &noise);
    let server = Server::start(origin.folder(), Manner::Stalls(600));
    let settings = Settings { url: server.url("fleet/.git"), timeout: Duration::from_secs(3), ..origin.settings() };
    // The first clone, cut in the middle of its pack.
    let error = Repository::open(settings).await.unwrap().fetch().await.unwrap_err();
    assert!(matches!(error, FetchError::Timeout { .. }), "{error}");
    assert!(origin.path("state/clone.new").exists(), "it was not in the middle");
    let repository = origin.follow().await;
    assert_eq!(repository.tip(), None);
    assert_eq!(repository.fetch().await.unwrap(), origin.head());
    assert!(!origin.path("state/clone.new").exists());
    // And what every kind of moment leaves in a clone.
    let clone = origin.path("state/clone.git");
    for file in
        ["refs/bulla/tip.lock", "packed-refs.lock", "config.lock", "objects/pack/tmp_pack_x", "objects/pack/x.keep"]
    {
        fs::write(clone.join(file), "").unwrap();
    }
    fs::create_dir_all(clone.join("objects/tmp_objdir-incoming-x/pack")).unwrap();
    let next = origin.commit("hosts/frodo.yaml", "two");
    assert_eq!(repository.fetch().await.unwrap(), next);
    assert!(!clone.join("objects/tmp_objdir-incoming-x").exists());
    is_sound(&origin);
}

#[tokio::test]
async fn the_clone_has_one_writer() {
    let origin = Origin::new();
    let repository = origin.follow().await;
    let first = repository.fetch().await.unwrap();
    let lock = OpenOptions::new().write(true).open(origin.path("state/lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    // Nothing new needs no lock.
    assert_eq!(repository.fetch().await.unwrap(), first);
    let next = origin.commit("hosts/frodo.yaml", "two");
    let (fetched, ()) = tokio::join!(repository.fetch(), async {
        sleep(Duration::from_millis(500)).await;
        drop(lock);
    });
    assert_eq!(fetched.unwrap(), next);
}

#[tokio::test]
async fn a_pack_that_lost_its_bytes_is_fetched_again() {
    let origin = Origin::new();
    let repository = origin.follow().await;
    let first = repository.fetch().await.unwrap();
    repository.remember(&first).await.unwrap();
    let pack = packs(&origin).pop().unwrap();
    damage(&pack);
    let failed = match repository.tree(&first, Path::new("")).await {
        Ok(tree) => tree.read("hosts/frodo.yaml").await.is_err(),
        Err(_) => true,
    };
    assert!(failed, "the damage is not seen");
    // The branch is where it was, and still it is looked at.
    assert_eq!(repository.fetch().await.unwrap(), first);
    let tree = repository.tree(&first, Path::new("")).await.unwrap();
    assert_eq!(tree.read("hosts/frodo.yaml").await.unwrap(), b"one");
    repository.judge(Some(&first), &first).await.unwrap();
    is_sound(&origin);
}

fn damage(file: &Path) {
    fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let length = fs::metadata(file).unwrap().len();
    let mut file = OpenOptions::new().write(true).open(file).unwrap();
    file.seek(SeekFrom::Start(12)).unwrap();
    file.write_all(&vec![0xa5; usize::try_from(length).unwrap() - 12]).unwrap();
}

#[tokio::test]
async fn a_clone_that_is_no_repository_any_more_is_made_anew() {
    let origin = Origin::new();
    let broken: &[fn(&Path)] = &[
        |clone| fs::remove_file(clone.join("HEAD")).unwrap(),
        |clone| fs::remove_dir_all(clone.join("objects")).unwrap(),
        |clone| drop(File::create(clone.join("refs/bulla/tip")).unwrap()),
        |clone| fs::write(clone.join("config"), "[core\n").unwrap(),
    ];
    for (number, damage) in broken.iter().enumerate() {
        let repository = origin.follow().await;
        repository.fetch().await.unwrap();
        damage(&origin.path("state/clone.git"));
        let next = origin.commit("hosts/frodo.yaml", &format!("after {number}"));
        let repository = origin.follow().await;
        assert_eq!(repository.fetch().await.unwrap_or_else(|error| panic!("{number}: {error:?}")), next);
        is_sound(&origin);
    }
}

#[tokio::test]
async fn a_host_reads_its_last_commit_without_the_repository() {
    let origin = Origin::new();
    let first = origin.follow().await.fetch().await.unwrap();
    fs::remove_dir_all(origin.work()).unwrap();
    let repository = origin.follow().await;
    assert_eq!(repository.tip(), Some(first.clone()));
    assert!(repository.fetch().await.is_err());
    repository.judge(None, &first).await.unwrap();
    let tree = repository.tree(&first, Path::new("hosts")).await.unwrap();
    assert_eq!(tree.read("hosts/frodo.yaml").await.unwrap(), b"one");
}

#[tokio::test]
async fn the_clone_does_not_grow_with_fetches_and_keeps_the_last_good_commit() {
    let origin = Origin::new();
    let repository = origin.follow().await;
    let root = repository.fetch().await.unwrap();
    let good = origin.commit("hosts/frodo.yaml", "good");
    repository.fetch().await.unwrap();
    repository.remember(&good).await.unwrap();
    let mut lost = None;
    for number in 0..40 {
        // The branch is rewritten each time: nothing holds what was there before.
        origin.git(&["reset", "--quiet", "--hard", root.as_str()]);
        let commit = origin.commit("hosts/frodo.yaml", &format!("number {number}"));
        assert_eq!(repository.fetch().await.unwrap(), commit);
        lost.get_or_insert(commit);
    }
    assert!(packs(&origin).len() <= 34, "{}", packs(&origin).len());
    let tree = repository.tree(&good, Path::new("")).await.unwrap();
    assert_eq!(tree.read("hosts/frodo.yaml").await.unwrap(), b"good");
    assert!(repository.tree(&lost.unwrap(), Path::new("")).await.is_err(), "nothing is ever removed");
}
