//! `--changed-since`: what a pull request answers for.

use bulla::seal::Scope;

use super::{git, manifest, repository, sealed, verify};

#[test]
fn only_what_a_branch_changed_is_reported_and_what_comes_of_it() {
    let (bench, to) = repository();
    let value = sealed(&[&to], Scope::Strict, "prod", "db", "password");
    let secret = "kind: Secret\nstringData: {a: canary-hunter2}\n";
    std::fs::remove_dir_all(bench.path(".git")).unwrap();
    git(&bench, &["init", "-q", "-b", "main"]);
    bench.write("old.yaml", secret);
    bench.write("base/db.yaml", &manifest("db", "", &[("password", &value)]));
    bench.write("base/kustomization.yaml", "resources: [db.yaml]\n");
    git(&bench, &["add", "."]);
    git(&bench, &["commit", "-qm", "old"]);
    git(&bench, &["checkout", "-qb", "topic"]);
    bench.write("new.yaml", secret);
    git(&bench, &["add", "."]);
    git(&bench, &["commit", "-qm", "new"]);
    git(&bench, &["checkout", "-q", "main"]);
    bench.write("later.yaml", secret);
    git(&bench, &["add", "."]);
    git(&bench, &["commit", "-qm", "later"]);
    git(&bench, &["checkout", "-q", "topic"]);
    let files = |arguments: &[&str]| verify(&bench, arguments).into_iter().map(|one| one.at).collect::<Vec<_>>();
    assert_eq!(files(&[]), ["new.yaml:2:14", "old.yaml:2:14"]);
    assert_eq!(files(&["--changed-since", "main"]), ["new.yaml:2:14"]);
    assert_eq!(files(&["--changed-since", "HEAD"]), [""; 0]);
    // Not committed yet, not even known to Git; and a value that nobody touched lands somewhere else.
    bench.write("loose.yaml", secret);
    bench.write("dev/kustomization.yaml", "namespace: dev\nresources: [../base]\n");
    assert_eq!(files(&["--changed-since", "HEAD"]), ["base/db.yaml:7:5", "loose.yaml:2:14"]);
    bench.write("old.yaml", &format!("{secret}---\n"));
    assert!(files(&["--changed-since", "main"]).contains(&"old.yaml:2:14".to_owned()));
    // What a baseline knows stays known, also where nothing changed.
    bench.run(&["verify", "--write-baseline", "known.json"]).exits(0);
    assert_eq!(bench.run(&["verify", "--baseline", "known.json", "--changed-since", "HEAD"]).exits(0).err, "");
    bench.run(&["verify", "--changed-since", "nowhere"]).exits(2).says("there is no commit \"nowhere\" here");
    bench.run(&["verify", "--changed-since=--output=x"]).exits(2).says("there is no commit");
}

#[test]
fn manifests_that_git_tracks_are_looked_at_wherever_they_lie() {
    let (bench, _) = repository();
    std::fs::remove_dir_all(bench.path(".git")).unwrap();
    git(&bench, &["init", "-q", "-b", "main"]);
    let secret = "kind: Secret\nstringData: {a: canary-hunter2}\n";
    bench.write("x/node_modules/tracked.yaml", secret);
    git(&bench, &["add", "-f", "."]);
    bench.write("x/node_modules/other.yaml", secret);
    let found: Vec<String> = verify(&bench, &[]).into_iter().map(|found| found.at).collect();
    assert_eq!(found, ["x/node_modules/tracked.yaml:2:14"]);
}
