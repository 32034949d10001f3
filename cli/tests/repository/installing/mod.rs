//! `bulla git install`: put in once, beside what is there, and taken away without a trace.

mod committing;
mod managers;
mod places;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::checkout::Checkout;

/// Every file of a folder with its content, Git's objects and logs aside.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut queue = vec![folder.to_path_buf()];
    while let Some(folder) = queue.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                queue.push(path);
            } else {
                files.push((path.display().to_string(), std::fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

fn executable(checkout: &Checkout, name: &str, text: &str) {
    checkout.write(name, text);
    std::fs::set_permissions(checkout.path(name), std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn it_can_be_run_again_and_is_taken_away_without_a_trace() {
    let checkout = Checkout::plain();
    checkout.write(".gitattributes", "*.png binary\n# mine");
    checkout.git(&["config", "merge.ours.driver", "true"]).exits(0);
    executable(&checkout, ".git/hooks/pre-commit", "#!/bin/sh\nexit 0\n");
    let before = files(&checkout.folder);

    let said = checkout.bulla(&["git", "install"]).exits(0).out;
    assert_eq!(said.matches("written").count(), 3, "{said}");
    let attributes = checkout.read(".gitattributes");
    assert!(attributes.ends_with("*.png binary\n# mine"), "{attributes}");
    assert!(attributes.contains("*.yaml diff=bulla merge=bulla\n"), "{attributes}");
    let installed = files(&checkout.folder);
    let said = checkout.bulla(&["git", "install"]).exits(0).out;
    assert_eq!(said.matches("as it should be").count(), 3, "{said}");
    assert_eq!(files(&checkout.folder), installed);

    let said = checkout.bulla(&["git", "install", "--uninstall"]).exits(0).out;
    assert_eq!(said.matches("taken away").count(), 3, "{said}");
    assert_eq!(files(&checkout.folder), before);
    let said = checkout.bulla(&["git", "install", "--uninstall"]).exits(0).out;
    assert_eq!(said.matches("as it should be").count(), 3, "{said}");
}

#[test]
fn a_clone_without_attributes_and_hooks_has_none_afterwards() {
    let checkout = Checkout::plain();
    std::fs::remove_dir_all(checkout.path(".git/hooks")).unwrap();
    checkout.bulla(&["git", "install"]).exits(0);
    assert!(checkout.path(".git/hooks/pre-commit").exists());
    checkout.bulla(&["git", "install", "--uninstall"]).exits(0);
    assert!(!checkout.path(".gitattributes").exists() && !checkout.path(".git/hooks/pre-commit").exists());
}

#[test]
fn what_was_done_is_told_to_machines_too() {
    let checkout = Checkout::plain();
    let out = checkout.bulla(&["git", "install", "--output", "json"]).exits(0).out;
    let steps: serde_json::Value = serde_json::from_str(&out).unwrap();
    let told: Vec<_> = steps.as_array().unwrap().iter().map(|step| (&step["what"], &step["state"])).collect();
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|(_, state)| *state == "written"), "{out}");
    assert_eq!(steps[2]["place"], ".git/hooks/pre-commit");
}

#[test]
fn an_existing_hook_runs_first_and_its_refusal_counts() {
    let checkout = Checkout::plain();
    executable(&checkout, ".git/hooks/pre-commit", "#!/bin/sh\necho mine >> ran\n[ ! -e refuse ]\n");
    checkout.bulla(&["git", "install"]).exits(0);
    checkout.write("a.txt", "a");
    checkout.git(&["add", "a.txt"]).exits(0);
    checkout.git(&["commit", "-qm", "x"]).exits(0);
    assert_eq!(checkout.read("ran"), "mine\n");
    checkout.write("refuse", "");
    checkout.git(&["commit", "-qm", "x", "--allow-empty"]).exits(1);
    // Both at once are for a person to put together.
    executable(&checkout, ".git/hooks/pre-commit", "#!/bin/sh\nexit 0\n");
    checkout.bulla(&["git", "install"]).exits(1).says("put them together first");
}

#[test]
fn patterns_are_those_of_the_rules_or_given_and_files_that_they_miss_are_named() {
    let checkout = Checkout::plain();
    checkout.write(".bulla.yaml", "version: 1\nrules:\n- path: 'clusters/prod/**'\n- path: 'a b/*.yaml'\n");
    checkout.commit("apps/db.yaml", "kind: SealedSecret\n");
    let said = checkout.bulla(&["git", "install"]).exits(0).out;
    let attributes = checkout.read(".gitattributes");
    assert!(attributes.contains("/clusters/prod/**/*.yaml diff=bulla merge=bulla\n"), "{attributes}");
    assert!(attributes.contains("\"/a b/*.yaml\" diff=bulla merge=bulla\n"), "{attributes}");
    assert!(!attributes.contains("\n*.yaml"), "{attributes}");
    assert!(said.contains("not covered: apps/db.yaml"), "{said}");
    let attribute = |file: &str| checkout.git(&["check-attr", "merge", "--", file]).exits(0).out;
    for (file, expected) in [
        ("clusters/prod/db.yaml", "bulla"),
        ("clusters/prod/x/y/db.json", "bulla"),
        ("a b/c.yaml", "bulla"),
        ("clusters/dev/db.yaml", "unspecified"),
    ] {
        assert!(attribute(file).ends_with(&format!("merge: {expected}\n")), "{file}: {}", attribute(file));
    }

    let said = checkout.bulla(&["git", "install", "--pattern", "apps/**", "--pattern", "*.yml"]).exits(0).out;
    assert!(!said.contains("not covered"), "{said}");
    assert!(attribute("apps/db.yaml").contains("bulla") && attribute("clusters/prod/db.yaml").contains("unspecified"));
    checkout.bulla(&["git", "install", "--pattern", "!x"]).exits(1).says("is no pattern");
}

#[test]
fn json_is_covered_where_it_holds_sealed_secrets_and_what_others_say_of_a_file_holds() {
    let checkout = Checkout::plain();
    checkout.write(".gitattributes", "special.yaml merge=union\n");
    checkout.commit("x.json", "{\"kind\": \"SealedSecret\"}\n");
    checkout.bulla(&["git", "install"]).exits(0);
    let attribute = |file: &str| checkout.git(&["check-attr", "merge", "--", file]).exits(0).out;
    assert!(attribute("other.json").contains("bulla"));
    assert!(attribute("special.yaml").contains("union"));
}

#[test]
fn attributes_that_are_a_link_are_refused_and_patterns_are_nothing_to_a_shell() {
    let checkout = Checkout::plain();
    checkout.write("profile", "# mine\n");
    std::os::unix::fs::symlink("profile", checkout.path(".gitattributes")).unwrap();
    for arguments in [&["git", "install"][..], &["git", "install", "--uninstall"]] {
        checkout.bulla(arguments).exits(1).says("is a link or no file");
    }
    assert_eq!(checkout.read("profile"), "# mine\n");
    std::fs::remove_file(checkout.path(".gitattributes")).unwrap();
    checkout.write(".bulla.yaml", "version: 1\nrules:\n- path: \"$(touch x)/**\"\n");
    checkout.git(&["add", ".bulla.yaml"]).exits(0);
    checkout.bulla(&["git", "install"]).exits(0);
    let attributes = checkout.read(".gitattributes");
    assert!(attributes.contains("\"/$(touch x)/**/*.yaml\" diff=bulla"), "{attributes}");
    checkout.write("$(touch x)/a.yaml", "a: 1\n");
    let said = checkout.git(&["check-attr", "merge", "$(touch x)/a.yaml"]).exits(0).out;
    assert!(said.ends_with("merge: bulla\n"), "{said}");
}
