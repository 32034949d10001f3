//! A repository that somebody made to do harm.

use std::fs;
use std::path::Path;

use bulla::host::repository::{FetchError, ReadError, Repository, Settings, TreeError};

use super::origin::Origin;

#[tokio::test]
async fn paths_that_lead_out_are_refused_before_anything_is_taken() {
    for name in ["..", ".", ".git", ".GIT"] {
        let origin = Origin::new();
        let first = origin.head();
        let repository = origin.follow().await;
        repository.fetch().await.unwrap();
        let blob = origin.git_with(&["hash-object", "-w", "--stdin"], b"evil");
        let inner = origin.raw_tree(&[("100644", b"passwd", &blob)]);
        let tree = origin.raw_tree(&[("40000", name.as_bytes(), &inner)]);
        origin.commit_tree(&tree);
        let error = repository.fetch().await.unwrap_err();
        assert!(matches!(error, FetchError::Malformed { .. }), "{name:?}: {error}");
        assert_eq!(repository.tip(), Some(first), "{name:?}");
    }
}

/// A git before 2.46 does not check the objects of a bundle, so that the second lock is seen here.
#[tokio::test]
async fn paths_that_lead_out_of_a_bundle_are_never_files() {
    let origin = Origin::new();
    let blob = origin.git_with(&["hash-object", "-w", "--stdin"], b"evil");
    let inner = origin.raw_tree(&[("100644", b"passwd", &blob)]);
    let twice = [("100644", &b"twice.yaml"[..], &*blob), ("100755", &b"twice.yaml"[..], &*blob)];
    let mut entries = vec![("40000", &b".."[..], &*inner), ("40000", &b".git"[..], &*inner)];
    entries.push(("100644", b"a/../../b.yaml", &blob));
    entries.push(("100644", b"good.yaml", &blob));
    entries.extend(twice);
    let tree = origin.raw_tree(&entries);
    origin.commit_tree(&tree);
    let bundle = origin.path("fleet.bundle").display().to_string();
    origin.git(&["bundle", "create", "--quiet", &bundle, "main"]);
    let repository = Repository::open(Settings { url: bundle, ..origin.settings() }).await.unwrap();
    match repository.fetch().await {
        Err(FetchError::Malformed { .. }) => {}
        Err(error) => panic!("{error}"),
        Ok(tip) => {
            let tree = repository.tree(&tip, Path::new("")).await.unwrap();
            let listed: Vec<_> = tree.iter().map(|entry| entry.path.as_str()).collect();
            assert_eq!(listed, ["good.yaml"]);
            assert_eq!(tree.passed_over().len(), 4, "{:?}", tree.passed_over());
        }
    }
}

#[tokio::test]
async fn links_submodules_and_strange_names_are_told_and_never_followed() {
    let origin = Origin::new();
    let head = origin.head();
    std::os::unix::fs::symlink("/etc/shadow", origin.work().join("link.yaml")).unwrap();
    std::os::unix::fs::symlink("/etc", origin.work().join("folder")).unwrap();
    let modules = "[submodule \"evil\"]\n\tpath = evil\n\turl = ext::sh -c touch% /tmp/evil\n";
    fs::write(origin.work().join(".gitmodules"), modules).unwrap();
    let strange: &[&[u8]] = &[b"bell\x07.yaml", b"line\nbreak.yaml", b"not-utf8-\xff.yaml", b"\x1b[2Jclear.yaml"];
    for name in strange {
        use std::os::unix::ffi::OsStrExt as _;
        fs::write(origin.work().join(std::ffi::OsStr::from_bytes(name)), "x").unwrap();
    }
    origin.git(&["add", "."]);
    origin.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{head},evil")]);
    origin.git(&["commit", "--quiet", "-m", "strange"]);
    let repository = origin.follow().await;
    let tip = repository.fetch().await.unwrap();
    let tree = repository.tree(&tip, Path::new("")).await.unwrap();
    let listed: Vec<_> = tree.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(listed, [".gitmodules", "hosts/frodo.yaml"]);
    let passed = tree.passed_over();
    assert_eq!(passed.len(), 7, "{passed:?}");
    for (path, why) in [("link.yaml", "symbolic link"), ("folder", "symbolic link"), ("evil", "submodule")] {
        let told = passed.iter().find(|it| it.path == path).unwrap_or_else(|| panic!("{path}: {passed:?}"));
        assert!(told.why.contains(why), "{told:?}");
        let error = tree.read(path).await.unwrap_err();
        assert!(matches!(error, ReadError::NotThere { why: Some(_), .. }), "{error}");
    }
    assert!(passed.iter().all(|it| !it.path.chars().any(char::is_control)), "{passed:?}");
    // A folder of the settings that became a link leads nowhere.
    let error = repository.tree(&tip, Path::new("folder")).await.unwrap_err();
    assert!(matches!(error, TreeError::NoFolder { .. }), "{error}");
}

