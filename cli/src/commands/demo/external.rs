//! The other half: a Secret whose value is not in the repository but in a store, here an age-encrypted file.

use bulla::host::{Sink, Written};
use jiff::Timestamp;

use super::stage::Stage;
use crate::cluster;
use crate::external::{self, Documents, Offline, Take};
use crate::failure::{OrFail as _, Outcome, refuse, usage};
use crate::memory::Memory;

pub(super) const FIRST: &str = "sk-live-first-0f9d2c";
pub(super) const SECOND: &str = "sk-live-second-77ab31";
/// The store, and the ExternalSecret that names it.
pub(super) const FILE: &str = "clusters/prod/api.yaml";
/// What the store holds: an age file in a ConfigMap.
pub(super) const VAULT: &str = "clusters/prod/vault.yaml";
/// Where the key is that opens it.
pub(super) const KEY: &str = "../vault.key";

/// Tells it without a cluster.
pub(super) fn story(stage: &Stage) -> Outcome {
    plan(stage)?;
    follow(stage)
}

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
    let public = stage.read(KEY)?;
    let public = public.lines().find_map(|line| line.strip_prefix("# public key: "));
    let public = public.ok_or_else(|| usage!("{KEY} names no public key"))?;
    let recipient: age::x25519::Recipient = public.parse().map_err(|error: &str| usage!("{KEY}: {error}"))?;
    let yaml = format!("payments/api:\n  token: {token}\n");
    let sealed = age::encrypt_and_armor(&recipient, yaml.as_bytes()).or_usage("encrypting the store")?;
    let sealed = sealed.trim_end().replace('\n', "\n    ");
    Ok(format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: vault, namespace: {namespace}}}\ndata:\n  vault.age: |\n    {sealed}\n"
    ))
}

fn plan(stage: &Stage) -> Outcome {
    stage.step("An external secret", "the value is in a store: here an age-encrypted file, elsewhere AWS or Vault")?;
    stage.bulla_quietly(&["keys", "generate", "--type", "x25519", "-o", KEY], "")?;
    stage.write(VAULT, &vault(stage, "prod", FIRST)?)?;
    stage.write(FILE, &manifests("prod"))?;
    let shown = stage.bulla(&["plan", "-f", FILE, "--store", VAULT, "--identity", KEY], "")?;
    stage.show(&shown)?;
    stage.git(&["add", FILE, VAULT])?;
    stage.git(&["commit", "-m", "Add the API's token, from the vault"])?;
    let moved = manifests("prod").replacen("namespace: prod", "namespace: staging", 1);
    let refused = stage.bulla_quietly(&["plan", "-f", "-"], &moved);
    stage.check(
        shown.contains("there") && !shown.contains(FIRST) && refused.is_err(),
        "what would be written is known before it is pushed; a store of another namespace is refused",
    )
}

fn follow(stage: &Stage) -> Outcome {
    stage.step("Fetch and follow", "the controller's own code asks the store; then the value changes there")?;
    let before = digest(stage)?;
    let first = sync(stage)? == Written::Changed && holds(stage, FIRST);
    let again = sync(stage)? == Written::Unchanged;
    stage.write(VAULT, &vault(stage, "prod", SECOND)?)?;
    stage.git(&["commit", "-am", "Roll the API's token"])?;
    let after = digest(stage)?;
    stage.say(&format!("prod/api/token: {before}, then {after}"))?;
    let second = sync(stage)? == Written::Changed && holds(stage, SECOND);
    stage.check(
        first && again && second && before != after,
        "the Secret was written, left alone while nothing changed, and follows the store",
    )
}

/// The digest that a plan shows.
fn digest(stage: &Stage) -> Outcome<String> {
    let plan =
        stage.bulla_quietly(&["plan", "-f", FILE, "--store", VAULT, "--identity", KEY, "--output", "json"], "")?;
    let plan: serde_json::Value = serde_json::from_str(&plan).or_refuse("the plan")?;
    let digest = plan.pointer("/plans/0/data/0/digest").and_then(serde_json::Value::as_str);
    let digest = digest.and_then(|digest| digest.split_once(':'));
    digest.map(|(_, mac)| mac.to_owned()).ok_or_else(|| refuse!("the plan has no digest"))
}

/// Fetches, renders and writes, as the controller does.
fn sync(stage: &Stage) -> Outcome<Written> {
    let mut documents = Documents::default();
    documents.read(&stage.path(FILE), None, Take::All)?;
    documents.read(&stage.path(VAULT), None, Take::Stores)?;
    let offline = Offline { identities: vec![stage.path(KEY)], files: None };
    let memory = Memory::none();
    let (plans, findings) = cluster::block_on(external::plan(&documents, &offline, &memory, Timestamp::now()))?;
    if let Some(finding) = findings.first() {
        return Err(refuse!("{}: {}", finding.object, finding.message));
    }
    let secret = plans.into_iter().find_map(|plan| plan.secret).ok_or_else(|| refuse!("there is nothing to write"))?;
    Sink::new(stage.secrets()).write(&secret).or_usage("writing the Secret")
}

fn holds(stage: &Stage, token: &str) -> bool {
    std::fs::read_to_string(stage.secrets().join("prod/api/token")).is_ok_and(|written| written == token)
}
