//! Which rule counts for which file, and what a wrong file says.

use std::os::unix::fs::symlink;

use super::*;

#[expect(clippy::disallowed_methods, reason = "files of a test")]
fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn text(recipient: &str) -> RecipientSource {
    RecipientSource::Text(recipient.to_owned())
}

/// The pattern of the rule that counts for each path, of one rule for each pattern.
fn matched(patterns: &[&str], path: &str) -> Option<String> {
    let rule = |pattern: &&str| {
        format!(
            "- path: {}\n  recipients: [age1x]\n",
            serde_json::to_string(pattern).unwrap()
        )
    };
    let file = format!(
        "version: 1\nrules:\n{}",
        patterns.iter().map(rule).collect::<String>()
    );
    let repository = Repository {
        folder: "/repo".into(),
        rules: rules::parse(&file, Path::new("x")).unwrap(),
    };
    repository
        .sealing_for(&Path::new("/repo").join(path))
        .unwrap()
        .map(|sealing| sealing.pattern)
}

#[test]
fn globs_match_as_documented() {
    let table = [
        (
            "clusters/prod/**",
            vec!["clusters/prod/a.yaml", "clusters/prod/x/y/a.yaml"],
            vec!["clusters/production/a.yaml", "x/clusters/prod/a.yaml"],
        ),
        (
            "clusters/*/a.yaml",
            vec!["clusters/prod/a.yaml"],
            vec!["clusters/prod/x/a.yaml", "clusters/a.yaml"],
        ),
        (
            "**/a.yaml",
            vec!["a.yaml", "x/a.yaml", "x/y/a.yaml"],
            vec!["ba.yaml"],
        ),
        (
            "*.yaml",
            vec!["a.yaml", "x/y/a.yaml", ".a.yaml"],
            vec!["a.json", "a.yaml/b"],
        ),
        ("/*.yaml", vec!["a.yaml"], vec!["x/a.yaml"]),
        (
            "prod/",
            vec!["prod/a", "prod/x/a", "x/prod/a"],
            vec!["prod", "x/aprod/a"],
        ),
        ("./prod/", vec!["prod/a"], vec!["x/prod/a"]),
        ("**", vec!["a", "x/y/a"], vec![]),
        (
            "{dev,test}/[ab].yaml",
            vec!["dev/a.yaml", "test/b.yaml"],
            vec!["dev/c.yaml", "prod/a.yaml"],
        ),
        ("a/**/b", vec!["a/b", "a/x/b", "a/x/y/b"], vec!["a/bb"]),
    ];
    for (pattern, yes, no) in table {
        for path in yes {
            assert!(matched(&[pattern], path).is_some(), "{pattern} {path}");
        }
        for path in no {
            assert!(matched(&[pattern], path).is_none(), "{pattern} {path}");
        }
    }
}

#[test]
fn the_first_rule_that_matches_counts() {
    assert_eq!(
        matched(&["prod/special/**", "prod/**", "**"], "prod/special/a").as_deref(),
        Some("prod/special/**")
    );
    assert_eq!(
        matched(&["prod/special/**", "prod/**", "**"], "prod/a").as_deref(),
        Some("prod/**")
    );
    assert_eq!(
        matched(&["prod/special/**", "prod/**", "**"], "dev/a").as_deref(),
        Some("**")
    );
    assert_eq!(matched(&["prod/**"], "dev/a"), None);
    assert_eq!(matched(&["**"], "../outside"), None);
    assert_eq!(
        matched(&["prod/**"], "dev/../prod/a").as_deref(),
        Some("prod/**")
    );
}

#[test]
fn the_nearest_file_up_to_the_git_root_counts() {
    let root = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(root.path()).unwrap();
    let rule = |recipient: &str| {
        format!("version: 1\nrules:\n- path: '**'\n  recipients: [{recipient}]\n")
    };
    write(&root, FILE_NAME, &rule("age1outside"));
    write(&root, "repo/.git/HEAD", "");
    write(&root, "repo/sub/.bulla.yaml", &rule("age1sub"));
    write(&root, "repo/sub/deep/x.yaml", "");
    let first = |path: &str| {
        let repository = Repository::find(&root.join(path)).unwrap()?;
        let sealing = repository.sealing_for(&root.join(path)).unwrap()?;
        Some((repository.file(), sealing.recipients))
    };
    let sub = Some((root.join("repo/sub/.bulla.yaml"), vec![text("age1sub")]));
    assert_eq!(first("repo/sub/deep/x.yaml"), sub);
    assert_eq!(
        first("repo/sub/new/folder/x.yaml"),
        sub,
        "the file need not exist"
    );
    assert_eq!(
        first("repo/other/x.yaml"),
        None,
        "not above the root of the repository"
    );
    assert_eq!(
        first("x.yaml"),
        Some((root.join(FILE_NAME), vec![text("age1outside")]))
    );
    symlink(root.join("repo/sub"), root.join("link")).unwrap();
    assert_eq!(first("link/deep/x.yaml"), sub, "through a link");
    assert!(
        Repository::find(&root.join("repo/sub")).unwrap().is_some(),
        "a folder"
    );
}