#[tokio::test]
async fn a_huge_file_is_in_nobodys_way() {
    let origin = Origin::new();
    let file = fs::File::create(origin.work().join("huge.yaml")).unwrap();
    file.set_len(100 << 20).unwrap();
    drop(file);
    origin.git(&["add", "."]);
    origin.git(&["commit", "--quiet", "-m", "huge"]);
    let repository = origin.follow().await;
    let tip = repository.fetch().await.unwrap();
    let tree = repository.tree(&tip, Path::new("")).await.unwrap();
    let error = tree.read("huge.yaml").await.unwrap_err();
    assert!(matches!(error, ReadError::TooLarge { size, .. } if size == 100 << 20), "{error}");
    assert_eq!(tree.read("hosts/frodo.yaml").await.unwrap(), b"one");
}

#[tokio::test]
async fn a_repository_that_would_fill_the_disk_is_cut_off() {
    let origin = Origin::new();
    let repository = Repository::open(Settings { most_bytes: 1 << 20, ..origin.settings() }).await.unwrap();
    let first = repository.fetch().await.unwrap();
    let mut noise = vec![0; 3 << 20];
    getrandom::fill(&mut noise).unwrap();
    fs::write(origin.work().join("noise"), noise).unwrap();
    origin.git(&["add", "."]);
    origin.git(&["commit", "--quiet", "-m", "noise"]);
    let error = repository.fetch().await.unwrap_err();
    assert!(matches!(error, FetchError::TooLarge { .. }), "{error}");
    assert_eq!(repository.tip(), Some(first));
    origin.git(&["reset", "--quiet", "--hard", "HEAD~"]);
    let next = origin.commit("hosts/frodo.yaml", "two");
    assert_eq!(repository.fetch().await.unwrap(), next);
}

#[tokio::test]
async fn too_many_files_are_refused_before_they_are_in_memory() {
    let origin = Origin::new();
    let blob = origin.git_with(&["hash-object", "-w", "--stdin"], b"x");
    let names: Vec<String> = (0..1000).map(|number| format!("{number:04}.yaml")).collect();
    let files: Vec<_> = names.iter().map(|name| ("100644", name.as_bytes(), &*blob)).collect();
    let folder = origin.raw_tree(&files);
    // A thousand times the same thousand files are a few kilobytes in Git.
    let folders: Vec<_> = names.iter().map(|name| ("40000", name.as_bytes(), &*folder)).collect();
    let tree = origin.raw_tree(&folders);
    origin.commit_tree(&tree);
    let repository = origin.follow().await;
    let tip = repository.fetch().await.unwrap();
    let error = repository.tree(&tip, Path::new("")).await.unwrap_err();
    assert!(matches!(error, TreeError::TooMany { .. }), "{error}");
    assert_eq!(repository.tree(&tip, Path::new("0007.yaml")).await.unwrap().iter().count(), 1000);
}

#[tokio::test]
async fn hooks_and_settings_in_the_clone_do_not_run() {
    let origin = Origin::new();
    let repository = origin.follow().await;
    repository.fetch().await.unwrap();
    let hooks = origin.path("state/clone.git/hooks");
    fs::create_dir_all(&hooks).unwrap();
    for hook in ["reference-transaction", "post-fetch", "post-checkout", "pre-auto-gc"] {
        let script = format!("#!/bin/sh\ntouch {}\n", origin.path("ran").display());
        fs::write(hooks.join(hook), script).unwrap();
        fs::set_permissions(hooks.join(hook), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    origin.commit("hosts/frodo.yaml", "two");
    repository.fetch().await.unwrap();
    assert!(!origin.path("ran").exists());
}
