//! What is kept on the disk for a start without network.

use std::os::unix::fs::PermissionsExt as _;

use bulla::host::declared::external::{External, Settings};
use bulla::seal::Identity;
use serde_json::json;

use super::{Host, files, note, only, refused, takes};

const CANARY: &str = "canary-7f3a9c51";

/// A host with one value that its store had.
async fn kept(identity: Identity) -> Host {
    let mut host = Host::with(identity);
    have(&mut host);
    let mut external = host.external();
    assert_eq!(only(&host.pass(&mut external).await, "password"), Some(CANARY));
    host
}

fn have(host: &mut Host) {
    let value = json!({"password": CANARY}).to_string();
    host.store("fake", json!({"fake": {"data": [{"key": "db", "value": value}]}}));
    host.external_secret("db", takes("fake", "db", "1h"));
}

/// The store is away: what there is is what was kept.
fn lose(host: &mut Host) {
    host.store("fake", json!({"fake": {"data": [], "validationResult": 2}}));
}

#[tokio::test]
async fn what_is_kept_is_private_and_holds_no_plaintext() {
    for identity in [Identity::generate_hybrid().unwrap(), Identity::generate_x25519().unwrap()] {
        let mut host = kept(identity).await;
        let found = files(host.state.path());
        assert_eq!(found.len(), 1);
        for (path, bytes) in &found {
            let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
            assert_eq!((mode(path), mode(path.parent().unwrap())), (0o600, 0o700));
            assert!(bytes.starts_with(b"age-encryption.org/v1\n"));
            for plain in [CANARY, "password", "db", host.name] {
                let hit = bytes.windows(plain.len()).filter(|window| *window == plain.as_bytes()).count();
                assert!(plain.len() < 4 || hit == 0, "{plain} in {}", path.display());
                assert!(!path.file_name().unwrap().to_str().unwrap().contains(plain) || plain.len() < 4);
            }
        }
        lose(&mut host);
        let answered = host.pass(&mut host.external()).await;
        assert_eq!(only(&answered, "password"), Some(CANARY), "and it opens again");
        assert!(note(&answered).is_some());
    }
}

#[tokio::test]
async fn a_file_of_another_host_object_or_key_is_no_value() {
    let mut host = kept(Identity::generate_hybrid().unwrap()).await;
    lose(&mut host);
    let (path, bytes) = files(host.state.path()).remove(0);

    // The key of another host.
    let mut stranger = Host::new();
    have(&mut stranger);
    lose(&mut stranger);
    let mut external = External::new(Settings {
        state: Some(host.state.path().to_owned()),
        ..Settings::new("frodo", stranger.keyring.clone())
    });
    refused(&stranger.pass(&mut external).await);

    // The same key and another host, the file under the name that this host gives it.
    host.name = "camelot";
    have(&mut host);
    host.pass(&mut host.external()).await;
    let theirs = files(host.state.path()).into_iter().find(|(other, _)| *other != path).unwrap().0;
    lose(&mut host);
    assert_eq!(only(&host.pass(&mut host.external()).await, "password"), Some(CANARY));
    std::fs::write(&theirs, &bytes).unwrap();
    refused(&host.pass(&mut host.external()).await);
    std::fs::remove_file(&theirs).unwrap();
    host.name = "frodo";
    assert_eq!(only(&host.pass(&mut host.external()).await, "password"), Some(CANARY));

    // Another object's value under this one's name.
    host.external_secret("web", takes("fake", "web", "1h"));
    host.remove("ExternalSecret", "db");
    let fake = json!({"web": "w"}).to_string();
    let lost = host.documents.iter().find(|document| document["kind"] == "SecretStore").unwrap().clone();
    host.store("fake", json!({"fake": {"data": [{"key": "web", "value": fake}]}}));
    assert_eq!(only(&host.pass(&mut host.external()).await, "web"), Some("w"));
    host.commit(lost);
    let webs = files(host.state.path()).into_iter().find(|(other, _)| *other != path).unwrap().0;
    std::fs::write(&webs, &bytes).unwrap();
    refused(&host.pass(&mut host.external()).await);

    // Damaged, cut off, a link, a folder: none stops the host.
    for damage in [&b""[..], b"age-encryption.org/v1\n", &bytes[..bytes.len() - 1]] {
        std::fs::write(&webs, damage).unwrap();
        refused(&host.pass(&mut host.external()).await);
    }
    std::fs::remove_file(&webs).unwrap();
    std::os::unix::fs::symlink(&path, &webs).unwrap();
    refused(&host.pass(&mut host.external()).await);
    std::fs::remove_file(&webs).unwrap();
    std::fs::create_dir(&webs).unwrap();
    refused(&host.pass(&mut host.external()).await);
}

