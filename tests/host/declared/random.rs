//! Commits of any content: an answer, never a panic, and no word of a value in it.

use std::sync::Arc;

use bulla::host::declared::{Folder, Nobody, Source, declare};
use jiff::Timestamp;
use proptest::prelude::*;

use super::world::{World, frodo, problems};

const CANARY: &str = "sealedcanary77";

/// Pieces of manifests.
const PIECES: [&str; 58] = [
    "apiVersion: bulla.dev/v1alpha1\n",
    "kind: Host\n",
    "metadata: {name: frodo}\n",
    "metadata: {name: web, namespace: edge}\n",
    "spec:\n",
    "  hosts: [frodo]\n",
    "  files:\n",
    "  - {path: /a, inline: x}\n",
    "  - {path: /a/b, inline: '{{ .db.k }}', secrets: [{name: db}]}\n",
    "  - {path: /c, secret: {name: db, key: k}}\n",
    "  - {path: /c, secret: {name: db, key: nokey}, mode: '0600'}\n",
    "  - {path: ../a, source: ../../../etc/passwd}\n",
    "  - {path: /d, template: t.tmpl, secrets: [{name: db, as: x}]}\n",
    "  - {path: /e, inline: '{{ index .db (printf \"%s\" .db.k) }}', secrets: [{name: db}]}\n",
    "  - {path: /f, inline: '{{ range 1000 }}{{ fail $.db.k }}{{ end }}', secrets: [{name: db}]}\n",
    "  - {path: /g, inline: '{{ .db.k | int | div 1 }}{{ .db.k | fromJson }}', secrets: [{name: db}]}\n",
    "  - {path: 7}\n",
    "  - [x]\n",
    "  - null\n",
    "  units:\n",
    "  - {name: a.service, inline: '{{ .host.name }}'}\n",
    "  - {name: a.container, source: t.tmpl, start: true}\n",
    "  - {name: ../../a.service, inline: x}\n",
    "  cron:\n",
    "  - {name: a, schedule: '@daily', command: 'a % b'}\n",
    "  - {name: 'a/../b', schedule: '* * * * *', command: \"a\\nb\"}\n",
    "  credentials:\n",
    "  - {name: a, unit: a.service, secret: {name: db, key: k}, by: credstore}\n",
    "  - {name: a, unit: a.service, secret: {name: db, key: k}}\n",
    "  services:\n",
    "  - {name: a, after: [b], reloadOn: ['/**']}\n",
    "  - {name: b, after: [a, nobody]}\n",
    "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: db, namespace: edge}\nspec: {data: [{}]}\n",
    "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: db, namespace: edge}\nspec: {encryptedData: 7}\n",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: db, namespace: edge}\ndata: {a: b}\n",
    "kind: List\nitems:\n",
    "- ",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "&x ",
    "*x",
    "<<: *x\n",
    "{",
    "}",
    "[",
    "]",
    "'",
    "\"",
    "|\n",
    "\t",
    "\u{feff}",
    "\0",
    "# bulla.dev/ Host SealedSecret\n",
    "\u{2028}",
    ": ",
    "\r\n",
    "  oddity: canaryhunter2\n",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_commit_is_declared_without_a_panic_and_without_a_word_of_its_values(
        files in prop::collection::vec((0usize..4, prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..14)), 1..4)
    ) {
        let world = World::new();
        world.write("secret.yaml", world.secret("edge", "db", &[("k", CANARY)]));
        for (name, pieces) in files {
            let head = if name < 2 { "apiVersion: bulla.dev/v1alpha1\nkind: Host\nmetadata: {name: frodo, namespace: edge}\nspec:\n" } else { "" };
            let name = ["a.yaml", "b.yaml", "c.yaml", "t.tmpl"][name];
            world.write(name, format!("{head}{}", pieces.concat()));
        }
        let source: Arc<dyn Source> = Arc::new(Folder(world.folder.path().to_owned()));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let declared = runtime.block_on(declare(source, &frodo(), world.keyring(), &mut Nobody, Timestamp::UNIX_EPOCH));
        let desired = declared.unwrap();
        for line in problems(&desired) {
            prop_assert!(!line.contains(CANARY) && !line.contains("canaryhunter2") && !line.contains('\n'), "{line}");
        }
        let mut paths: Vec<_> = desired.files.iter().map(|file| file.path.clone()).collect();
        prop_assert!(paths.iter().all(|path| path.is_absolute() && !path.to_string_lossy().contains("..")));
        let count = paths.len();
        paths.dedup();
        prop_assert_eq!(paths.len(), count);
    }
}
