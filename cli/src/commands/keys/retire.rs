//! `bulla keys retire` and `bulla keys compromised`: what a key still protects, and its label.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::PathBuf;

use bulla::seal::{KeyId, Keyring};
use bulla_crds::names::{KEY_COMPROMISED, KEY_RETIRED};
use kube::Client;
use serde::Serialize;

use super::audit::attribute;
use super::exposed;
use super::list::values;
use crate::args::{CompromisedArguments, Report, RetireArguments};
use crate::audit::{self, Exposure, Known};
use crate::cluster::{self, ClusterArguments};
use crate::failure::{Outcome, refuse, usage};
use crate::git::{Git, Revisions};
use crate::keys::{Key, KeySecret, Keys, Use, UsedIn, Uses, Wanted, mark};
use crate::output::{self, BAD, GOOD, HEAD, Progress, WARN};

/// Objects that are listed before the rest is only counted.
const LISTED: usize = 50;

/// A key, the Secret that holds it, and everything that depends on that Secret.
struct Subject {
    client: Client,
    namespace: String,
    key: Key,
    secret: KeySecret,
    uses: Uses,
    is_sealed_to: bool,
    files: Files,
}

/// What needs the keys of the Secret in files that may not be applied yet.
#[derive(Default)]
struct Files {
    /// By file: values that no other key of the cluster opens.
    needed: BTreeMap<String, u64>,
    /// By file: values of kubeseal's of which nobody knows the key.
    unknown: Vec<(String, u64)>,
    /// Files that cannot be read, and why: what of kubeseal's is in them nobody knows.
    unread: Vec<(String, String)>,
}

impl Subject {
    async fn find(arguments: &ClusterArguments, id: &str, paths: &[PathBuf]) -> Outcome<Self> {
        let client = cluster::connect(&arguments.connection).await?;
        let namespace = arguments.controller_namespace.clone();
        let keys = Keys::read(&client, &namespace).await?;
        let key = keys.find(id)?.clone();
        let secret = keys.secret_of(&key)?.clone();
        // A label is about all keys of a Secret.
        let wanted = Wanted { ids: secret.ids.iter().cloned().collect(), is_rsa: key.is_rsa() };
        let mut opened_by = HashMap::new();
        let uses = Uses::read_and(&client, wanted, |object, opened| attribute(object, opened, &keys, &mut opened_by));
        let uses = uses.await?;
        let files = Files::look(paths, &keys, &key, &secret, opened_by)?;
        let is_sealed_to = keys.is_sealed_to(&key);
        Ok(Self { client, namespace, key, secret, uses, is_sealed_to, files })
    }

    /// What all keys of the Secret protect.
    fn used(&self) -> Use {
        self.secret.ids.iter().fold(Use::default(), |sum, id| {
            let one = self.uses.of(id);
            Use {
                values: sum.values + one.values,
                objects: sum.objects + one.objects,
                is_at_least: sum.is_at_least || one.is_at_least,
            }
        })
    }

    /// The other keys in its Secret.
    fn others(&self) -> Vec<&str> {
        self.secret.ids.iter().map(String::as_str).filter(|id| *id != self.key.id).collect()
    }
}

impl Files {
    fn look(
        paths: &[PathBuf],
        keys: &Keys,
        key: &Key,
        secret: &KeySecret,
        opened_by: HashMap<u64, KeyId>,
    ) -> Outcome<Self> {
        if paths.is_empty() {
            return Ok(Self::default());
        }
        // Who else opens a value elsewhere is no help to this cluster.
        let others = keys.keys.iter().filter(|other| matches!(other.state.as_str(), "active" | "opening"));
        let others = others.filter(|other| !secret.ids.contains(&other.id)).filter_map(|other| other.id.parse().ok());
        let others: BTreeSet<KeyId> = others.collect();
        let known = Known { opened_by, opens: Some(Box::new(move |id| others.contains(id))), ..Known::default() };
        let audit = audit::repository(paths, &[], &known, &Progress::new(0, "files"))?;
        let mut files = Self::default();
        for used in secret.ids.iter().filter_map(|id| audit.of(&id.parse().ok()?)) {
            for file in used.files.iter().filter(|file| file.lost_without > 0) {
                *files.needed.entry(file.file.clone()).or_default() += file.lost_without;
            }
        }
        // A native value is found in what is no YAML, too.
        let hides = |file: &String| key.is_rsa() || audit.shut.contains(file);
        files.unread = audit.unread.iter().filter(|(file, _)| hides(file)).cloned().collect();
        if key.is_rsa() {
            files.unknown = audit.unknown_in;
        }
        Ok(files)
    }
}

