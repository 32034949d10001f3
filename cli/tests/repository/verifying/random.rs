//! Kustomizations made by chance: what `bulla verify` finds in the tree is what it finds in what Kustomize builds.

use std::fmt::Write as _;

use bulla::seal::Scope;

use super::kustomize::{build, landed};
use super::{found, manifest, repository, sealed, verify};
use crate::harness::Bench;
use crate::support::dice::Dice;

const NAMESPACES: [&str; 3] = ["prod", "dev", "default"];
const NAMES: [&str; 4] = ["db", "x-db", "db-y", "x-db-y"];
const SCOPES: [Scope; 3] = [Scope::Strict, Scope::NamespaceWide, Scope::ClusterWide];
const ANNOTATIONS: [&str; 2] = ["sealedsecrets.bitnami.com/namespace-wide", "sealedsecrets.bitnami.com/cluster-wide"];

struct Chance<'a> {
    dice: Dice,
    to: &'a str,
}

impl Chance<'_> {
    fn one<'t, T: ?Sized>(&mut self, of: &[&'t T]) -> &'t T {
        of[self.dice.below(of.len())]
    }

    fn is(&mut self, one_in: usize) -> bool {
        self.dice.below(one_in) == 0
    }

    fn value(&mut self, key: &str) -> String {
        let scope = SCOPES[self.dice.below(SCOPES.len())];
        let (namespace, name) = (self.one(&NAMESPACES), self.one(&NAMES));
        sealed(&[self.to], scope, namespace, name, key)
    }

    fn object(&mut self, name: &str) -> String {
        let mut metadata = String::new();
        if self.is(3) {
            writeln!(metadata, "  namespace: {}", self.one(&NAMESPACES)).unwrap();
        }
        if self.is(3) {
            writeln!(metadata, "  labels: {{tier: {}}}", self.one(&["back", "front"])).unwrap();
        }
        if self.is(3) {
            writeln!(metadata, "  annotations: {{{}: 'true'}}", self.one(&ANNOTATIONS)).unwrap();
        }
        let (password, user) = (self.value("password"), self.value("user"));
        manifest(name, &metadata, &[("password", &password), ("user", &user)])
    }

    /// What a kustomization does, beside what it pulls in.
    fn fields(&mut self) -> String {
        let mut text = String::new();
        if self.is(2) {
            writeln!(text, "namespace: {}", self.one(&NAMESPACES)).unwrap();
        }
        if self.is(3) {
            text.push_str("namePrefix: x-\n");
        }
        if self.is(3) {
            text.push_str("nameSuffix: -y\n");
        }
        if self.is(4) {
            writeln!(text, "commonAnnotations: {{{}: '{}'}}", self.one(&ANNOTATIONS), self.one(&["true", "false"]))
                .unwrap();
        }
        if self.is(4) {
            writeln!(text, "labels: [{{pairs: {{tier: {}}}}}]", self.one(&["back", "front"])).unwrap();
        }
        if self.is(2) {
            text.push_str("patches:\n");
            for _ in 0..=self.dice.below(2) {
                text.push_str(&self.patch());
            }
        }
        if self.is(5) {
            let namespace = self.one(&NAMESPACES);
            let unset = self.one(&["true", "false"]);
            writeln!(
                text,
                "transformers:\n- |-\n  apiVersion: builtin\n  kind: NamespaceTransformer\n  metadata: {{name: n, namespace: {namespace}}}\n  unsetOnly: {unset}"
            )
            .unwrap();
        }
        text
    }

    fn patch(&mut self) -> String {
        let target = self.one(&[
            "{kind: SealedSecret}",
            "{kind: Sealed.*, name: db}",
            "{name: .*db, namespace: prod}",
            "{labelSelector: tier=back}",
            "{labelSelector: 'tier notin (front)', version: v1alpha1}",
            "{group: bitnami.com, annotationSelector: sealedsecrets.bitnami.com/cluster-wide=true}",
        ]);
        let value = self.value("user");
        let annotation = self.one(&ANNOTATIONS);
        let pointer = annotation.replace('/', "~1");
        let merge = "apiVersion: bitnami.com/v1alpha1\n    kind: SealedSecret\n    metadata:\n      name: db\n";
        let (options, body) = match self.dice.below(9) {
            0 => ("", format!("{merge}      annotations: {{{annotation}: null}}\n")),
            1 => ("", format!("{merge}      annotations: {{{annotation}: 'true'}}\n")),
            2 => {
                ("", format!("{merge}    spec:\n      encryptedData:\n        user: {value}\n        password: null\n"))
            }
            3 => (
                "",
                format!("{merge}    spec:\n      encryptedData:\n        $patch: replace\n        user: {value}\n"),
            ),
            4 => ("", format!("{merge}    $patch: delete\n")),
            5 => ("", format!("- {{op: replace, path: /spec/encryptedData/user, value: {value}}}\n")),
            6 => ("", format!("- {{op: add, path: /metadata/annotations, value: {{{annotation}: 'true'}}}}\n")),
            7 => (
                "",
                format!(
                    "- {{op: add, path: /metadata/namespace, value: prod}}\n    - {{op: add, path: '/metadata/annotations/{pointer}', value: 'true'}}\n"
                ),
            ),
            _ => ("  options: {allowNameChange: true}\n", merge.replace("name: db", "name: x-db")),
        };
        format!("- target: {target}\n{options}  patch: |-\n    {body}")
    }
}

