//! `bulla host drill`: whether a host can be rebuilt from the repository and a key alone.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use bulla::host::config::Allow;
use bulla::host::declared::external::{Admitted, External, Settings, is_not_admitted};
use bulla::host::declared::{Folder, Folders, Who, declare};
use bulla::host::desired::{Content, Problem};
use bulla::seal::Keyring;
use jiff::Timestamp;
use serde::Serialize;

use crate::args::{HostDrillArguments, Report};
use crate::cluster;
use crate::failure::{Outcome, refuse, usage};
use crate::identities;
use crate::output::{self, BAD, DIM, GOOD, WARN};

/// What the drill found. The names of the fields are part of the output.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Drilled {
    host: String,
    files: usize,
    made: usize,
    services: usize,
    seconds: f64,
    problems: Vec<Problem>,
    /// ExternalSecrets of AWS or Vault, which were not asked.
    elsewhere: Vec<String>,
}

pub(super) fn run(arguments: &HostDrillArguments) -> Outcome {
    let keyring = identities::keyring(&arguments.identity)?;
    if keyring.is_empty() {
        return Err(usage!("none of the files has a private key that opens anything"));
    }
    let drilled = drill(arguments, keyring)?;
    match arguments.output {
        Report::Json => output::print_json(&drilled)?,
        Report::Text => output::print(&text(&drilled))?,
    }
    if drilled.files == 0 {
        return Err(refuse!("nothing is declared for host {:?}: is its name right, and are its groups?", drilled.host));
    }
    if drilled.problems.is_empty() {
        Ok(())
    } else {
        Err(refuse!("{} thing(s) cannot be made", drilled.problems.len()))
    }
}

/// Makes everything, in memory.
fn drill(arguments: &HostDrillArguments, keyring: Keyring) -> Outcome<Drilled> {
    let began = Instant::now();
    let who = Who { name: arguments.host.clone(), groups: arguments.groups.clone(), folders: Folders::system() };
    let source = Arc::new(Folder(arguments.repository.clone()));
    // What is in the repository is read; nobody else is asked, and nothing is kept.
    let here = Allow { stores: Some(vec!["file".to_owned(), "fake".to_owned()]), ..Allow::default() };
    let admitted = Admitted::new(&here).map_err(|error| usage!("{error}"))?;
    let desired = cluster::block_on(async {
        let keyring = Arc::new(keyring);
        let settings = Settings { admitted, ..Settings::new(&arguments.host, Arc::clone(&keyring)) };
        let mut external = External::new(settings);
        let declared = declare(source, &who, keyring, &mut external, Timestamp::now()).await;
        external.close().await;
        declared.map_err(|error| usage!("{error}"))
    })?;
    let is_elsewhere = |problem: &Problem| is_not_admitted(&problem.message);
    let elsewhere: Vec<String> =
        desired.problems.iter().filter(|problem| is_elsewhere(problem)).map(|problem| problem.object.clone()).collect();
    let problems: Vec<Problem> = desired.problems.into_iter().filter(|problem| !is_elsewhere(problem)).collect();
    let made = desired.files.iter().filter(|file| matches!(file.content, Content::Bytes(_))).count();
    Ok(Drilled {
        host: arguments.host.clone(),
        files: desired.files.len(),
        made,
        services: desired.services.len(),
        seconds: began.elapsed().as_secs_f64(),
        problems,
        elsewhere,
    })
}

fn text(drilled: &Drilled) -> String {
    let is_whole = drilled.made == drilled.files && drilled.files > 0;
    let mark = if is_whole { format!("{GOOD}✓{GOOD:#}") } else { format!("{WARN}!{WARN:#}") };
    let mut out = format!(
        "{mark} {} of {} file(s) of {} can be made, {} service(s) {DIM}({:.2} s){DIM:#}\n",
        drilled.made, drilled.files, drilled.host, drilled.services, drilled.seconds
    );
    // Writing to a String does not fail.
    for problem in &drilled.problems {
        writeln!(out, "  {BAD}✗{BAD:#} {problem}").ok();
    }
    for object in &drilled.elsewhere {
        writeln!(out, "  {WARN}?{WARN:#} {object} was not asked for: its provider has to be there too").ok();
    }
    out
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use bulla::seal::{Identity, KeyState, Keyring, seal_file};
    use bulla::secret::Plaintext;

    use super::drill;
    use crate::args::{HostDrillArguments, Report};

    const OBJECTS: &str = "apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {name: here}\n\
        spec: {provider: {file: {path: values.age}}}\n---\n\
        apiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: {name: away, namespace: web}\n\
        spec: {provider: {vault: {server: 'http://127.0.0.1:1', path: kv, auth: {tokenSecretRef: {name: t, key: t}}}}}\n---\n\
        apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: db, namespace: web}\n\
        spec: {secretStoreRef: {name: here, kind: ClusterSecretStore}, dataFrom: [{extract: {key: db}}]}\n---\n\
        apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: api, namespace: web}\n\
        spec: {secretStoreRef: {name: away}, dataFrom: [{extract: {key: api}}]}\n---\n\
        apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: lost, namespace: web}\n\
        spec: {secretStoreRef: {name: here, kind: ClusterSecretStore}, dataFrom: [{extract: {key: lost}}]}\n---\n\
        apiVersion: bulla.dev/v1alpha1\nkind: Host\nmetadata: {name: app, namespace: web}\nspec:\n  files:\n  \
        - {path: /etc/db, secret: {name: db, key: password}}\n  - {path: /etc/api, secret: {name: api, key: k}}\n  \
        - {path: /etc/lost, secret: {name: lost, key: k}}\n";

    #[test]
    fn values_in_files_of_the_repository_are_opened_and_nobody_else_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity::generate_x25519().unwrap();
        let values = Plaintext::copy_of(b"db: {password: s3cret}");
        let values = seal_file(&[identity.recipient().clone()], &values).unwrap();
        for (name, bytes) in [("values.age", values.as_slice()), ("web.yaml", OBJECTS.as_bytes())] {
            fs::File::create(folder.path().join(name)).unwrap().write_all(bytes).unwrap();
        }
        let mut keyring = Keyring::new();
        keyring.insert(identity, KeyState::Active);
        let arguments = HostDrillArguments {
            repository: folder.path().to_owned(),
            host: "frodo".to_owned(),
            groups: vec!["web".to_owned()],
            identity: Vec::new(),
            output: Report::Json,
        };
        let drilled = drill(&arguments, keyring).unwrap_or_else(|_| panic!("the drill failed"));
        assert_eq!((drilled.files, drilled.made), (3, 1), "{:?}", drilled.problems);
        assert_eq!(drilled.elsewhere, ["ExternalSecret web/api"]);
        let problems: Vec<_> = drilled.problems.iter().map(|problem| problem.object.as_str()).collect();
        assert_eq!(problems, ["ExternalSecret web/lost"], "what is here and does not come back is told");
    }
}
