//! Where kustomizations make values land: what `bulla verify` says of the tree is what it says of `kustomize build`.

use bulla::seal::Scope;

use super::{Found, at, manifest, repository, sealed, verify};
use crate::harness::Bench;
use crate::support::tools;

/// What the real Kustomize makes of a folder.
pub(super) fn build(bench: &Bench, folder: &str) -> Result<String, String> {
    let output = tools::kustomize(&["build", bench.path(folder).to_str().unwrap()]);
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Rule, object and path: what stays of a finding when the tree is built.
pub(super) fn landed(found: &[Found]) -> Vec<(String, String, String)> {
    let is_place = |one: &&Found| {
        matches!(one.rule.as_str(), "wrong-place" | "scope") && one.path.starts_with("spec.encryptedData.")
    };
    let mut all: Vec<_> =
        found.iter().filter(is_place).map(|one| (one.rule.clone(), one.object.clone(), one.path.clone())).collect();
    all.sort();
    all.dedup();
    all
}

/// Checks that the tree as seen from these folders is what Kustomize makes of them, and gives what was found.
fn agrees(bench: &Bench, folders: &[&str]) -> Vec<Found> {
    let mut built = Vec::new();
    for folder in folders {
        let text = build(bench, folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
        let run = bench.pipe(&["verify", "--output", "json", "-"], &text);
        built.extend(landed(&super::found(&run)));
    }
    built.sort();
    built.dedup();
    let found = verify(bench, &[]);
    assert_eq!(landed(&found), built, "{found:#?}");
    assert!(found.iter().all(|one| one.rule != "kustomization"), "{found:#?}");
    found
}

#[test]
fn a_value_is_judged_where_every_overlay_makes_it_land() {
    let (bench, to) = repository();
    let value = sealed(&[&to], Scope::Strict, "prod", "db", "password");
    bench.write("base/db.yaml", &manifest("db", "", &[("password", &value)]));
    bench.write("base/kustomization.yaml", "resources: [db.yaml]\n");
    bench.write("overlays/prod/kustomization.yaml", "namespace: prod\nresources: [../../base]\n");
    assert_eq!(agrees(&bench, &["overlays/prod"]), []);

    bench.write("overlays/dev/kustomization.yaml", "resources: [../../base]\nnamespace: dev\n");
    let found = agrees(&bench, &["overlays/prod", "overlays/dev"]);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(
        (found[0].rule.as_str(), found[0].at.as_str()),
        ("wrong-place", at(&bench, "base/db.yaml", "password").as_str())
    );
    assert!(found[0].message.contains("overlays/dev/kustomization.yaml: namespace: dev"), "{}", found[0].message);
    let run = bench.run(&["verify"]).exits(1);
    assert!(run.out.contains("  overlays/dev/kustomization.yaml:2:1: namespace: dev\n"), "{}", run.out);
    assert!(run.out.contains("`bulla seal --raw --name db -n dev --from-literal password`"), "{}", run.out);

    // Whatever is named, it is judged where it lands: by itself the base has no namespace and the overlay no value.
    for paths in [&["base"][..], &["base/db.yaml"], &["overlays/dev"], &["overlays/dev/kustomization.yaml"]] {
        assert_eq!(landed(&verify(&bench, paths)), landed(&found), "{paths:?}");
    }
    assert_eq!(verify(&bench, &["overlays/prod"]), []);
    assert_eq!(verify(&bench, &["--exclude", "overlays/dev"]), []);
    let absolute = bench.path("base").canonicalize().unwrap();
    assert_eq!(landed(&verify(&bench, &[absolute.to_str().unwrap()])), landed(&found));
    bench.write("elsewhere/other.yaml", "kind: List\n");
    assert_eq!(verify(&bench, &["elsewhere"]), []);
}

#[test]
fn a_base_that_is_sealed_for_its_final_place_is_right_though_it_looks_wrong_alone() {
    let (bench, to) = repository();
    let value = sealed(&[&to], Scope::Strict, "prod", "eu-db-v2", "password");
    bench.write("base/db.yaml", &manifest("db", "  namespace: other\n", &[("password", &value)]));
    assert_eq!(verify(&bench, &[]).len(), 1);
    bench.write("base/kustomization.yaml", "resources: [db.yaml]\nnamePrefix: eu-\n");
    bench.write("prod/kustomization.yaml", "resources: [../base]\nnameSuffix: -v2\nnamespace: prod\n");
    assert_eq!(agrees(&bench, &["prod"]), []);
    bench.write("prod/kustomization.yaml", "resources: [../base]\nnameSuffix: -v3\nnamespace: prod\n");
    let found = agrees(&bench, &["prod"]);
    let said = "base/kustomization.yaml: namePrefix: eu-, prod/kustomization.yaml: namespace: prod, \
                prod/kustomization.yaml: nameSuffix: -v3";
    assert!(found[0].message.contains(said), "{}", found[0].message);
}

#[test]
fn annotations_of_a_kustomization_change_the_scope_and_components_work_on_what_is_there() {
    let (bench, to) = repository();
    let value = sealed(&[&to], Scope::NamespaceWide, "prod", "db", "password");
    bench.write("base/db.yaml", &manifest("db", "", &[("password", &value)]));
    bench.write("base/kustomization.yaml", "resources: [db.yaml]\n");
    bench.write("prod/kustomization.yaml", "resources: [../base]\nnamespace: prod\n");
    assert_eq!(agrees(&bench, &["prod"])[0].rule, "scope");
    let wide = "sealedsecrets.bitnami.com/namespace-wide";
    bench.write(
        "parts/wide/kustomization.yaml",
        &format!(
            "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\ncommonAnnotations:\n  {wide}: 'true'\n"
        ),
    );
    bench.write("prod/kustomization.yaml", "resources: [../base]\nnamespace: prod\ncomponents: [../parts/wide]\n");
    assert_eq!(agrees(&bench, &["prod"]), []);
    // The prefix does not matter to a value of a whole namespace, another namespace does.
    bench.write(
        "prod/kustomization.yaml",
        "resources: [../base]\nnamespace: test\nnamePrefix: x-\ncomponents: [../parts/wide]\n",
    );
    let found = agrees(&bench, &["prod"]);
    assert!(found[0].message.contains("parts/wide/kustomization.yaml: commonAnnotations"), "{found:#?}");
}

#[test]
fn values_that_patches_bring_are_judged_in_the_file_that_has_them() {
    let (bench, to) = repository();
    let of = |namespace: &str, key: &str| sealed(&[&to], Scope::Strict, namespace, "db", key);
    bench.write(
        "base/db.yaml",
        &manifest("db", "", &[("password", &of("dev", "password")), ("user", &of("prod", "user"))]),
    );
    bench.write("base/kustomization.yaml", "resources: [db.yaml]\n");
    let patch = "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: db}\nspec:\n  encryptedData:\n";
    bench.write("prod/patch.yaml", &format!("{patch}    password: {}\n    old: null\n", of("prod", "password")));
    let kustomization = "resources: [../base]\nnamespace: prod\npatches:\n- path: patch.yaml\n";
    bench.write("prod/kustomization.yaml", kustomization);
    assert_eq!(agrees(&bench, &["prod"]), []);

    // Inline, for another place: the finding is in the block scalar.
    let inline = format!("- patch: |-\n    {}      user: {}\n", patch.replace('\n', "\n    "), of("dev", "user"));
    bench.write("prod/kustomization.yaml", &format!("{kustomization}{inline}"));
    let found = agrees(&bench, &["prod"]);
    assert_eq!(found[0].at, at(&bench, "prod/kustomization.yaml", "user: "), "{found:#?}");

    let json = format!(
        "- target: {{kind: SealedSecret, name: d.}}\n  patch: |-\n    - {{op: add, path: /spec/encryptedData/user, value: {}}}\n\
         \x20   - op: remove\n      path: /spec/encryptedData/password\n",
        of("dev", "user")
    );
    bench.write("prod/kustomization.yaml", &format!("{kustomization}{json}"));
    let found = agrees(&bench, &["prod"]);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].at.starts_with("prod/kustomization.yaml:7:"), "{found:#?}");

    // A patch for nothing is refused by Kustomize too.
    bench.write("prod/patch.yaml", &format!("{}    password: x\n", patch.replace("name: db", "name: none")));
    bench.write("prod/kustomization.yaml", kustomization);
    assert!(build(&bench, "prod").is_err());
    let found = verify(&bench, &[]);
    assert!(
        found.iter().any(|one| one.rule == "kustomization" && one.at.starts_with("prod/kustomization.yaml:4:")),
        "{found:#?}"
    );
}