#[test]
fn a_rule_gives_its_recipients_scope_and_namespace() {
    let root = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(root.path()).unwrap();
    write(
        &root,
        "keys/prod.txt",
        "# the cluster\nage1prod\n\n  age1one # again\r\n",
    );
    write(
        &root,
        "keys/old.pem",
        "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n",
    );
    write(
        &root,
        FILE_NAME,
        "# who\nversion: 1\nrules:\n- path: [prod/**, 'stage/**']\n  recipients: [age1one, age1two]\n  recipientFiles: [keys/prod.txt, keys/old.pem]\n  scope: namespace-wide\n  namespace: prod\n- path: '**'\n  recipientFiles: [absent.txt]\n",
    );
    let repository = Repository::find(&root.join("prod/x.yaml"))
        .unwrap()
        .unwrap();
    let sealing = repository
        .sealing_for(&root.join("stage/x.yaml"))
        .unwrap()
        .unwrap();
    let certificate = RecipientSource::Certificate(root.join("keys/old.pem"));
    assert_eq!(
        sealing,
        Sealing {
            recipients: vec![
                text("age1one"),
                text("age1two"),
                text("age1prod"),
                certificate
            ],
            scope: Some(ScopeName::NamespaceWide),
            namespace: Some("prod".to_owned()),
            pattern: "prod/**, stage/**".to_owned(),
            line: 4,
        }
    );
    let error = repository.sealing_for(&root.join("x.yaml")).unwrap_err();
    assert!(error.to_string().ends_with("absent.txt"), "{error}");
}

#[test]
fn a_wrong_file_says_where_and_what_to_write() {
    let rule =
        |rest: &str| format!("version: 1\nrules:\n- path: '**'\n  recipients: [age1x]\n{rest}");
    let table = [
        (
            "version: 2\nrules: []\n".to_owned(),
            "line 1, column 10",
            "version: 1",
        ),
        ("rules: []\n".to_owned(), "", "version"),
        ("version: 1\n".to_owned(), "", "rules"),
        (rule("  recipientFile: [x]\n"), "line 5", "recipientFile"),
        (
            rule("  scope: loose\n"),
            "line 5, column 10",
            "strict, namespace-wide or cluster-wide",
        ),
        (
            rule("  namespace: No_\n"),
            "line 5, column 14",
            "63 characters",
        ),
        (
            rule("- path: '!x'\n  recipients: [age1x]\n"),
            "line 5, column 9",
            "no negation",
        ),
        (
            rule("- path: 'a[b'\n  recipients: [age1x]\n"),
            "line 5, column 9",
            "a[b",
        ),
        (
            rule("- path: '../x'\n  recipients: [age1x]\n"),
            "line 5, column 9",
            "without `..`",
        ),
        (
            rule("- path: []\n  recipients: [age1x]\n"),
            "line 5, column 9",
            "at least one path",
        ),
        (rule("- path: x\n"), "line 5, column 9", "recipientFiles"),
        (
            rule("- path: x\n  recipients: ['']\n"),
            "line 6, column 16",
            "empty",
        ),
        (
            rule("- path: x\n  recipients: [AGE-SECRET-KEY-1X]\n"),
            "line 6, column 16",
            "private key",
        ),
        (
            rule("- path: x\n  recipients: ['two words']\n"),
            "line 6, column 16",
            "one word",
        ),
        (rule("- path: {x: y}\n  recipients: [x]\n"), "line 5", ""),
        ("version: 1\nrules: [\n".to_owned(), "line", ""),
    ];
    for (file, place, mend) in table {
        let error = rules::parse(&file, Path::new("/r/.bulla.yaml"))
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("/r/.bulla.yaml") && error.contains(place) && error.contains(mend),
            "{file}\n{error}"
        );
        assert!(!error.contains("AGE-SECRET-KEY-1X"), "{error}");
    }
}

#[test]
fn recipient_files_are_read_with_care() {
    let root = tempfile::tempdir().unwrap();
    let table = [
        ("empty.txt", "# none\n", "line 1: this holds no recipient"),
        (
            "identity.txt",
            "# created\nAGE-SECRET-KEY-PQ-1X\n",
            "line 2: this is a private key",
        ),
        (
            "key.pem",
            "-----BEGIN PRIVATE KEY-----\n",
            "this holds a private key",
        ),
        ("no.crt", "age1x\n", "no certificate"),
        ("big.txt", &"#\n".repeat(1 << 20), "is longer than"),
    ];
    for (name, content, expected) in table {
        write(root.path(), name, content);
        let error = recipients::read(&root.path().join(name))
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected) && !error.contains("1X"), "{error}");
    }
    write(root.path(), FILE_NAME, &"#\n".repeat(1 << 20));
    let error = Repository::find(&root.path().join("x")).unwrap_err();
    assert!(matches!(error, RepositoryError::TooLarge { .. }), "{error}");
}
