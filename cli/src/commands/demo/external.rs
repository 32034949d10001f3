//! A Secret whose value is not in the manifest but in a store: here an age-encrypted file, elsewhere AWS or Vault.

use super::stage::Stage;
use crate::failure::{OrFail as _, Outcome, usage};

pub(super) const FIRST: &str = "sk-live-first-0f9d2c";
pub(super) const SECOND: &str = "sk-live-second-77ab31";
/// Where the key is that opens it.
pub(super) const KEY: &str = "../vault.key";

/// A store and what is to be made of it.
pub(super) fn manifests(namespace: &str) -> String {
    format!(
        "apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {{name: vault, namespace: {namespace}}}
spec:
  provider:
    file:
      configMapRef: {{name: vault, key: vault.age}}
      identitySecretRef: {{name: vault-key, key: identity}}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {{name: api, namespace: {namespace}}}
spec:
  refreshInterval: 1h
  secretStoreRef: {{name: vault}}
  data:
  - secretKey: token
    remoteRef: {{key: payments/api, property: token}}
"
    )
}

/// The content of the store with this token in it: what `age -r` makes, in a ConfigMap.
pub(super) fn vault(stage: &Stage, namespace: &str, token: &str) -> Outcome<String> {
    let public = public(stage, KEY)?;
    let recipient: age::x25519::Recipient = public.parse().map_err(|error: &str| usage!("{KEY}: {error}"))?;
    let yaml = format!("payments/api:\n  token: {token}\n");
    let sealed = age::encrypt_and_armor(&recipient, yaml.as_bytes()).or_usage("encrypting the store")?;
    let sealed = sealed.trim_end().replace('\n', "\n    ");
    Ok(format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: vault, namespace: {namespace}}}\ndata:\n  vault.age: |\n    {sealed}\n"
    ))
}

/// The public half of the key in a file.
pub(super) fn public(stage: &Stage, file: &str) -> Outcome<String> {
    let text = stage.read(file)?;
    let public = text.lines().find_map(|line| line.strip_prefix("# public key: "));
    public.map(str::to_owned).ok_or_else(|| usage!("{file} names no public key"))
}