#[test]
fn what_kustomize_refuses_is_found_and_what_is_not_understood_is_said() {
    let (bench, to) = repository();
    let value = sealed(&[&to], Scope::Strict, "prod", "db", "password");
    bench.write("db.yaml", &manifest("db", "", &[("password", &value)]));
    let rules = |text: &str| {
        bench.write("kustomization.yaml", text);
        assert!(build(&bench, ".").is_err(), "{text}");
        let found = verify(&bench, &[]);
        assert!(found.iter().all(|one| one.rule != "wrong-place"), "{found:#?}");
        found.into_iter().map(|one| (one.rule, one.at)).collect::<Vec<_>>()
    };
    let one = |at: &str| [("kustomization".to_owned(), at.to_owned())];
    assert_eq!(rules("resources:\n- db.yaml\n- none.yaml\n"), one("kustomization.yaml:3:3"));
    assert_eq!(rules("resources: [db.yaml]\ncomponents: [nowhere]\n"), one("kustomization.yaml:2:14"));
    assert_eq!(rules("resources: [db.yaml]\npatches:\n- path: none.yaml\n"), one("kustomization.yaml:3:9"));
    assert_eq!(rules("resources: [db.yaml, .git]\n"), one("kustomization.yaml:1:22"));
    bench.write("copy.yaml", &bench.read("db.yaml"));
    let found = rules("resources: [db.yaml, copy.yaml]\n");
    assert_eq!(
        found,
        [("duplicate".to_owned(), "copy.yaml:1:1".to_owned()); 1].map(|one| ("duplicate".to_owned(), one.1))
    );
    std::fs::remove_file(bench.path("copy.yaml")).unwrap();

    bench.write("part/kustomization.yaml", "kind: Component\nnamespace: prod\n");
    assert_eq!(rules("resources: [db.yaml, part]\n"), one("kustomization.yaml:1:22"));
    bench.write("part/kustomization.yaml", "resources: [..]\n");
    assert!(rules("resources: [db.yaml, part]\n").iter().any(|(rule, _)| rule == "kustomization"));

    bench.write("part/kustomization.yaml", "resources: ['https://example.org/base?ref=v1']\n");
    bench.write("kustomization.yaml", "resources: [db.yaml]\nnamespace: prod\nreplacements:\n- path: x.yaml\n");
    bench.run(&["verify"]).exits(0).says("part/kustomization.yaml: line 1: resources[0]: is in another place");
    bench.run(&["verify"]).exits(0).says("kustomization.yaml: line 4: replacements");
}