/// Runs `retire`.
pub(super) fn retire(arguments: &RetireArguments) -> Outcome {
    // The runtime outlives the client, which has tasks in it.
    let runtime = cluster::runtime()?;
    let paths = arguments.repositories.paths();
    let subject = runtime.block_on(Subject::find(&arguments.cluster, &arguments.id, &paths))?;
    let Subject { key, secret, .. } = &subject;
    if secret.state == KEY_RETIRED {
        output::note(&format!("key {} is retired already", key.id));
        return Ok(());
    }
    let (consequences, is_needed) = consequences(&subject);
    if !consequences.is_empty() {
        output::print(&consequences)?;
    }
    if is_needed && !arguments.force {
        let is_held = subject.used().values > 0
            || !subject.files.needed.is_empty()
            || !subject.files.unknown.is_empty()
            || !subject.files.unread.is_empty();
        let hint = if subject.is_sealed_to && !is_held {
            "make a new one first with `bulla keys rotate`"
        } else {
            "seal those values again first with `bulla reseal`, or say --force"
        };
        return Err(refuse!("key {} is still needed: {hint}", key.id));
    }
    if arguments.dry_run {
        output::note(&format!("key {} would be retired (Secret {}/{})", key.id, subject.namespace, secret.name));
        return Ok(());
    }
    if is_needed && !arguments.yes {
        confirm(&format!("retire key {} all the same?", key.id))?;
    }
    runtime.block_on(mark(&subject.client, &subject.namespace, secret, KEY_RETIRED))?;
    output::print(&format!(
        "{GOOD}✓{GOOD:#} key {} is retired (Secret {}/{})\n",
        key.id, subject.namespace, secret.name
    ))
}

/// What retiring means for others, and whether that is a reason not to.
fn consequences(subject: &Subject) -> (String, bool) {
    let mut text = String::new();
    let used = subject.used();
    let others = subject.others();
    if !others.is_empty() {
        let Subject { secret, .. } = subject;
        text.push_str(&format!(
            "{WARN}Its Secret {} holds other keys too:{WARN:#} {}\n",
            secret.name,
            others.join(", ")
        ));
    }
    if used.values > 0 {
        text.push_str(&format!(
            "{BAD}{} live value(s) in {} object(s) are opened with it.{BAD:#} Without it their Secrets stay as they are, \
             but are neither changed nor made again, until the values are sealed anew:\n",
            values(used),
            used.objects
        ));
        let needed: Vec<&UsedIn> = subject.uses.objects.iter().filter(|object| object.needs_it).collect();
        text.push_str(&lines(&needed));
    }
    let unknown: Vec<&UsedIn> = subject.uses.unknown.iter().collect();
    let is_unknown = subject.key.is_rsa() && !unknown.is_empty();
    if is_unknown {
        text.push_str(&format!(
            "{WARN}{} object(s) have not been opened yet, and kubeseal's values do not say which key they need:{WARN:#}\n",
            unknown.len()
        ));
        text.push_str(&lines(&unknown));
    }
    let Files { needed, unknown, unread } = &subject.files;
    if !needed.is_empty() {
        text.push_str(&format!(
            "{BAD}{} value(s) in {} file(s) open in this cluster with it only{BAD:#}, and would not once they are applied:\n",
            needed.values().sum::<u64>(),
            needed.len()
        ));
        text.push_str(&in_files(needed.iter().map(|(file, values)| (file.as_str(), *values))));
    }
    if !unknown.is_empty() {
        text.push_str(&format!(
            "{WARN}{} value(s) of kubeseal's in {} file(s) do not say which key they need{WARN:#}, and no object of the \
             cluster tells. Other clusters' files are left out by naming this one's with --repository:\n",
            unknown.iter().map(|(_, values)| values).sum::<u64>(),
            unknown.len()
        ));
        text.push_str(&in_files(unknown.iter().map(|(file, values)| (file.as_str(), *values))));
    }
    if subject.is_sealed_to {
        text.push_str(&format!(
            "{WARN}It is the key that people are told to seal to{WARN:#}; what is sealed to it meanwhile will not open.\n"
        ));
    }
    if !unread.is_empty() {
        text.push_str(&format!(
            "{WARN}{} file(s) speak of sealed values and cannot be read{WARN:#}, so nobody knows which keys they need:\n",
            unread.len()
        ));
        for (file, reason) in unread.iter().take(LISTED) {
            text.push_str(&format!("  {}: {}\n", output::plain(file), output::plain(reason)));
        }
        let rest = unread.len().saturating_sub(LISTED);
        text.push_str(&if rest > 0 { format!("  and {rest} file(s) more\n") } else { String::new() });
    }
    let is_in_files = !needed.is_empty() || !unknown.is_empty() || !unread.is_empty();
    (text, used.values > 0 || is_unknown || is_in_files || subject.is_sealed_to)
}

fn in_files<'a>(files: impl Iterator<Item = (&'a str, u64)>) -> String {
    let mut files = files;
    let line = |(file, values)| format!("  {}: {values}\n", output::plain(file));
    let mut text: String = files.by_ref().take(LISTED).map(line).collect();
    let rest = files.count();
    if rest > 0 {
        text.push_str(&format!("  and {rest} file(s) more\n"));
    }
    text
}

