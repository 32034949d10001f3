//! Wherever a repository has its folder, and wherever the program is.

use std::os::unix::fs::symlink;

use super::files;
use crate::checkout::{Checkout, Key, manifest, put, run};

#[test]
fn in_a_linked_worktree_it_is_installed_for_all_of_them() {
    let checkout = Checkout::plain();
    checkout.commit("a", "a");
    let folder = checkout.bench.path("linked");
    checkout.git(&["worktree", "add", "-q", "-b", "linked", &folder.display().to_string()]).exits(0);
    let linked = checkout.within(folder);
    linked.bulla(&["git", "install"]).exits(0);
    assert!(checkout.path(".git/hooks/pre-commit").exists() && linked.folder.join(".gitattributes").exists());
    assert!(!checkout.git(&["config", "merge.bulla.driver"]).exits(0).out.is_empty());
    let refused = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {a: canary}\n";
    put(&linked.folder.join("s.yaml"), refused.as_bytes());
    linked.git(&["add", "s.yaml"]).exits(0);
    linked.git(&["commit", "-qm", "x"]).exits(1).says("not committed");
}

#[test]
fn in_a_submodule_and_from_a_folder_below_the_root() {
    let checkout = Checkout::plain();
    checkout.commit("deep/er/a", "a");
    let outer = Checkout::plain();
    let source = checkout.folder.display().to_string();
    outer.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &source, "sub"]).exits(0);
    let below = outer.within(outer.path("sub/deep/er"));
    below.bulla(&["git", "install"]).exits(0);
    assert!(outer.path("sub/.gitattributes").exists() && outer.path(".git/modules/sub/hooks/pre-commit").exists());
    assert!(!outer.path(".gitattributes").exists() && !outer.path(".git/hooks/pre-commit").exists());
    below.git(&["config", "merge.bulla.driver"]).exits(0);
    outer.git(&["config", "merge.bulla.driver"]).exits(1);
}

#[test]
fn a_work_tree_apart_from_its_repository_as_for_dotfiles() {
    let mut checkout = Checkout::plain();
    let git_dir = checkout.bench.path("dotfiles.git");
    checkout.git(&["init", "-q", "--bare", &git_dir.display().to_string()]).exits(0);
    let home = checkout.bench.path("tree");
    std::fs::create_dir(&home).unwrap();
    checkout.variable("GIT_DIR", &git_dir.display().to_string());
    checkout.variable("GIT_WORK_TREE", &home.display().to_string());
    checkout.bulla(&["git", "install"]).exits(0);
    assert!(home.join(".gitattributes").exists() && git_dir.join("hooks/pre-commit").exists());
    assert!(!checkout.path(".gitattributes").exists());
}

#[test]
fn for_all_repositories_of_a_user_without_touching_their_hooks() {
    let checkout = Checkout::plain();
    let before = files(&checkout.folder);
    let outside = checkout.within(checkout.bench.path(""));
    outside.bulla(&["git", "install", "--global"]).exits(0);
    assert_eq!(files(&checkout.folder), before);
    assert!(checkout.bench.read(".config/git/attributes").contains("*.yaml diff=bulla merge=bulla"));
    assert!(checkout.git(&["check-attr", "diff", "a.yaml"]).exits(0).out.contains("bulla"));
    let key = Key::new();
    let value = |v: &str| manifest("prod/db", &format!("a: {}", key.seal("a", v, "2026-11-01")));
    checkout.commit("db.yaml", &value("1"));
    checkout.write("db.yaml", &value("22"));
    assert!(checkout.git(&["diff"]).exits(0).out.contains("2 bytes, ciphertext"));
    outside.bulla(&["git", "install", "--global", "--uninstall"]).exits(0);
    assert!(!checkout.bench.path(".config/git/attributes").exists());
    assert!(!checkout.bench.read(".gitconfig").contains("bulla"));
    outside.bulla(&["git", "install"]).exits(2).says("in no Git repository");
}

#[test]
fn a_program_in_a_folder_with_an_odd_name_that_is_not_on_the_path() {
    let checkout = Checkout::plain();
    let folder = checkout.bench.path("it's a \"fold%Oer\" $HOME");
    std::fs::create_dir(&folder).unwrap();
    // A copy, not a link: the program finds out where it is.
    std::fs::copy(env!("CARGO_BIN_EXE_bulla"), folder.join("bulla")).unwrap();
    std::fs::remove_file(checkout.bench.path("bin/bulla")).unwrap();
    run(checkout.command(&folder.join("bulla").display().to_string()).args(["git", "install"])).exits(0);
    let key = Key::new();
    let line = |k: &str, v: &str| format!("{k}: {}", key.seal(k, v, "2026-11-01"));
    let version = |lines: &[&str]| manifest("prod/db", &lines.join("\n"));
    let [a, b, c] = ["a", "b", "c"].map(|key| line(key, "1"));
    checkout.write("db.yaml", &version(&[&a]));
    checkout.git(&["add", "-A"]).exits(0);
    checkout.git(&["commit", "-qm", "the hook runs"]).exits(0);
    checkout.branch("other", "main", "db.yaml", &version(&[&a, &b]));
    checkout.git(&["checkout", "-q", "main"]).exits(0);
    checkout.commit("db.yaml", &version(&[&a, &c]));
    checkout.git(&["merge", "--no-edit", "other"]).exits(0);
    assert_eq!(checkout.read("db.yaml"), version(&[&a, &c, &b]));
    let shown = checkout.git(&["show", "--format=", "other"]).exits(0).out;
    assert!(shown.contains("+    b: <native"), "{shown}");
    // Neither on the PATH nor where it was.
    std::fs::rename(&folder, checkout.bench.path("away")).unwrap();
    checkout.write("x", "x");
    checkout.git(&["add", "x"]).exits(0);
    checkout.git(&["commit", "-qm", "x"]).exits(1).says("bulla is not on the PATH, so nothing was checked");
}

#[test]
fn a_link_that_is_the_hook_stays_a_link() {
    let checkout = Checkout::plain();
    checkout.write("hooks/check", "#!/bin/sh\necho linked > ran\n");
    std::fs::set_permissions(checkout.path("hooks/check"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    symlink("../../hooks/check", checkout.path(".git/hooks/pre-commit")).unwrap();
    checkout.bulla(&["git", "install"]).exits(0);
    checkout.git(&["add", "-A"]).exits(0);
    checkout.git(&["commit", "-qm", "x"]).exits(0);
    assert_eq!(checkout.read("ran"), "linked\n");
    assert!(checkout.read("hooks/check").contains("linked"), "the target of the link was not written to");
    checkout.bulla(&["git", "install", "--uninstall"]).exits(0);
    let link = std::fs::read_link(checkout.path(".git/hooks/pre-commit")).unwrap();
    assert_eq!(link.to_str(), Some("../../hooks/check"));
}
