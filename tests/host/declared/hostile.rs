//! A repository that means harm.

use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bulla::host::declared::{Nobody, Source, declare};
use bulla::host::desired::Keep;
use jiff::Timestamp;

use super::world::{Counting, World, contents, frodo, host, problems, sealed_secret};

#[tokio::test]
async fn no_path_leads_out_of_the_repository_and_no_link_is_followed() {
    let world = World::new();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "canary").unwrap();
    let up = "/..".repeat(20);
    let up = up.trim_start_matches('/');
    let spec = format!(
        "
  files:
  - {{path: /a, source: {up}{}/secret}}
  - {{path: /b, template: ../../etc/passwd}}
  - {{path: /c, source: link}}
  - {{path: /d, source: folder/secret}}
  - {{path: /e, source: /../etc/passwd}}
  - {{path: /f, source: pipe}}
  units:
  - {{name: a.service, source: link}}
",
        outside.path().display()
    );
    world.write("host.yaml", host("web", &spec));
    symlink(outside.path().join("secret"), world.folder.path().join("link")).unwrap();
    symlink(outside.path(), world.folder.path().join("folder")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(world.folder.path().join("pipe")).status().unwrap().success());
    let desired = world.declare().await;
    assert_eq!(desired.files.len(), 7);
    assert!(contents(&desired).into_values().all(|text| text.is_none()), "{:?}", contents(&desired));
    assert_eq!(desired.problems.len(), 7, "{:#?}", problems(&desired));
    assert!(!problems(&desired).concat().contains("canary"));
}

#[tokio::test]
async fn a_host_document_behind_a_link_is_not_read() {
    let world = World::new();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("host.yaml"), host("web", "  files: [{path: /a, inline: a}]\n")).unwrap();
    symlink(outside.path().join("host.yaml"), world.folder.path().join("host.yaml")).unwrap();
    symlink(outside.path(), world.folder.path().join("folder")).unwrap();
    assert!(world.declare().await.files.is_empty());
}

#[tokio::test]
async fn templates_that_would_run_for_ever_end_and_the_others_are_made() {
    let world = World::new();
    let bombs = [
        "{{ range until 1000000000 }}x{{ end }}",
        "{{ range 1000000000 }}{{ end }}",
        "{{ define \\\"a\\\" }}{{ template \\\"a\\\" . }}{{ template \\\"a\\\" . }}{{ end }}{{ template \\\"a\\\" . }}",
        "{{ repeat 2000000000 \\\"x\\\" }}",
        "{{ $x := list 1 }}{{ range until 64 }}{{ $x = concat $x $x }}{{ end }}",
    ];
    let files: Vec<_> =
        bombs.iter().enumerate().map(|(i, bomb)| format!("  - {{path: /b{i}, inline: \"{bomb}\"}}\n")).collect();
    world.write(
        "host.yaml",
        host(
            "web",
            &format!("  files:\n  - {{path: /a, inline: ok}}\n{}  - {{path: /z, inline: ok}}\n", files.concat()),
        ),
    );
    let desired = world.declare().await;
    let made: Vec<_> = contents(&desired).into_iter().filter_map(|(path, text)| text.map(|_| path)).collect();
    assert_eq!(made, ["/a", "/z"]);
    assert_eq!(desired.problems.len(), bombs.len(), "{:#?}", problems(&desired));
}

#[tokio::test]
async fn bombs_of_yaml_and_deep_nesting_are_told_and_stop_nothing() {
    let world = World::new();
    let mut bomb = "kind: SealedSecret\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..12 {
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(",")));
    }
    let deep = |open: &str, close: &str| {
        format!("{{\"kind\": \"SealedSecret\", \"a\": {}{}}}", open.repeat(100_000), close.repeat(100_000))
    };
    world
        .write("bomb.yaml", bomb)
        .write("deep.yaml", deep("[", "]"))
        .write("deep.json", deep("[", "]"))
        .write("bytes.yaml", b"kind: SealedSecret\n\xff\xfe\0")
        .write("list.yaml", "kind: SealedSecretList\nitems: {a: b}\n")
        .write("odd.yaml", "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: 7\nspec: [1]\n")
        .write("host.yaml", host("web", "  files: [{path: /a, inline: ok}]\n"));
    let desired = world.declare().await;
    assert_eq!(contents(&desired)["/a"].as_deref(), Some("ok"));
    let said = problems(&desired).join("\n");
    for file in ["bomb.yaml", "deep.yaml", "deep.json", "bytes.yaml"] {
        assert!(said.contains(file), "{file} in {said}");
    }
}

#[tokio::test]
async fn manifests_that_are_too_large_are_told_and_not_read_and_data_of_that_size_is_nobodys_business() {
    let world = World::new();
    // Each node takes some 500 bytes: as much JSON as a manifest may have in YAML would take gigabytes.
    let nodes = |count: usize| vec!["{\"\":0}"; count].join(",");
    let json = |count| format!("{{\"kind\": \"Host\", \"apiVersion\": \"bulla.dev/x\", \"a\": [{}]}}", nodes(count));
    let item = |size: usize| format!("  files:\n  - {{path: /b, inline: b}}\n# {}\n", "x".repeat(size));
    world
        .write("large.json", json(160_000))
        .write("data.json", format!("[{}]", nodes(700_000)))
        .write("large.yaml", host("large", &item((4 << 20) + 1)))
        .write("small.yaml", host("small", "  files: [{path: /a, inline: ok}]\n"));
    let desired = world.declare().await;
    assert_eq!(contents(&desired).into_keys().collect::<Vec<_>>(), ["/a"]);
    assert_eq!(desired.keep, Keep::Everything, "what was declared in them may be there");
    let mut said = problems(&desired);
    said.sort();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said.iter().any(|said| said.contains("large.json") && said.contains("more than 1 MiB")), "{said:?}");
    assert!(said.iter().any(|said| said.contains("large.yaml") && said.contains("more than 4 MiB")), "{said:?}");
}

#[tokio::test]
async fn a_name_with_a_line_end_does_not_get_into_a_file_or_a_message() {
    let world = World::new();
    world
        .write("a\n* * * * * root id\n.yaml", host("web", "  cron: [{name: a, schedule: '@daily', command: 'true'}]\n  files: [{path: /b, secret: {name: x, key: k}}]\n"))
        .write("b\nb.yaml", sealed_secret("edge", "x", "    k: AgB\n"));
    let desired = world.declare().await;
    assert!(!contents(&desired)["/etc/cron.d/bulla-a"].as_deref().unwrap().contains("root id"));
    assert!(desired.problems.iter().all(|problem| !problem.to_string().contains('\n')), "{:?}", problems(&desired));
    assert_eq!(desired.problems.len(), 1);
}

#[tokio::test]
async fn files_that_nothing_uses_are_not_read() {
    let world = World::new();
    world.write("host.yaml", host("web", "  files: [{path: /a, source: a.bin}]\n")).write("a.bin", "a");
    for index in 0..50 {
        world.write(&format!("data/{index}.bin"), vec![0; 4096]);
    }
    let source = Arc::new(Counting::of(world.folder.path()));
    let of: Arc<dyn Source> = Arc::<Counting>::clone(&source);
    let desired = declare(of, &frodo(), world.keyring(), &mut Nobody, Timestamp::UNIX_EPOCH).await.unwrap();
    assert_eq!(contents(&desired)["/a"].as_deref(), Some("a"));
    assert_eq!(source.read.load(Ordering::Relaxed), 2);
}
