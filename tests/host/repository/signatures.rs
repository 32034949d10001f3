//! Every commit is signed, by those who are named, with real keys.

use std::fs;
use std::process::Command;

use bulla::host::repository::{CommitId, Refused, Repository, Settings, Signatures};

use super::origin::{Origin, text_of};

/// Makes a key of ssh and returns its path.
fn key(origin: &Origin, name: &str) -> String {
    let file = origin.path(name).display().to_string();
    text_of(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", &file]), b"");
    file
}

fn signed(origin: &Origin, key: &str, text: &str) -> CommitId {
    origin.git(&["config", "gpg.format", "ssh"]);
    origin.git(&["config", "user.signingKey", key]);
    origin.commit_as("hosts/frodo.yaml", text, &["-S"])
}

/// A repository whose first commit Anna signed, and the settings that ask for her signature.
fn annas() -> (Origin, String, Settings) {
    let origin = Origin::empty();
    let anna = key(&origin, "anna");
    signed(&origin, &anna, "one");
    let signers = origin.path("allowed_signers");
    let public = fs::read_to_string(format!("{anna}.pub")).unwrap();
    fs::write(&signers, format!("anna@example.com namespaces=\"git\" {public}")).unwrap();
    let signatures = Signatures { allowed_signers: Some(signers), ..Signatures::default() };
    let settings = Settings { signatures: Some(signatures), ..origin.settings() };
    (origin, anna, settings)
}

async fn judged(settings: &Settings, last: Option<&CommitId>) -> Result<(), Refused> {
    let repository = Repository::open(settings.clone()).await.unwrap();
    let tip = repository.fetch().await.unwrap();
    repository.judge(last, &tip).await
}

fn refused(result: Result<(), Refused>) -> (CommitId, String) {
    match result {
        Err(Refused::Unsigned { commit, why }) => (commit, why),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_range_that_is_signed_throughout_is_followed() {
    let (origin, anna, settings) = annas();
    let first = origin.head();
    judged(&settings, None).await.unwrap();
    for text in ["two", "three", "four", "five", "six"] {
        signed(&origin, &anna, text);
    }
    judged(&settings, Some(&first)).await.unwrap();
}

#[tokio::test]
async fn one_commit_in_the_middle_without_a_signature_is_named() {
    let (origin, anna, settings) = annas();
    let first = origin.head();
    signed(&origin, &anna, "two");
    let bare = origin.commit("hosts/frodo.yaml", "three");
    signed(&origin, &anna, "four");
    let (commit, why) = refused(judged(&settings, Some(&first)).await);
    assert_eq!((commit, why.as_str()), (bare.clone(), "it has no signature"));
    let text = judged(&settings, Some(&first)).await.unwrap_err().to_string();
    assert!(text.contains(bare.as_str()) && text.contains("commit --amend -S"), "{text}");
}

#[tokio::test]
async fn a_range_that_was_refused_is_not_checked_at_each_poll_but_with_other_keys_it_is() {
    let (origin, anna, settings) = annas();
    let first = origin.head();
    let boris = key(&origin, "boris");
    signed(&origin, &boris, "two");
    let repository = Repository::open(settings.clone()).await.unwrap();
    let tip = repository.fetch().await.unwrap();
    for _ in 0..3 {
        let (commit, why) = refused(repository.judge(Some(&first), &tip).await);
        assert_eq!(commit, tip);
        assert!(why.contains("allowedSigners"), "{why}");
    }
    assert_eq!(repository.signatures_checked(), 1);
    // A newer commit is another range.
    signed(&origin, &anna, "three");
    let newer = repository.fetch().await.unwrap();
    assert_eq!(refused(repository.judge(Some(&first), &newer).await).0, tip);
    assert_eq!(repository.signatures_checked(), 2);
    let signers = settings.signatures.unwrap().allowed_signers.unwrap();
    let public = fs::read_to_string(format!("{boris}.pub")).unwrap();
    let both = fs::read_to_string(&signers).unwrap() + &format!("boris@example.com namespaces=\"git\" {public}");
    fs::write(&signers, both).unwrap();
    repository.judge(Some(&first), &newer).await.unwrap();
}

#[tokio::test]
async fn what_a_merge_brings_in_is_checked_too() {
    let (origin, anna, settings) = annas();
    let first = origin.head();
    signed(&origin, &anna, "two");
    origin.git(&["checkout", "--quiet", "-b", "side", first.as_str()]);
    let bare = origin.commit("beside", "smuggled");
    origin.git(&["checkout", "--quiet", "main"]);
    origin.git(&["merge", "--quiet", "-S", "--no-edit", "side"]);
    assert_eq!(refused(judged(&settings, Some(&first)).await).0, bare);
}

#[tokio::test]
async fn a_stranger_is_refused_by_the_name_of_the_key() {
    let (origin, _, settings) = annas();
    let first = origin.head();
    let stranger = key(&origin, "mallory");
    let commit = signed(&origin, &stranger, "two");
    let print = text_of(Command::new("ssh-keygen").args(["-l", "-f", &stranger]), b"");
    let print = print.split(' ').nth(1).unwrap().to_owned();
    let (named, why) = refused(judged(&settings, Some(&first)).await);
    assert_eq!(named, commit);
    assert!(why.contains(&print) && why.contains("allowedSigners"), "{why}");
}

#[tokio::test]
async fn a_signature_of_something_else_is_refused() {
    let (origin, anna, settings) = annas();
    let first = origin.head();
    signed(&origin, &anna, "two");
    // The signature is kept, what it is of is not.
    let raw = origin.git(&["cat-file", "commit", "HEAD"]) + "\n";
    let forged = raw.replace("frodo.yaml: two", "frodo.yaml: evil");
    assert_ne!(raw, forged);
    let commit = origin.git_with(&["hash-object", "-t", "commit", "-w", "--stdin"], forged.as_bytes());
    origin.git(&["update-ref", "refs/heads/main", &commit]);
    let (named, why) = refused(judged(&settings, Some(&first)).await);
    assert_eq!(named.as_str(), commit);
    assert!(why.contains("not good") || why.contains("not of what it says"), "{why}");
}

#[tokio::test]
async fn a_key_that_was_revoked_is_refused() {
    let (origin, anna, mut settings) = annas();
    let first = origin.head();
    signed(&origin, &anna, "two");
    judged(&settings, Some(&first)).await.unwrap();
    let revoked = format!("{anna}.pub");
    settings.signatures.as_mut().unwrap().revoked = Some(revoked.into());
    refused(judged(&settings, Some(&first)).await);
}

#[tokio::test]
async fn a_new_host_checks_the_newest_commit_or_all_since_the_anchor() {
    let (origin, anna, settings) = annas();
    let first = origin.head();
    let bare = origin.commit("hosts/frodo.yaml", "two");
    signed(&origin, &anna, "three");
    judged(&settings, None).await.unwrap();
    let settings = Settings { anchor: Some(first), ..settings };
    assert_eq!(refused(judged(&settings, None).await).0, bare);
}

#[tokio::test]
async fn of_a_rewrite_that_somebody_accepts_every_commit_that_is_new_is_checked() {
    let (origin, anna, settings) = annas();
    let first = origin.head();
    let old = signed(&origin, &anna, "two");
    let repository = Repository::open(settings).await.unwrap();
    repository.fetch().await.unwrap();
    origin.git(&["reset", "--quiet", "--hard", first.as_str()]);
    let good = signed(&origin, &anna, "another two");
    repository.fetch().await.unwrap();
    repository.judge_rewrite(&old, &good).await.unwrap();
    origin.git(&["reset", "--quiet", "--hard", first.as_str()]);
    let bare = origin.commit("hosts/frodo.yaml", "smuggled");
    let tip = signed(&origin, &anna, "over it");
    repository.fetch().await.unwrap();
    assert_eq!(refused(repository.judge_rewrite(&old, &tip).await).0, bare);
}

#[tokio::test]
async fn a_kind_of_signature_without_keys_is_refused() {
    let (origin, _, settings) = annas();
    let first = origin.head();
    let (home, fingerprint) = gpg_key(&origin, "gnupg");
    let commit = gpg_signed(&origin, &home, &fingerprint, "two");
    assert_eq!(refused(judged(&settings, Some(&first)).await).0, commit);
}

/// Makes a key of OpenPGP and returns its home and fingerprint.
fn gpg_key(origin: &Origin, home: &str) -> (String, String) {
    use std::os::unix::fs::DirBuilderExt as _;
    let home = origin.path(home);
    fs::DirBuilder::new().mode(0o700).create(&home).unwrap();
    let home = home.display().to_string();
    let made = ["--batch", "--passphrase", "", "--quick-gen-key", "Anna <anna@example.com>", "ed25519", "sign", "1y"];
    text_of(Command::new("gpg").args(["--homedir", &home]).args(made), b"");
    let keys = text_of(Command::new("gpg").args(["--homedir", &home, "--with-colons", "--list-keys"]), b"");
    let print = keys.lines().find_map(|line| line.strip_prefix("fpr:")).unwrap();
    (home, print.trim_matches(':').to_owned())
}

fn gpg_signed(origin: &Origin, home: &str, fingerprint: &str, text: &str) -> CommitId {
    let program = origin.path("gpg-of-anna");
    fs::write(&program, format!("#!/bin/sh\nexec gpg --homedir {home} \"$@\"\n")).unwrap();
    text_of(Command::new("chmod").arg("+x").arg(&program), b"");
    origin.git(&["config", "gpg.format", "openpgp"]);
    origin.git(&["config", "gpg.program", program.to_str().unwrap()]);
    origin.git(&["config", "user.signingKey", fingerprint]);
    origin.commit_as("hosts/frodo.yaml", text, &["-S"])
}

/// The agents of gpg end with the test.
fn end_gpg(home: &str) {
    text_of(Command::new("gpgconf").args(["--homedir", home, "--kill", "all"]), b"");
}

#[tokio::test]
async fn commits_that_are_signed_by_openpgp_are_followed_in_every_form_of_keys() {
    let origin = Origin::empty();
    let (home, print) = gpg_key(&origin, "gnupg");
    let first = gpg_signed(&origin, &home, &print, "one");
    gpg_signed(&origin, &home, &print, "two");
    let file = origin.path("anna.asc");
    let folder = origin.path("keys");
    fs::create_dir(&folder).unwrap();
    let exported = text_of(Command::new("gpg").args(["--homedir", &home, "--armor", "--export", &print]), b"");
    fs::write(&file, format!("{exported}\n")).unwrap();
    fs::copy(&file, folder.join("anna.asc")).unwrap();
    for keys in [file, folder.clone(), home.clone().into()] {
        let signatures = Signatures { gpg_home: Some(keys.clone()), ..Signatures::default() };
        let settings = Settings { signatures: Some(signatures), ..origin.settings() };
        judged(&settings, Some(&first)).await.unwrap_or_else(|error| panic!("{}: {error}", keys.display()));
    }
    // A key of somebody else, and then none at all.
    let (stranger, of_stranger) = gpg_key(&origin, "mallory");
    let bad = gpg_signed(&origin, &stranger, &of_stranger, "three");
    let signatures = Signatures { gpg_home: Some(folder), ..Signatures::default() };
    let settings = Settings { signatures: Some(signatures), ..origin.settings() };
    let (commit, why) = refused(judged(&settings, Some(&first)).await);
    assert_eq!(commit, bad);
    assert!(why.contains("gpgHome"), "{why}");
    let left = fs::read_dir(origin.path("state/home")).unwrap().flatten();
    let left: Vec<_> = left.filter(|entry| entry.path().is_dir()).map(|entry| entry.path()).collect();
    assert!(left.is_empty(), "{left:?}");
    end_gpg(&home);
    end_gpg(&stranger);
}

#[tokio::test]
async fn signatures_of_nobody_are_no_check() {
    let origin = Origin::new();
    let settings = Settings { signatures: Some(Signatures::default()), ..origin.settings() };
    let error = Repository::open(settings).await.unwrap_err().to_string();
    assert!(error.contains("allowedSigners"), "{error}");
}