/// What `compromised` found; the names of the fields are part of the output.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Concerned<'a> {
    key: &'a str,
    secret: &'a str,
    /// Whether the label was set.
    marked: bool,
    objects: &'a [UsedIn],
    /// Objects that may be concerned: nobody has opened them yet.
    unopened: &'a [UsedIn],
    /// Every value in the history of repositories that was ever sealed to it.
    history: &'a [Exposure],
}

/// Runs `compromised`.
pub(super) fn compromised(arguments: &CompromisedArguments) -> Outcome {
    let runtime = cluster::runtime()?;
    let subject = runtime.block_on(Subject::find(&arguments.cluster, &arguments.id, &[]))?;
    let Subject { key, secret, uses, namespace, .. } = &subject;
    if !arguments.dry_run {
        runtime.block_on(mark(&subject.client, namespace, secret, KEY_COMPROMISED))?;
    }
    let unopened = if key.is_rsa() { uses.unknown.as_slice() } else { &[] };
    let history = history(arguments, secret)?;
    if arguments.output == Report::Json {
        let (key, secret, marked) = (key.id.as_str(), secret.name.as_str(), !arguments.dry_run);
        let history = history.as_slice();
        return output::print_json(&Concerned { key, secret, marked, objects: &uses.objects, unopened, history });
    }
    let mut text = if arguments.dry_run {
        format!("key {} would be marked compromised (Secret {namespace}/{})\n", key.id, secret.name)
    } else {
        format!("{GOOD}✓{GOOD:#} key {} is marked compromised (Secret {namespace}/{})\n", key.id, secret.name)
    };
    let count: usize = uses.objects.iter().map(|object| object.values.len()).sum();
    if uses.objects.is_empty() && unopened.is_empty() {
        text.push_str("no SealedSecret of the cluster is sealed to it; what is in Git elsewhere it cannot know\n");
        output::print(&text)?;
        return tell(&history);
    }
    text.push_str(&format!(
        "{HEAD}{count} value(s) in {} object(s) must be changed where they are from, then sealed to a new key:{HEAD:#}\n",
        uses.objects.len()
    ));
    let all: Vec<&UsedIn> = uses.objects.iter().collect();
    text.push_str(&every(&all));
    text.push_str("It opens nothing any more: until then, their Secrets stay as they are, but are neither changed nor made again.\n");
    if !unopened.is_empty() {
        text.push_str(&format!("{WARN}Perhaps these too; no key has opened them yet:{WARN:#}\n"));
        text.push_str(&every(&unopened.iter().collect::<Vec<_>>()));
    }
    text.push_str(
        "Earlier versions of these files are in Git for ever: every value that was ever sealed to this key is known \
         to whoever has it. Sealing them again does not change that.\n",
    );
    if subject.is_sealed_to {
        text.push_str(&format!("{HEAD}Next:{HEAD:#} `bulla keys rotate`, so that there is a new key to seal to\n"));
    }
    output::print(&text)?;
    tell(&history)
}

/// What the key exposes in the history of repositories. That one is there is not expected of whoever names none.
fn history(arguments: &CompromisedArguments, secret: &KeySecret) -> Outcome<Vec<Exposure>> {
    let is_named = !arguments.repositories.repository.is_empty();
    let mut history = Vec::new();
    for path in arguments.repositories.paths() {
        if !is_named && Git::discover(&path).is_err() {
            continue;
        }
        for id in secret.ids.iter().filter_map(|id| id.parse().ok()) {
            let progress = Progress::new(0, "files of history");
            history.push(audit::exposure(&path, id, &Keyring::new(), None, &Revisions::all(), &progress)?);
        }
    }
    Ok(history)
}

fn tell(history: &[Exposure]) -> Outcome {
    history.chunk_by(|one, other| one.key == other.key).try_for_each(exposed::tell)
}

fn lines(objects: &[&UsedIn]) -> String {
    let mut text = every(objects.get(..LISTED).unwrap_or(objects));
    if objects.len() > LISTED {
        text.push_str(&format!("  and {} more\n", objects.len() - LISTED));
    }
    text
}

fn every(objects: &[&UsedIn]) -> String {
    let line = |object: &&UsedIn| {
        let perhaps = if object.certain { "" } else { " (some of them)" };
        let values = object.values.join(", ");
        format!("  {}/{}: {}{perhaps}\n", object.namespace, object.name, output::plain(&values))
    };
    objects.iter().map(line).collect()
}

/// Asks on the terminal.
fn confirm(question: &str) -> Outcome {
    if !io::stdin().is_terminal() {
        return Err(usage!("{question} There is no terminal to ask on: say --yes"));
    }
    output::note(&format!("{question} Type yes:"));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() == "yes" { Ok(()) } else { Err(refuse!("nothing was changed")) }
}
