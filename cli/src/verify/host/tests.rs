use std::fs;
use std::io::Write as _;
use std::path::Path;

use super::super::{Options, check};

fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// `RULE LINE:COLUMN FIELD` of every finding of a Host document's rules.
fn findings(files: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(".git")).unwrap();
    for (path, text) in files {
        write(folder.path(), path, text);
    }
    let done = check(&[folder.path().to_path_buf()], &Options::default()).unwrap_or_default();
    assert!(done.counts.files > 0, "nothing was looked at");
    let ours = done.findings.iter().filter(|found| found.rule.id.starts_with("host"));
    ours.map(|found| {
        let (line, column) = (found.line.unwrap_or_default(), found.column.unwrap_or_default());
        format!("{} {line}:{column} {}", found.rule.id, found.path)
    })
    .collect()
}

fn host(spec: &str) -> String {
    format!("apiVersion: bulla.dev/v1alpha1\nkind: Host\nmetadata: {{name: web, namespace: edge}}\nspec:\n{spec}")
}

const SECRET: &str = "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: db, namespace: edge}\n\
                      spec: {encryptedData: {k: AgB}, template: {data: {rendered: x}}}\n";
const EXTERNAL: &str = "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: x, namespace: edge}\n\
                        spec: {target: {name: api}, data: [{secretKey: token}]}\n";

#[test]
fn a_document_in_order_has_no_findings() {
    let spec = "  files:\n  - {path: /a, secret: {name: db, key: k}}\n  - {path: /b, secret: {name: db, key: rendered}}\n  \
                - {path: /c, template: c.tmpl, secrets: [{name: db}, {name: api}]}\n  - {path: /d, source: /shared/d}\n  \
                - {path: /e, secret: {name: api, key: token}}\n";
    let files = [
        ("hosts/host.yaml", host(spec)),
        ("hosts/c.tmpl", "{{ .db.k }}".to_owned()),
        ("shared/d", String::new()),
        ("s.yaml", SECRET.to_owned()),
        ("x.yaml", EXTERNAL.to_owned()),
    ];
    let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    assert_eq!(findings(&files), [""; 0]);
}

#[test]
fn secrets_on_a_disk_and_for_everybody_are_told() {
    let spec = "  files:\n  - {path: /a, secret: {name: db, key: k}, place: copy}\n  \
                - {path: /b, inline: '{{ .db.k }}', secrets: [{name: db}], mode: '0644'}\n  \
                - {path: /run/c, secret: {name: db, key: k}, place: copy, mode: '0440'}\n  \
                - {path: /d, inline: x, place: copy, mode: '0644'}\n";
    let found = findings(&[("hosts/host.yaml", &host(spec)), ("s.yaml", SECRET)]);
    let told: Vec<_> = found.iter().map(|found| found.split(' ').next().unwrap()).collect();
    assert_eq!(told, ["host-exposed", "host-exposed"]);
    assert!(found[0].ends_with("spec.files[0].place") && found[1].ends_with("spec.files[1].mode"), "{found:?}");
}

#[test]
fn what_the_agent_would_not_read_is_told_at_its_place() {
    let spec = "  files:\n  - path: /a\n    inlin: x\n  - path: b\n    inline: x\n    mode: 440\n  cron:\n  \
                - {name: a, schedule: '* *', command: x}\n";
    let text = host(spec);
    assert_eq!(
        findings(&[("host.yaml", &text)]),
        ["host 7:5 spec.files[0].inlin", "host 10:5 spec.files[1].mode", "host 12:15 spec.cron[0].schedule",]
    );
}

#[test]
fn secrets_and_keys_that_no_file_makes_are_told() {
    let spec = "  files:\n  - {path: /a, secret: {name: db, key: nokey}}\n  - {path: /b, secret: {name: nosecret, key: k}}\n  \
                - {path: /c, inline: x, secrets: [{name: db, namespace: elsewhere}]}\n";
    let text = host(spec);
    assert_eq!(
        findings(&[("host.yaml", &text), ("s.yaml", SECRET)]),
        [
            "host-secret 6:16 spec.files[0].secret",
            "host-secret 7:16 spec.files[1].secret",
            "host-secret 8:37 spec.files[2].secrets[0]",
        ]
    );
}

#[test]
fn files_that_are_missing_or_outside_and_templates_that_do_not_parse_are_told() {
    let spec = "  files:\n  - {path: /a, source: missing}\n  - {path: /b, template: bad.tmpl}\n  \
                - {path: /c, inline: '{{ nofunction }}'}\n  - {path: /d, source: ../../etc/passwd}\n  units:\n  \
                - {name: a.service, source: folder}\n";
    let text = host(spec);
    assert_eq!(
        findings(&[("host.yaml", &text), ("bad.tmpl", "{{ if }}"), ("folder/x", "")]),
        [
            "host-file 6:16 spec.files[0].source",
            "host-file 7:16 spec.files[1].template",
            "host-file 8:16 spec.files[2].inline",
            "host-file 9:16 spec.files[3].source",
            "host-file 11:23 spec.units[0].source",
        ]
    );
}
