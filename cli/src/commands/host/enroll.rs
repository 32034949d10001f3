//! `bulla host enroll`: this machine's key and settings.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use bulla::host::config::Config;
use serde::Serialize;

use crate::args::{EnrollArguments, Report};
use crate::failure::{OrFail as _, Outcome, usage};
use crate::identities;
use crate::output::{self, Access, DIM, GOOD, HEAD};

/// What was made. The names of the fields are part of the output.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Enrolled {
    name: String,
    groups: Vec<String>,
    settings: PathBuf,
    identity: PathBuf,
    recipient: String,
    key_id: String,
    made_key: bool,
    made_settings: bool,
}

pub(super) fn run(arguments: &EnrollArguments) -> Outcome {
    let settings = &arguments.place.config;
    let folder = settings.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(folder)
        .or_usage(format!("making {}", folder.display()))?;
    let made_settings = !settings.exists();
    if made_settings {
        let url = arguments.url.as_deref().ok_or_else(|| {
            usage!("{} is not there yet: say with --url which repository this host follows", settings.display())
        })?;
        let text = settings_text(arguments, url);
        Config::parse(&text, folder).map_err(|problem| usage!("{problem}"))?;
        output::write_file(settings, text.as_bytes(), Access::Ordinary)?;
    }
    let config = super::config(&arguments.place)?;
    let identity = config.identities.first().cloned().unwrap_or_else(|| folder.join("host.key"));
    let made_key = !identity.exists();
    if made_key {
        let made = identities::generate(arguments.kind)?;
        output::create_private_file(&identity, identities::file_text(&made)?.as_bytes())?;
    }
    let keys = identities::read(std::slice::from_ref(&identity))?;
    let key = keys.first().ok_or_else(|| usage!("{} holds no private key", identity.display()))?;
    let enrolled = Enrolled {
        name: config.name.clone(),
        groups: config.groups.clone(),
        settings: settings.clone(),
        identity,
        recipient: key.recipient().to_string(),
        key_id: key.key_id().to_string(),
        made_key,
        made_settings,
    };
    match arguments.output {
        Report::Json => output::print_json(&enrolled),
        Report::Text => output::print(&text(&enrolled)),
    }
}

/// Settings that work, with what one would change next as comments.
fn settings_text(arguments: &EnrollArguments, url: &str) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut text = "# Settings of the host agent of Bulla: docs/host.md says what else there is.\n".to_owned();
    if let Some(name) = &arguments.name {
        text.push_str(&format!("name: {}\n", quoted(name)));
    }
    if !arguments.groups.is_empty() {
        let groups: Vec<String> = arguments.groups.iter().map(|group| quoted(group)).collect();
        text.push_str(&format!("groups: [{}]\n", groups.join(", ")));
    }
    text.push_str("identities: [host.key]\nrepository:\n");
    text.push_str(&format!("  url: {}\n  branch: {}\n", quoted(url), quoted(&arguments.branch)));
    text.push_str(
        "  poll: 60s\n#  access: {passwordFile: git.token}\n#  signatures: {allowedSigners: allowed_signers}\n",
    );
    text.push_str("#allow: {paths: [\"/etc/nginx/**\"], units: [nginx.service]}\n");
    text
}

fn text(enrolled: &Enrolled) -> String {
    let Enrolled { name, groups, settings, identity, recipient, key_id, .. } = enrolled;
    let did = |made: bool| if made { "made" } else { "was there" };
    let namespaces = std::iter::once(name).chain(groups).cloned().collect::<Vec<_>>();
    let rules: String = namespaces
        .iter()
        .map(|namespace| {
            format!(
                "  - path: \"hosts/{namespace}/**\"\n    namespace: {namespace}\n    recipients:\n    - {recipient}\n"
            )
        })
        .collect();
    format!(
        "{GOOD}✓{GOOD:#} settings {} {DIM}({}){DIM:#}\n{GOOD}✓{GOOD:#} key {key_id} in {} {DIM}({}, mode 0600; it never \
         leaves this machine){DIM:#}\n\n{HEAD}Commit this to the repository{HEAD:#}, in .bulla.yaml, beside the other recipients of \
         these secrets (other hosts of the group, the key of the bad day):\n\nversion: 1\nrules:\n{rules}\n{HEAD}Then{HEAD:#} seal with \
         --namespace {}, and start the agent: systemctl enable --now bulla-host.service\n",
        settings.display(),
        did(enrolled.made_settings),
        identity.display(),
        did(enrolled.made_key),
        namespaces.join(" or --namespace "),
    )
}
