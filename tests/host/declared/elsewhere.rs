//! Values from elsewhere.

use super::world::{Everything, World, contents, host, problems};

fn external(name: &str, store: &str) -> String {
    format!(
        "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {{name: {name}, namespace: edge}}\nspec:\n  \
         secretStoreRef: {{name: {store}, kind: SecretStore}}\n  data: [{{secretKey: token, remoteRef: {{key: x}}}}]\n"
    )
}

fn store(name: &str, secret: &str) -> String {
    format!(
        "apiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: {{name: {name}, namespace: edge}}\nspec:\n  provider:\n    \
         vault: {{server: 'https://vault', path: kv, version: v2, auth: {{tokenSecretRef: {{name: {secret}, key: token}}}}}}\n"
    )
}

#[tokio::test]
async fn what_is_used_is_fetched_and_nothing_else() {
    let world = World::new();
    let spec = "
  files:
  - {path: /a, secret: {name: api, key: token}}
  - {path: /b, inline: '{{ .api.token }}/{{ .db.k }}', secrets: [{name: api}, {name: db}]}
  - {path: /c, secret: {name: broken, key: token}}
";
    world
        .write("host.yaml", host("web", spec))
        .write("db.yaml", world.secret("edge", "db", &[("k", "v")]))
        .write("login.yaml", world.secret("edge", "login", &[("token", "hunter2")]))
        .write("unused.yaml", world.secret("edge", "unused", &[("token", "hunter3")]))
        .write(
            "x.yaml",
            [external("api", "vault"), external("broken", "vault"), external("unasked", "other")].join("---\n"),
        )
        .write("s.yaml", [store("vault", "login"), store("other", "unused")].join("---\n"));
    let mut answers = Everything::default();
    let desired = world.declare_with(&mut answers).await;
    assert_eq!(answers.asked, ["api", "broken"]);
    assert_eq!(answers.stores, ["vault"]);
    assert_eq!(
        answers.secrets.into_iter().collect::<Vec<_>>(),
        [("edge/login".to_owned(), Ok(vec!["token".to_owned()]))]
    );
    let made = contents(&desired);
    assert_eq!(
        (made["/a"].as_deref(), made["/b"].as_deref(), made["/c"].as_deref()),
        (Some("fetched"), Some("fetched/v"), None)
    );
    assert_eq!(problems(&desired), ["ExternalSecret edge/broken: the store says no (x.yaml:8)"]);
    assert_eq!(desired.refresh.map(|time| time.as_secs()), Some(60));
}

#[tokio::test]
async fn the_target_s_name_counts_not_the_object_s() {
    let world = World::new();
    let renamed = external("api", "vault").replace("spec:\n", "spec:\n  target: {name: upstream}\n");
    world
        .write("host.yaml", host("web", "  files: [{path: /a, secret: {name: upstream, key: token}}]\n"))
        .write("x.yaml", renamed)
        .write("s.yaml", store("vault", "login"));
    let desired = world.declare_with(&mut Everything::default()).await;
    assert_eq!(contents(&desired)["/a"].as_deref(), Some("fetched"), "{:?}", problems(&desired));
}

#[tokio::test]
async fn a_secret_that_is_sealed_and_fetched_is_taken_from_neither() {
    let world = World::new();
    world
        .write("host.yaml", host("web", "  files: [{path: /a, secret: {name: api, key: token}}]\n"))
        .write("x.yaml", external("api", "vault"))
        .write("y.yaml", world.secret("edge", "api", &[("token", "sealed")]));
    let mut answers = Everything::default();
    let desired = world.declare_with(&mut answers).await;
    assert_eq!((contents(&desired)["/a"].as_deref(), answers.asked.len()), (None, 0));
    assert!(problems(&desired)[0].contains("is made more than once"));
}
