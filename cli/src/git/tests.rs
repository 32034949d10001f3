//! Against repositories that the real `git` made.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Git, History, Revisions};

struct Repository {
    folder: tempfile::TempDir,
    clock: AtomicUsize,
}

impl Repository {
    fn new() -> Self {
        let repository = Self { folder: tempfile::tempdir().unwrap(), clock: AtomicUsize::new(1_700_000_000) };
        repository.git(&["init", "-q", "-b", "main"]);
        repository
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn git(&self, arguments: &[&str]) -> String {
        self.git_in(self.path(), arguments)
    }

    fn git_in(&self, folder: &Path, arguments: &[&str]) -> String {
        let date = format!("{} +0100", self.clock.fetch_add(60, Ordering::Relaxed));
        let done = Command::new("git")
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "protocol.file.allow=always"])
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.path())
            .envs([("GIT_AUTHOR_DATE", &date), ("GIT_COMMITTER_DATE", &date)])
            .output()
            .unwrap();
        assert!(done.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    fn write(&self, path: &str, text: &str) {
        use std::io::Write as _;
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Commits everything and gives the id.
    fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn opened(&self) -> Git {
        Git::discover(self.path()).unwrap_or_else(|failure| panic!("{failure}"))
    }
}

fn history(git: &Git, revisions: &Revisions) -> History {
    git.history(revisions).unwrap_or_else(|failure| panic!("{failure}"))
}

/// Text, and every path with the commit that is told for it.
fn seen(git: &Git, history: &History) -> BTreeMap<String, BTreeSet<(String, String)>> {
    let (texts, left) = git.each(
        history,
        || (),
        |blob, bytes| {
            let places = history.places(blob);
            let places =
                places.map(|place| (place.path, place.commit.map(|commit| commit.id.to_string()).unwrap_or_default()));
            Some((String::from_utf8(bytes.to_vec()).unwrap(), places.collect()))
        },
    );
    assert_eq!(left, super::Left::default());
    let count = texts.len();
    let seen: BTreeMap<_, _> = texts.into_iter().collect();
    assert_eq!(seen.len(), count, "a blob was seen twice");
    seen
}

/// What `git` itself says: every blob of every commit, and the oldest commit that has it at each path.
fn truth(repository: &Repository, revisions: &[&str]) -> BTreeMap<String, BTreeSet<(String, String)>> {
    let commits = repository.git(&[&["rev-list", "--topo-order", "--reverse"], revisions].concat());
    let mut first: BTreeMap<(String, String), String> = BTreeMap::new();
    for commit in commits.lines() {
        for line in repository.git(&["ls-tree", "-r", commit]).lines() {
            let (mode, path) = line.split_once('\t').unwrap();
            let id = mode.split(' ').nth(2).unwrap();
            if mode.starts_with("100") {
                first.entry((id.to_owned(), path.to_owned())).or_insert_with(|| commit.to_owned());
            }
        }
    }
    let mut all: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
    for ((id, path), commit) in first {
        let text = repository.git(&["cat-file", "blob", &id]);
        all.entry(text).or_default().insert((path, commit));
    }
    all
}

/// Branches, a merge, a rename, a deleted file, a revert, the same bytes in two places.
fn eventful() -> Repository {
    let repository = Repository::new();
    repository.write("a.yaml", "a 1");
    repository.write("folder/deep/b.yaml", "b 1");
    repository.commit("one");
    repository.write("a.yaml", "a 2");
    repository.commit("two");
    repository.git(&["checkout", "-q", "-b", "side", "HEAD~1"]);
    repository.write("folder/side.yaml", "side");
    repository.write("copy.yaml", "b 1");
    repository.commit("side");
    repository.git(&["checkout", "-q", "main"]);
    repository.git(&["mv", "folder/deep", "renamed"]);
    repository.commit("renamed");
    repository.git(&["merge", "-q", "-m", "merged", "side"]);
    repository.git(&["rm", "-q", "a.yaml"]);
    repository.commit("deleted");
    repository.write("a.yaml", "a 1");
    repository.write("folder.txt", "sorted between");
    repository.commit("back");
    repository
}

fn trimmed(seen: BTreeMap<String, BTreeSet<(String, String)>>) -> BTreeMap<String, BTreeSet<(String, String)>> {
    seen.into_iter().map(|(text, places)| (text.trim().to_owned(), places)).collect()
}

#[test]
fn every_blob_is_seen_once_with_all_its_paths_and_the_oldest_commit_loose_and_packed() {
    let repository = eventful();
    for packed in [false, true] {
        if packed {
            repository.git(&["gc", "-q", "--aggressive", "--prune=now"]);
        }
        let git = repository.opened();
        let history = history(&git, &Revisions::all());
        assert_eq!(trimmed(seen(&git, &history)), truth(&repository, &["--all"]));
        assert_eq!(history.commits().len(), 7);
        assert!(history.notes().is_empty());
        let order: Vec<String> = history.blobs().iter().map(|blob| history.first(blob).path).collect();
        assert_eq!(order[..2], ["a.yaml", "folder/deep/b.yaml"]);
    }
}

#[test]
fn stashes_tags_detached_heads_and_worktrees_are_of_the_history_and_reflogs_when_wanted() {
    let repository = Repository::new();
    repository.write("a", "one");
    repository.commit("one");
    for (number, name) in ["older stash", "newer stash"].iter().enumerate() {
        repository.write(&format!("stashed{number}"), name);
        repository.git(&["add", "-A"]);
        repository.write("untracked", &format!("untracked {number}"));
        repository.git(&["stash", "-q", "-u"]);
    }
    repository.write("a", "amended away");
    repository.commit("two");
    repository.write("a", "amended");
    repository.git(&["add", "-A"]);
    repository.git(&["commit", "-q", "--amend", "-m", "two"]);
    // A tag of a blob and one of a tree, both without a commit.
    repository.write("blob", "tagged blob");
    let blob = repository.git(&["hash-object", "-w", "blob"]);
    repository.git(&["tag", "-a", "-m", "x", "of-a-blob", &blob]);
    repository.write("blob", "tagged tree");
    repository.git(&["add", "blob"]);
    let tree = repository.git(&["write-tree"]);
    repository.git(&["tag", "of-a-tree", &tree]);
    repository.git(&["reset", "-q", "--hard"]);
    let worktree = tempfile::tempdir().unwrap();
    let place = worktree.path().join("w");
    repository.git(&["worktree", "add", "-q", "--detach", place.to_str().unwrap()]);
    std::fs::copy(repository.path().join("a"), place.join("detached")).unwrap();
    repository.git_in(&place, &["add", "-A"]);
    repository.git_in(&place, &["commit", "-q", "-m", "detached"]);
    repository.git(&["checkout", "-q", "--detach"]);
    repository.write("a", "on no branch");
    repository.commit("on no branch");

    let git = repository.opened();
    let texts = |revisions: &Revisions| seen(&git, &history(&git, revisions));
    let all = texts(&Revisions::all());
    let expected = ["one", "older stash", "newer stash", "untracked 0", "untracked 1", "amended", "on no branch"];
    for text in expected.into_iter().chain(["tagged blob", "tagged tree"]) {
        assert!(all.contains_key(text), "{text} in {all:?}");
    }
    let paths = |text: &str| all[text].iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>();
    assert_eq!(paths("amended"), ["a", "detached", "refs/tags/of-a-tree/a"]);
    assert_eq!(paths("tagged blob"), ["refs/tags/of-a-blob"]);
    assert!(!all.contains_key("amended away"));
    assert!(texts(&Revisions { with_reflogs: true, ..Revisions::all() }).contains_key("amended away"));
    // From a linked worktree it is the same repository.
    let linked = Git::discover(&place).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(seen(&linked, &history(&linked, &Revisions::all())).len(), all.len());
    assert_eq!(linked.root(), Some(place.canonicalize().unwrap().as_path()));
    assert_eq!(linked.relative(&place.join("gone/file")).as_deref(), Some("gone/file"));
    assert_eq!(linked.relative(repository.path()), None);
}

#[test]
fn a_range_has_what_it_brought_and_not_what_was_there_before() {
    let repository = eventful();
    let git = repository.opened();
    let named =
        |named: &[&str]| Revisions { named: named.iter().map(ToString::to_string).collect(), with_reflogs: false };
    let texts = |revisions: &[&str]| seen(&git, &history(&git, &named(revisions))).into_keys().collect::<Vec<_>>();
    assert_eq!(texts(&["side"]), ["a 1", "b 1", "side"]);
    assert_eq!(texts(&["main~3..side"]), ["side"]);
    assert_eq!(texts(&["HEAD~1..HEAD"]), ["a 1", "sorted between"]);
    assert_eq!(texts(&["main", "^main~1"]), texts(&["main~1..main"]));
    assert_eq!(texts(&["main..main"]), [""; 0]);
    assert!(git.history(&named(&["nowhere"])).is_err());
    let mut kept = history(&git, &Revisions::all());
    kept.keep(|path| path.starts_with("renamed/"));
    assert_eq!(seen(&git, &kept)["b 1"].len(), 1);
}

#[test]
fn a_shallow_clone_and_submodules_are_told_and_missing_objects_do_not_end_the_walk() {
    let repository = eventful();
    let clone = tempfile::tempdir().unwrap();
    let url = format!("file://{}", repository.path().display());
    repository.git_in(clone.path(), &["clone", "-q", "--depth", "1", &url, "shallow"]);
    let shallow = Git::discover(&clone.path().join("shallow")).unwrap_or_else(|failure| panic!("{failure}"));
    let found = history(&shallow, &Revisions::all());
    assert_eq!((found.commits().len(), found.notes().len()), (1, 1));
    assert!(found.notes()[0].contains("shallow"), "{:?}", found.notes());

    repository.git(&["submodule", "--quiet", "add", &url, "sub"]);
    repository.commit("submodule");
    let git = repository.opened();
    assert!(history(&git, &Revisions::all()).notes()[0].contains("submodules"));
    // A blob and a tree that are gone, as after a bad disk.
    let [tree, blob] = ["HEAD:renamed", "HEAD:folder.txt"].map(|named| repository.git(&["rev-parse", named]));
    for id in [&tree, &blob] {
        std::fs::remove_file(repository.path().join(".git/objects").join(&id[..2]).join(&id[2..])).unwrap();
    }
    let git = repository.opened();
    let found = history(&git, &Revisions::all());
    assert!(found.notes().iter().any(|note| note.starts_with("1 object(s)")), "{:?}", found.notes());
    let (texts, left) = git.each(&found, || (), |_, bytes| Some(bytes.len()));
    assert_eq!((left.missing, texts.is_empty()), (1, false));
}

#[test]
fn a_repository_without_a_commit_has_no_history_and_bytes_that_are_not_text_are_counted() {
    let repository = Repository::new();
    let git = repository.opened();
    assert!(history(&git, &Revisions::all()).blobs().is_empty());
    repository.write("binary", "a\0b");
    repository.write("large", &"x".repeat(17 << 20));
    repository.write("text", "text");
    assert_eq!(git.staged().map_or(usize::MAX, |staged| staged.len()), 0);
    repository.git(&["add", "-A"]);
    let git = repository.opened();
    let staged = git.staged().unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(staged.len(), 3);
    assert!(staged.iter().all(|staged| staged.before.is_none()));
    repository.commit("one");
    let found = history(&git, &Revisions::all());
    let (texts, left) = git.each(&found, || (), |_, bytes| Some(bytes.to_vec()));
    assert_eq!(texts, [b"text"]);
    assert_eq!((left.large, left.binary, left.missing), (1, 1, 0));
}

#[test]
fn what_is_staged_is_what_differs_from_the_commit() {
    let repository = eventful();
    repository.write("a.yaml", "staged");
    repository.write("new.yaml", "new");
    repository.git(&["add", "-A"]);
    repository.write("a.yaml", "not staged");
    repository.git(&["rm", "-q", "--cached", "folder.txt"]);
    let git = repository.opened();
    let staged = git.staged().unwrap_or_else(|failure| panic!("{failure}"));
    let ids: Vec<_> = staged.iter().map(|staged| staged.blob).collect();
    assert_eq!(staged.iter().map(|staged| staged.path.as_str()).collect::<Vec<_>>(), ["a.yaml", "new.yaml"]);
    assert_eq!((staged[0].before.is_some(), staged[1].before), (true, None));
    assert_eq!(git.each_of(&ids, super::is_text, || (), |_, bytes| Some(bytes.to_vec())).0, [&b"staged"[..], b"new"]);
    assert!(git.tracked().is_ok_and(|paths| paths.contains(&"new.yaml".to_owned())));
}

#[test]
fn the_commits_of_a_path_are_those_that_changed_it() {
    let repository = eventful();
    let git = repository.opened();
    let found = history(&git, &Revisions::all());
    let paths = ["a.yaml", "folder/deep/b.yaml", "renamed/b.yaml", "copy.yaml", "nowhere"].map(str::to_owned);
    let changes = git.commits_of(&found, &paths);
    let told = |at: usize| {
        let subject = |id: gix::ObjectId| repository.git(&["log", "-1", "--format=%s", &id.to_string()]);
        changes[at].iter().map(|change| (subject(change.commit.id), change.blob.is_some())).collect::<Vec<_>>()
    };
    let is = |subject: &str, is_there: bool| (subject.to_owned(), is_there);
    assert_eq!(told(0), [is("one", true), is("two", true), is("deleted", false), is("back", true)]);
    assert_eq!(told(1), [is("one", true), is("renamed", false)]);
    assert_eq!(told(2), [is("renamed", true)]);
    assert_eq!(told(3), [is("side", true)]);
    assert!(told(4).is_empty());
    let commit = changes[0][0].commit;
    assert_eq!(git.author_of(commit.id), "Ada");
    assert_eq!(commit.authored.date(), "2023-11-14");
    assert_eq!(
        git.commit_named("HEAD~1").ok().map(|id| id.to_string()),
        Some(repository.git(&["rev-parse", "HEAD~1"]))
    );
}

#[test]
fn trees_within_trees_that_grow_to_billions_of_paths_end() {
    let repository = Repository::new();
    repository.write("f", "bottom");
    repository.git(&["add", "-A"]);
    let mut tree = repository.git(&["write-tree"]);
    for _ in 0..9 {
        let names: String = (0..10).map(|at| format!("040000 tree {tree}\td{at}\n")).collect();
        repository.write("list", &names);
        let list = std::fs::File::open(repository.path().join("list")).unwrap();
        let made = Command::new("git").arg("mktree").current_dir(repository.path()).stdin(list).output().unwrap();
        tree = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    }
    repository.git(&["tag", "trap", &tree]);
    let git = repository.opened();
    let found = history(&git, &Revisions::all());
    assert_eq!(found.blobs().len(), 1);
    assert!(found.notes()[0].contains("4096 paths"), "{:?}", found.notes());
}
