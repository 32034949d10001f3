//! Values of a real Vault, from the store to the file.

use std::fs;

use bulla::host::agent::Condition;
use serde_json::json;

use super::bench::Host;
use super::{CANARY, told};
use crate::servers::vault::Vault;

#[test]
fn what_vault_no_longer_has_is_gone_from_the_host_if_the_object_says_so_and_comes_back_with_the_value() {
    let vault = Vault::start();
    vault.enable_kv("kv", 2);
    let put = || vault.write("kv/data/app", &json!({"data": {"token": "of-vault"}}));
    put();
    let mut host = Host::new("");
    host.write("web/own.yaml", &host.sealed("own", &[("k", CANARY)]));
    host.write("web/login.yaml", &host.sealed("login", &[("token", vault.root_token())]));
    let (address, told_file) = (vault.address(), host.path("told"));
    host.write(
        "web/vault.yaml",
        &format!(
            "apiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: {{name: vault, namespace: web}}\nspec:\n  provider:\n    \
             vault: {{server: \"{address}\", path: kv, version: v2, auth: {{tokenSecretRef: {{name: login, key: token}}}}}}\n---\n\
             apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {{name: app, namespace: web}}\nspec:\n  \
             refreshInterval: 1s\n  secretStoreRef: {{name: vault}}\n  target: {{deletionPolicy: Delete}}\n  \
             dataFrom: [{{extract: {{key: app}}}}]\n"
        ),
    );
    host.write(
        "web/host.yaml",
        &format!(
            "apiVersion: bulla.dev/v1alpha1\nkind: Host\nmetadata: {{name: app, namespace: web}}\nspec:\n  files:\n  \
             - {{path: /etc/token, secret: {{name: app, key: token}}}}\n  \
             - {{path: /etc/both, inline: \"{{{{ .app.token }}}} {{{{ .own.k }}}}\", secrets: [{{name: app}}, {{name: own}}]}}\n  \
             - {{path: /etc/own, secret: {{name: own, key: k}}}}\n  services:\n  - name: app\n    reloadOn: [\"/etc/*\"]\n    \
             commands: {{reload: [sh, -c, \"echo reload >> {}\"], status: [\"true\"]}}\n    health: {{for: 0s}}\n",
            told_file.display()
        ),
    );
    host.commit("A value of Vault");
    host.start();
    assert_eq!(host.read("/etc/token").as_deref(), Some("of-vault"), "{}", host.log());
    assert_eq!(host.read("/etc/both"), Some(format!("of-vault {CANARY}")));
    let told_before = told(&host);

    vault.delete("kv/metadata/app");
    host.until("it is gone", || fs::symlink_metadata(host.declared("/etc/token")).is_err());
    host.until("all is told", || told(&host) > told_before);
    assert!(fs::symlink_metadata(host.declared("/etc/both")).is_err(), "it held the value too");
    assert_eq!(host.read("/etc/own").as_deref(), Some(CANARY));
    host.until("it is said", || host.status().files.len() == 1);
    assert_eq!(host.status().condition, Condition::InSync, "it is as it should be: {}", host.status().message);

    put();
    host.until("it is back", || host.read("/etc/token").as_deref() == Some("of-vault"));
    host.until("the other too", || host.read("/etc/both") == Some(format!("of-vault {CANARY}")));
}
