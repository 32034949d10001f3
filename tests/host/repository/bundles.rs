//! A bundle on a stick: the air gap.

use std::fs;
use std::path::Path;

use bulla::host::repository::{FetchError, Repository, Settings};

use super::origin::Origin;

fn bundle(origin: &Origin, range: &[&str]) {
    let file = origin.path("stick/fleet.bundle");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    // As somebody does it who copies onto a stick: the old one is gone, then the new one is there.
    drop(fs::remove_file(&file));
    origin.git(&[&["bundle", "create", "--quiet", file.to_str().unwrap()], range].concat());
}

fn settings(origin: &Origin) -> Settings {
    Settings { url: origin.path("stick/fleet.bundle").display().to_string(), ..origin.settings() }
}

#[tokio::test]
async fn a_bundle_is_followed_and_one_that_takes_its_place_too() {
    let origin = Origin::new();
    let first = origin.head();
    bundle(&origin, &["main"]);
    let repository = Repository::open(settings(&origin)).await.unwrap();
    assert_eq!(repository.fetch().await.unwrap(), first);
    let second = origin.commit("hosts/frodo.yaml", "two");
    bundle(&origin, &["main"]);
    assert_eq!(repository.fetch().await.unwrap(), second);
    repository.judge(Some(&first), &second).await.unwrap();
    let tree = repository.tree(&second, Path::new("hosts")).await.unwrap();
    assert_eq!(tree.read("hosts/frodo.yaml").await.unwrap(), b"two");
}

#[tokio::test]
async fn a_bundle_that_goes_on_from_what_is_here_is_enough() {
    let origin = Origin::new();
    bundle(&origin, &["main"]);
    let repository = Repository::open(settings(&origin)).await.unwrap();
    let first = repository.fetch().await.unwrap();
    let second = origin.commit("hosts/frodo.yaml", "two");
    bundle(&origin, &[&format!("{first}..main")]);
    assert_eq!(repository.fetch().await.unwrap(), second);
    repository.judge(Some(&first), &second).await.unwrap();
}

#[tokio::test]
async fn a_bundle_whose_base_is_missing_says_which_and_changes_nothing() {
    let origin = Origin::new();
    bundle(&origin, &["main"]);
    let repository = Repository::open(settings(&origin)).await.unwrap();
    let first = repository.fetch().await.unwrap();
    let second = origin.commit("hosts/frodo.yaml", "two");
    let third = origin.commit("hosts/frodo.yaml", "three");
    bundle(&origin, &[&format!("{second}..main")]);
    let error = repository.fetch().await.unwrap_err();
    assert!(matches!(&error, FetchError::NoBase { missing, .. } if *missing == [second.clone()]), "{error}");
    assert_eq!(repository.tip(), Some(first.clone()));
    // A host that has nothing yet says the same.
    let fresh = Settings { folder: origin.path("fresh"), ..settings(&origin) };
    let error = Repository::open(fresh).await.unwrap().fetch().await.unwrap_err();
    assert!(matches!(&error, FetchError::NoBase { missing, .. } if *missing == [second]), "{error}");
    // And with the one in between it goes on.
    bundle(&origin, &[&format!("{first}..main")]);
    assert_eq!(repository.fetch().await.unwrap(), third);
}

#[tokio::test]
async fn a_stick_that_is_not_in_does_not_disturb() {
    let origin = Origin::new();
    let repository = Repository::open(settings(&origin)).await.unwrap();
    let error = repository.fetch().await.unwrap_err();
    assert!(matches!(error, FetchError::NoRepository { .. }), "{error}");
    bundle(&origin, &["main"]);
    let first = repository.fetch().await.unwrap();
    fs::remove_dir_all(origin.path("stick")).unwrap();
    assert!(repository.fetch().await.is_err());
    assert_eq!(repository.tip(), Some(first.clone()));
    repository.tree(&first, Path::new("")).await.unwrap().read("hosts/frodo.yaml").await.unwrap();
}

#[tokio::test]
async fn half_a_bundle_is_refused_and_the_whole_one_is_taken() {
    let origin = Origin::new();
    bundle(&origin, &["main"]);
    let repository = Repository::open(settings(&origin)).await.unwrap();
    let first = repository.fetch().await.unwrap();
    let second = origin.commit("hosts/frodo.yaml", &"two".repeat(1000));
    bundle(&origin, &["main"]);
    let file = origin.path("stick/fleet.bundle");
    let whole = fs::read(&file).unwrap();
    for length in [0, 5, whole.len() / 3, whole.len() - 1] {
        fs::write(&file, &whole[..length]).unwrap();
        let error = repository.fetch().await.unwrap_err();
        assert!(matches!(error, FetchError::HalfBundle { .. }), "{length} bytes: {error}");
        assert_eq!(repository.tip(), Some(first.clone()));
    }
    fs::write(&file, whole).unwrap();
    assert_eq!(repository.fetch().await.unwrap(), second);
}

#[tokio::test]
async fn a_bundle_of_another_branch_says_what_it_has() {
    let origin = Origin::new();
    origin.git(&["checkout", "--quiet", "-b", "testing"]);
    bundle(&origin, &["testing"]);
    let error = Repository::open(settings(&origin)).await.unwrap().fetch().await.unwrap_err();
    assert!(matches!(&error, FetchError::NoBranch { there, .. } if *there == ["testing"]), "{error}");
}