#[test]
fn two_objects_that_write_one_secret_are_found_where_they_meet() {
    let (bench, to) = repository();
    let value = sealed(&[&to], Scope::ClusterWide, "", "", "");
    let wide = "  annotations: {sealedsecrets.bitnami.com/cluster-wide: 'true'}\n";
    let external = "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: outside}\nspec:\n  \
                    secretStoreRef: {name: store}\n  target: {name: db}\n  data: [{secretKey: a, remoteRef: {key: b}}]\n";
    bench.write("a/db.yaml", &manifest("db", wide, &[("password", &value)]));
    // The same name in another folder is another cluster's.
    bench.write("b/db.yaml", &bench.read("a/db.yaml"));
    assert_eq!(verify(&bench, &[]), []);
    bench.write("b/external.yaml", external);
    let duplicates = |found: Vec<Found>| found.into_iter().filter(|one| one.rule == "duplicate").collect::<Vec<_>>();
    let found = duplicates(verify(&bench, &[]));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].at, "b/external.yaml:1:1");
    assert!(found[0].message.contains("SealedSecret db in b/db.yaml:1"), "{found:#?}");
    bench.write("b/external.yaml", &external.replace("name: db}", "name: db, creationPolicy: Merge}"));
    assert_eq!(duplicates(verify(&bench, &[])), []);
    // Kustomize brings the two folders together.
    bench.write("b/external.yaml", "");
    bench.write("c/kustomization.yaml", "resources: [a, b]\n");
    std::fs::rename(bench.path("a"), bench.path("c/a")).unwrap();
    std::fs::rename(bench.path("b"), bench.path("c/b")).unwrap();
    bench.write("c/a/kustomization.yaml", "resources: [db.yaml]\n");
    bench.write("c/b/kustomization.yaml", "resources: [db.yaml]\n");
    assert_eq!(duplicates(verify(&bench, &[])).len(), 1);
    bench.write("c/b/kustomization.yaml", "resources: [db.yaml]\nnamePrefix: b-\n");
    assert_eq!(verify(&bench, &[]), []);
}

