//! What is in the repository: keys, sealed values, a store, and what a host is to have.

use super::external::{self, public};
use super::host::{Host, SETTINGS};
use super::stage::Stage;
use super::{FILE, FIRST, plain_secret};
use crate::failure::Outcome;
use crate::leaks;

/// The configuration of the application, a template.
pub(super) const TEMPLATE: &str = "hosts/web/app.conf";
/// What the host is to have.
pub(super) const HOST: &str = "hosts/web/host.yaml";
/// The store's content, the store with what is made of it, and the key that opens it.
pub(super) const VAULT: &str = "hosts/web/vault.yaml";
const EXTERNAL: &str = "hosts/web/api.yaml";
const VAULT_KEY: &str = "hosts/web/vault-key.yaml";

pub(super) fn enroll(stage: &Stage) -> Outcome {
    stage.step("A machine enrolls", "it makes a key that never leaves it; a second key is for the bad day")?;
    let url = stage.repository().display().to_string();
    stage.typed("bulla host enroll --name frodo --group web --url …/repository")?;
    stage.bulla_quietly(&["host", "enroll", "--name", "frodo", "--group", "web", "--url", &url], "")?;
    Host::stay_within(stage)?;
    stage.bulla(&["keys", "generate", "-o", "../recovery.key"], "")?;
    let rules = "version: 1\nrules:\n- path: \"hosts/web/**\"\n  namespace: web\n  recipients:\n";
    let [host, recovery] = [public(stage, "../frodo/host.key")?, public(stage, "../recovery.key")?];
    stage.write(".bulla.yaml", &format!("{rules}  - {host}\n  - {recovery}\n"))?;
    stage.commit("Say to whom the web hosts' secrets are sealed")?;
    let modes = [stage.mode("../frodo/host.key")?, stage.mode("../recovery.key")?];
    let settings = stage.read(&format!("../{SETTINGS}"))?;
    stage.check(
        modes == [0o600; 2] && settings.contains("identities: [host.key]"),
        ".bulla.yaml names both public keys; the private ones have mode 0600, outside of the repository",
    )
}

pub(super) fn leak(stage: &Stage) -> Outcome {
    stage.step("A leak, caught", "somebody leaves a plain Secret in the working tree")?;
    let path = "hosts/web/db-secret.yaml";
    stage.write(path, &plain_secret("web"))?;
    let said = stage.bulla_says(&["verify"])?;
    stage.show(said.text.lines().next().unwrap_or_default())?;
    stage.remove(path)?;
    let found = said.text.contains(path) && said.text.contains("[plain-secret]") && !said.text.contains(FIRST);
    stage.check(!said.done && found, "refused before `git commit`, here or in CI, and taken away")
}

pub(super) fn seal(stage: &Stage) -> Outcome {
    stage.step("Seal", "to both keys, bound to namespace, name and data key")?;
    stage.bulla(&["seal", "-o", FILE], &plain_secret("web"))?;
    stage.show(&stage.bulla(&["inspect", FILE], "")?)?;
    stage.commit("The database's credentials")?;
    let text = stage.read(FILE)?;
    stage.check(!text.contains(FIRST) && leaks::find(FILE.as_ref(), &text).is_empty(), "the file is safe to push")
}

pub(super) fn external(stage: &Stage) -> Outcome {
    stage.step("An external secret", "a value that lives in a store: here an age file, elsewhere AWS or Vault")?;
    stage.bulla_quietly(&["keys", "generate", "--type", "x25519", "-o", external::KEY], "")?;
    stage.write(VAULT, &external::vault(stage, "web", external::FIRST)?)?;
    stage.write(EXTERNAL, &external::manifests("web"))?;
    // The store's key is a sealed value too.
    let key = stage.read(external::KEY)?;
    let key = key.lines().find(|line| line.starts_with("AGE-SECRET-KEY-")).unwrap_or_default();
    let secret = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: vault-key, namespace: web}}\nstringData: {{identity: {key}}}\n"
    );
    stage.bulla(&["seal", "-o", VAULT_KEY], &secret)?;
    let shown = stage.bulla(&["plan", "-f", EXTERNAL, "--store", VAULT, "--identity", external::KEY], "")?;
    stage.show(&shown)?;
    stage.commit("The API's token, from the store")?;
    stage.check(
        shown.contains("there") && !shown.contains(external::FIRST),
        "what it will be is known before it is pushed, by a digest and not by its value",
    )
}

/// The Host document: files, and the application with its check.
fn host_document(host: &Host) -> String {
    format!(
        "apiVersion: bulla.dev/v1alpha1
kind: Host
metadata: {{name: app, namespace: web}}
spec:
  files:
  - {{path: /etc/app/app.conf, template: app.conf, secrets: [{{name: db}}, {{name: api}}]}}
  - {{path: /etc/app/db-password, secret: {{name: db, key: password}}, mode: \"0440\"}}
  services:
  - name: app
    reloadOn: [\"/etc/app/**\"]
    commands: {{reload: {}, status: [\"true\"]}}
    health: {{http: {{url: \"{}\"}}, within: 2s, for: 200ms}}
",
        host.app.reload_command(),
        host.app.url(),
    )
}

/// The template of the application's configuration.
const CONFIGURATION: &str = "# for {{ .host.name }}
database = postgres://{{ .db.username }}:{{ .db.password }}@db/payments
upstream_token = {{ .api.token }}
pool = 20
";

pub(super) fn declare(stage: &Stage, host: &Host) -> Outcome<String> {
    stage.step("Say what the host is to have", "files from both secrets, who is told, how it shows that it is well")?;
    stage.write(TEMPLATE, CONFIGURATION)?;
    let document = host_document(host);
    stage.write(HOST, &document)?;
    stage.typed(&format!("cat {TEMPLATE}"))?;
    stage.excerpt(CONFIGURATION)?;
    stage.typed(&format!("tail -n +4 {HOST}"))?;
    let root = stage.root().display().to_string();
    stage.excerpt(&document.replace(&root, "…").lines().skip(3).collect::<Vec<_>>().join("\n"))?;
    let said = stage.bulla_says(&["verify"])?;
    stage.show(said.text.lines().last().unwrap_or_default())?;
    let commit = stage.commit("The application on the web hosts")?;
    stage.check(said.done, "everything in the repository fits together")?;
    Ok(commit)
}