#[tokio::test]
async fn a_host_that_goes_back_finds_what_the_commit_before_asked_for() {
    let mut host = kept(Identity::generate_hybrid().unwrap()).await;
    let before = host.documents.clone();
    let mut external = host.external();
    let value = json!({"password": "of the new commit"}).to_string();
    host.store("fake", json!({"fake": {"data": [{"key": "db", "value": value}]}}));
    assert_eq!(only(&host.pass(&mut external).await, "password"), Some("of the new commit"));
    let after = std::mem::replace(&mut host.documents, before);
    // The commit was bad, and the machine starts again: the value is that of the commit it is at.
    let answered = host.pass(&mut host.external()).await;
    assert_eq!((only(&answered, "password"), note(&answered)), (Some(CANARY), None));

    host.documents = after;
    assert_eq!(only(&host.pass(&mut external).await, "password"), Some("of the new commit"));
    assert_eq!(files(host.state.path()).len(), 2);
    external.forget_others().await;
    assert_eq!(files(host.state.path()).len(), 1, "it has proven good");
}

#[tokio::test]
async fn what_is_no_longer_declared_is_forgotten_once_the_commit_is_good() {
    let mut host = kept(Identity::generate_hybrid().unwrap()).await;
    host.remove("ExternalSecret", "db");
    let mut external = host.external();
    host.pass(&mut external).await;
    assert_eq!(files(host.state.path()).len(), 1, "the host may still go back");
    external.forget_others().await;
    assert!(files(host.state.path()).is_empty());
}

#[tokio::test]
async fn a_disk_that_takes_nothing_costs_no_value() {
    let mut host = Host::new();
    have(&mut host);
    std::fs::write(host.state.path().join("external"), "in the way").unwrap();
    let answered = host.pass(&mut host.external()).await;
    assert_eq!(only(&answered, "password"), Some(CANARY));
    let said = note(&answered).unwrap();
    assert!(said.contains("it cannot be kept for a start without network"), "{said}");
}

#[tokio::test]
async fn what_a_new_commit_finds_gone_is_there_for_the_one_before_until_it_is_good_and_a_look_takes_nothing() {
    let mut host = Host::with(Identity::generate_hybrid().unwrap());
    let mut spec = takes("fake", "db", "1h");
    spec["target"] = json!({"deletionPolicy": "Delete"});
    let value = json!({"password": CANARY}).to_string();
    host.store("fake", json!({"fake": {"data": [{"key": "db", "value": value}]}}));
    host.external_secret("db", spec);
    let mut external = host.external();
    assert_eq!(only(&host.pass(&mut external).await, "password"), Some(CANARY));
    external.forget_others().await;
    let good = host.documents.clone();
    let kept = files(host.state.path());
    assert_eq!(kept.len(), 1);

    host.store("fake", json!({"fake": {"data": []}}));
    // A look: neither the disk nor the next pass knows of it.
    external.begin_look();
    assert!(refused(&host.pass(&mut external).await).contains("the secret is gone"));
    external.end_look();
    assert_eq!(files(host.state.path()), kept);
    let after = std::mem::replace(&mut host.documents, good.clone());
    assert_eq!(only(&host.pass(&mut external).await, "password"), Some(CANARY));
    assert_eq!(files(host.state.path()), kept);

    // The commit on trial finds nothing, and does not prove well: what the good one had is there.
    host.documents = after.clone();
    assert!(refused(&host.pass(&mut external).await).contains("the secret is gone"));
    assert_eq!(files(host.state.path()), kept);
    host.documents = good;
    assert_eq!(only(&host.pass(&mut external).await, "password"), Some(CANARY));
    assert_eq!(only(&host.pass(&mut host.external()).await, "password"), Some(CANARY));

    // It proves well: now it goes.
    host.documents = after;
    assert!(refused(&host.pass(&mut external).await).contains("the secret is gone"));
    external.forget_others().await;
    assert!(files(host.state.path()).is_empty());
}