/// A tree of a base, a component and two overlays, one over the other.
fn plant(bench: &Bench, chance: &mut Chance<'_>) {
    let files = ["a.yaml", "b.yaml"];
    let (first, second) = (chance.object("db"), chance.object("db-y"));
    bench.write("base/a.yaml", &first);
    bench.write("base/b.yaml", &second);
    let count = 1 + chance.dice.below(2);
    let base = format!("resources: [{}]\n{}", files[..count].join(", "), chance.fields());
    bench.write("base/kustomization.yaml", &base);
    let part = format!("apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n{}", chance.fields());
    bench.write("part/kustomization.yaml", &part);
    for (folder, below) in [("middle", "../base"), ("top", "../middle"), ("side", "../base")] {
        let part = if chance.is(3) { "components: [../part]\n" } else { "" };
        let text = format!("resources: [{below}]\n{part}{}", chance.fields());
        bench.write(&format!("{folder}/kustomization.yaml"), &text);
    }
}

#[test]
fn what_is_found_in_any_tree_is_what_is_found_in_what_kustomize_builds() {
    let (mut built, mut wrong, mut refused) = (0, 0, 0);
    for seed in 1..=40 {
        let (bench, to) = repository();
        let mut chance = Chance { dice: Dice(seed * 7919), to: to.trim() };
        plant(&bench, &mut chance);
        let texts: Vec<_> = ["top", "side", "part"].map(|folder| build(&bench, folder)).into_iter().collect();
        if texts[..2].iter().any(Result::is_err) {
            refused += 1;
            continue;
        }
        let mut expected = Vec::new();
        for text in texts.iter().flatten() {
            expected.extend(landed(&found(&bench.pipe(&["verify", "--output", "json", "-"], text))));
        }
        expected.sort();
        expected.dedup();
        let seen = verify(&bench, &[]);
        let show = || {
            ["base", "part", "middle", "top", "side"]
                .map(|folder| format!("--- {folder}\n{}", bench.read(&format!("{folder}/kustomization.yaml"))))
                .concat()
        };
        // `b.yaml` may lie there without being pulled in; what is wrong with it is not of the build.
        let of_build: Vec<_> = seen
            .iter()
            .filter(|one| {
                bench.read("base/kustomization.yaml").contains("b.yaml") || !one.at.starts_with("base/b.yaml")
            })
            .cloned()
            .collect();
        assert_eq!(landed(&of_build), expected, "seed {seed}\n{}\n{seen:#?}", show());
        assert!(seen.iter().all(|one| one.rule != "kustomization"), "seed {seed}\n{}\n{seen:#?}", show());
        built += 1;
        wrong += expected.len();
    }
    assert!(
        built > 20 && wrong > 40,
        "{built} built with {wrong} findings, {refused} refused: the test proves nothing"
    );
}