#[test]
fn an_external_secret_finds_its_store_where_kustomize_puts_both() {
    let (bench, _) = repository();
    let external = "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: api, namespace: base}\nspec:\n  \
                    secretStoreRef: {name: store}\n  data: [{secretKey: a, remoteRef: {key: b}}]\n";
    let store = "apiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: {name: store, namespace: prod}\n\
                 spec: {provider: {fake: {data: [{key: b, value: '${C}'}]}}}\n";
    bench.write("base/external.yaml", external);
    bench.write("base/kustomization.yaml", "resources: [external.yaml]\n");
    bench.write("prod/store.yaml", store);
    let rules = |arguments: &[&str]| {
        verify(&bench, arguments).into_iter().map(|one| (one.rule, one.object)).collect::<Vec<_>>()
    };
    let missing = |object: &str| [("missing-store".to_owned(), object.to_owned())];
    assert_eq!(rules(&[]), missing("ExternalSecret base/api"));
    bench.write("prod/kustomization.yaml", "namespace: prod\nresources: [../base, store.yaml]\n");
    assert_eq!(rules(&[]), []);
    // Named alone: what the kustomization brings beside it still counts.
    assert_eq!(rules(&["base"]), []);
    bench.write("dev/kustomization.yaml", "namespace: dev\nresources: [../base]\n");
    assert_eq!(rules(&[]), missing("ExternalSecret dev/api"));
    let found = verify(&bench, &[]);
    assert_eq!(found[0].at, at(&bench, "base/external.yaml", "secretStoreRef"));
    // Kustomize renames the store, and not the reference to it.
    bench.write("dev/kustomization.yaml", "namespace: prod\nnamePrefix: x-\nresources: [../base, ../store]\n");
    std::fs::remove_file(bench.path("prod/store.yaml")).unwrap();
    bench.write("store/store.yaml", &store.replace("name: store", "name: y-store"));
    bench.write("store/kustomization.yaml", "resources: [store.yaml]\n");
    bench.write("prod/kustomization.yaml", "namespace: prod\nresources: [../base]\n");
    assert_eq!(rules(&[]).len(), 2);
    bench.run(&["verify"]).exits(0);
}

#[test]
fn a_json_patch_of_a_secret_in_a_file_of_its_own_is_in_the_clear() {
    let (bench, _) = repository();
    let patch = "- op: add\n  path: /data/password\n  value: Y2FuYXJ5LWh1bnRlcjI=\n";
    bench.write("patch.yaml", patch);
    bench.write("base.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\ndata: {other: ''}\n");
    let kustomization = |field: &str, kind: &str| {
        let target = format!("{{version: v1, kind: {kind}, name: db}}");
        let text = format!("resources: [base.yaml]\n{field}:\n- target: {target}\n  path: patch.yaml\n");
        bench.write("kustomization.yaml", &text);
    };
    let seen =
        |arguments: &[&str]| verify(&bench, arguments).into_iter().map(|one| (one.rule, one.at)).collect::<Vec<_>>();
    let leak = [("plain-secret".to_owned(), "patch.yaml:3:3".to_owned())];
    for field in ["patches", "patchesJson6902"] {
        kustomization(field, "Secret");
        build(&bench, "").unwrap();
        assert_eq!(seen(&[]), leak);
        // The patch alone: the kustomization says what it is for.
        assert_eq!(seen(&["patch.yaml"]), leak);
    }
    kustomization("patches", "ConfigMap");
    assert_eq!(seen(&[]), []);
}

#[test]
fn a_value_that_is_pulled_in_on_very_many_ways_is_told_some_times_and_counted() {
    let (bench, to) = repository();
    let value = sealed(&[&to], Scope::Strict, "prod", "db", "password");
    bench.write("l0/db.yaml", &manifest("db", "  namespace: prod\n", &[("password", &value)]));
    bench.write("l0/kustomization.yaml", "resources: [db.yaml]\n");
    for level in 1..=8 {
        for (side, field) in [("a", "namePrefix: a-"), ("b", "nameSuffix: -b")] {
            let below = if level == 1 { "../l0".to_owned() } else { format!("../l{}", level - 1) };
            bench.write(&format!("l{level}{side}/kustomization.yaml"), &format!("{field}\nresources: [{below}]\n"));
        }
        bench.write(&format!("l{level}/kustomization.yaml"), &format!("resources: [../l{level}a, ../l{level}b]\n"));
    }
    let found = verify(&bench, &[]);
    let places: Vec<&Found> = found.iter().filter(|one| one.rule == "wrong-place").collect();
    assert!((1..=5).contains(&places.len()), "{}", places.len());
    let counted = places.iter().filter(|one| one.message.contains("more place(s) of this build")).count();
    assert_eq!(counted, 1, "{places:#?}");
}
