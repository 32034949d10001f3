//! Files of any content: an answer, never a panic, and no finding that quotes a value.

use std::fs;
use std::io::Write as _;

use proptest::prelude::*;

use super::{Options, check};

const CANARY: &str = "canaryhunter2";

/// Pieces of manifests, kustomizations, templates and rules.
const PIECES: [&str; 64] = [
    "apiVersion: bitnami.com/v1alpha1\n",
    "kind: SealedSecret\n",
    "kind: Secret\n",
    "metadata: {name: db}\n",
    "metadata:\n",
    "  name: db\n",
    "  namespace: prod\n",
    "  annotations: {sealedsecrets.bitnami.com/cluster-wide: 'true'}\n",
    "spec:\n",
    "  encryptedData:\n",
    "    a: AgBB\n",
    "    a: YWdlLWVuY3J5cHRpb24ub3JnL3Yx\n",
    "stringData: {p: canaryhunter2}\n",
    "data:\n",
    "  p: canaryhunter2\n",
    "---\n",
    "...\n",
    "kind: List\nitems:\n",
    "- ",
    "  ",
    "\n",
    "&x ",
    "*x",
    "<<: *x\n",
    "{{ .a }}",
    "{{- if }}\n",
    "{{",
    "}}",
    "'",
    "\"",
    "[",
    "]",
    "{",
    "}",
    ": ",
    "|\n",
    "|-\n",
    ">\n",
    "resources: [a.yaml, ., .., x, a.yaml]\n",
    "components: [.]\n",
    "namespace: dev\n",
    "namePrefix: x-\n",
    "commonAnnotations: {a: b}\n",
    "patches:\n",
    "- path: a.yaml\n",
    "- patch: |-\n",
    "  target: {kind: '.*', name: '['}\n",
    "  target: {labelSelector: 'a in (b'}\n",
    "    - {op: add, path: /spec/encryptedData/a, value: AgB}\n",
    "    - {op: move, from: /a, path: /metadata/name}\n",
    "    $patch: delete\n",
    "transformers:\n",
    "- |-\n",
    "secretGenerator:\n",
    "- literals: [a=canaryhunter2]\n",
    "  files: [a.yaml, '']\n",
    "replacements: [{path: x}]\n",
    "version: 1\nrules:\n",
    "- path: '**'\n",
    "  recipients: [age1x]\n",
    "\u{e000}",
    "\u{feff}",
    "\t",
    "kind: ExternalSecret\napiVersion: external-secrets.io/v1\nspec: {data: [{}]}\n",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_repository_is_checked_without_a_panic_and_without_a_word_of_its_values(
        files in prop::collection::vec((0usize..5, prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..16)), 1..5)
    ) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join(".git")).unwrap();
        fs::create_dir_all(folder.path().join("x")).unwrap();
        for (name, pieces) in files {
            let name = ["a.yaml", "kustomization.yaml", "x/kustomization.yaml", ".bulla.yaml", "x/values.json"][name];
            fs::File::create(folder.path().join(name)).unwrap().write_all(pieces.concat().as_bytes()).unwrap();
        }
        let done = check(&[folder.path().to_path_buf()], &Options::default()).unwrap_or_default();
        for finding in &done.findings {
            prop_assert!(finding.line.is_none_or(|line| line > 0) && finding.column.is_none_or(|column| column > 0));
            prop_assert!(!serde_json::to_string(finding).unwrap().contains(CANARY), "{finding:?}");
        }
        for note in &done.notes {
            prop_assert!(!note.message.contains(CANARY), "{note:?}");
        }
    }
}
