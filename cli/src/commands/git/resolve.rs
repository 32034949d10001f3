//! `bulla git resolve`: sealed values in conflict, decided.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use bulla::seal::{KeyId, Keyring, Place};

use crate::args::ResolveArguments;
use crate::document::{Document, Manifest};
use crate::failure::{OrFail as _, Outcome, refuse, usage};
use crate::git::program::Program;
use crate::git::{Git, ObjectId};
use crate::merge::compare;
use crate::merge::conflict::{self, Part};
use crate::merge::resolve::{self, Base, Choice, Disputed};
use crate::merge::seal::{Facts, Seal};
use crate::merge::three_way::{loses_its_place, named};
use crate::output::{self, Access, GOOD, WARN};
use crate::sealing::Sealer;
use crate::{identities, recipients};

/// The versions of the file that Git keeps while it is in conflict: what both come from, ours, theirs.
type Stages = [Option<Document>; 3];

/// Runs the verb.
pub(super) fn run(arguments: &ResolveArguments) -> Outcome {
    let ResolveArguments { file, ours, theirs, newest, identity, .. } = arguments;
    let has_choice = *ours || *theirs || *newest;
    if !has_choice && identity.is_empty() {
        return Err(usage!("say how to choose: --identity FILE, --ours, --theirs or --newest"));
    }
    let keyring = if identity.is_empty() { None } else { Some(identities::keyring(identity)?) };
    let text = fs::read_to_string(file).or_usage(format!("reading {}", file.display()))?;
    let size = marker_size(file)?;
    let parts = conflict::parts(&text, size);
    let disputed = resolve::find(&parts)
        .map_err(|problem| refuse!("{}: {problem}: resolve the other conflicts first", file.display()))?;
    let wanted: Vec<&Disputed> = disputed.iter().filter(|disputed| is_wanted(disputed, arguments)).collect();
    if wanted.is_empty() {
        let left = resolve::count(&text, size);
        return Err(refuse!(
            "{}: no sealed value is in conflict by itself ({left} conflict(s) in the file). To merge it again by key: \
             git checkout -m {}",
            file.display(),
            file.display()
        ));
    }
    let stages = stages(file)?;
    let mut work = Work { arguments, keyring, stages, sealer: None };
    let (mut chosen, mut other_keys) = (Vec::new(), false);
    for disputed in wanted {
        let choice = work.choose(disputed);
        let about = format!("{} of {}", output::plain(&disputed.key), output::plain(&named(&disputed.objects[0])));
        let (is_ours, why) = match choice {
            Choice::Ours(why) => (true, why),
            Choice::Theirs(why) => (false, why),
            Choice::Neither(why) => {
                output::note(&format!("{WARN}!{WARN:#} {about}: left as it is: {why}"));
                continue;
            }
        };
        let Some(Part::Dispute(dispute)) = parts.get(disputed.part) else { continue };
        let (lines, value) = if is_ours { (dispute.ours, &disputed.ours) } else { (dispute.theirs, &disputed.theirs) };
        let side = if is_ours { "ours" } else { "theirs" };
        let (lines, more) = work.fitting(disputed, lines, value.as_deref(), is_ours)?;
        let what = if value.is_some() { "taken from" } else { "taken out, as in" };
        output::note(&format!("{GOOD}✓{GOOD:#} {about}: {what} {side}{}{more}", reason(why)));
        other_keys |= value.is_some() && keys(&disputed.ours) != keys(&disputed.theirs);
        chosen.push((disputed.part, lines));
    }
    let count = chosen.len();
    let text = resolve::decided(&parts, &chosen);
    let left = resolve::count(&text, size);
    if left == 0 && count > 0 {
        Document::parse(text.clone())
            .map_err(|error| refuse!("{}: {error}; nothing was written: resolve it by hand", file.display()))?;
    }
    if count > 0 {
        output::write_file(file, text.as_bytes(), Access::Ordinary)?;
    }
    if let Some(sealer) = work.sealer {
        sealer.finish();
    }
    if other_keys {
        let file = file.display();
        output::note(&format!(
            "The sides were sealed to different keys: `bulla reseal {file}` seals to those of .bulla.yaml"
        ));
    }
    if left > 0 {
        return Err(refuse!("{}: {left} conflict(s) left", file.display()));
    }
    output::note(&format!("No conflict is left: git add {}", file.display()));
    Ok(())
}

fn keys(value: &Option<String>) -> BTreeSet<KeyId> {
    Seal::of(value.as_deref()).facts().map(Facts::keys).unwrap_or_default()
}

fn reason(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(": {why}") }
}

fn is_wanted(disputed: &Disputed, arguments: &ResolveArguments) -> bool {
    let has_name = |name: &String| disputed.objects.iter().any(|object| object.name.as_ref() == Some(name));
    (arguments.key.is_empty() || arguments.key.contains(&disputed.key)) && arguments.name.as_ref().is_none_or(has_name)
}

struct Work<'a> {
    arguments: &'a ResolveArguments,
    keyring: Option<Keyring>,
    stages: Stages,
    sealer: Option<Sealer>,
}

impl Work<'_> {
    fn choose(&self, disputed: &Disputed) -> Choice {
        if self.arguments.ours {
            return Choice::Ours("");
        }
        if self.arguments.theirs {
            return Choice::Theirs("");
        }
        if self.arguments.newest {
            return resolve::newest(disputed);
        }
        let Some(keyring) = &self.keyring else { return Choice::Neither("no key") };
        let [ours, theirs] = [self.source(disputed, true), self.source(disputed, false)];
        resolve::by_value(disputed, [&ours, &theirs], &self.base(disputed, [&ours, &theirs]), keyring)
    }

    /// The object that a side's value is from: as Git keeps it, else as it is in the file.
    fn source(&self, disputed: &Disputed, is_ours: bool) -> Manifest {
        let (stage, value) = if is_ours { (1, &disputed.ours) } else { (2, &disputed.theirs) };
        let holds = |manifest: &&Manifest| {
            value.is_some() && manifest.entry(&disputed.key).is_some_and(|entry| entry.value == *value)
        };
        let kept = self.stages[stage]
            .as_ref()
            .and_then(|document| document.sealed_secrets().map(|(_, manifest)| manifest).find(holds).cloned());
        kept.unwrap_or_else(|| disputed.objects[usize::from(!is_ours)].clone())
    }

    fn base(&self, disputed: &Disputed, sources: [&Manifest; 2]) -> Base {
        let Some(document) = &self.stages[0] else { return Base::Unknown };
        let is_same = |manifest: &&Manifest| {
            let mut known = sources.into_iter().chain(&disputed.objects);
            known.any(|known| known.name == manifest.name && known.namespace == manifest.namespace)
        };
        let object = document.sealed_secrets().map(|(_, manifest)| manifest).find(is_same);
        let Some(object) = object else { return Base::Unknown };
        match object.entry(&disputed.key) {
            Some(entry) => {
                entry.value.clone().map_or(Base::Unknown, |value| Base::Value(Box::new(object.clone()), value))
            }
            None => Base::Nothing,
        }
    }

    /// The lines, with the value sealed again where it would not open in the merged object; and what to say of it.
    fn fitting(
        &mut self,
        disputed: &Disputed,
        lines: &str,
        value: Option<&str>,
        is_ours: bool,
    ) -> Outcome<(String, String)> {
        let unchanged = || (lines.to_owned(), String::new());
        let (Some(value), object) = (value, &disputed.objects[0]) else { return Ok(unchanged()) };
        let source = self.source(disputed, is_ours);
        if !loses_its_place(value, &disputed.key, &source, object) {
            return Ok(unchanged());
        }
        let Some(keyring) = &self.keyring else {
            let more =
                format!("; {WARN}it was sealed for {} and will not open here: seal it again{WARN:#}", named(&source));
            return Ok((lines.to_owned(), more));
        };
        let plaintext = compare::open(keyring, &source, &disputed.key, value)
            .ok_or_else(|| refuse!("{} does not open with these keys, and must be sealed again", disputed.key))?;
        let resolved = recipients::resolve(&self.arguments.to, Some(&self.arguments.file))?;
        let ruled = resolved.rule.as_ref().and_then(|rule| rule.namespace.as_deref());
        let namespace = object.namespace.as_deref().or(self.arguments.namespace.as_deref()).or(ruled);
        let namespace =
            namespace.ok_or_else(|| crate::commands::no_namespace(&self.arguments.file.display().to_string()))?;
        let name = object.name.as_deref().ok_or_else(|| refuse!("the SealedSecret has no name"))?;
        let place = Place { namespace, name, key: &disputed.key };
        let sealer = self.sealer.get_or_insert_with(|| Sealer::new(resolved.recipients));
        let sealed = sealer.seal(object.scope(), place, &plaintext, None)?;
        if lines.matches(value).count() != 1 {
            return Err(refuse!("{} is not written on one line: resolve it by hand", disputed.key));
        }
        Ok((lines.replace(value, &sealed), format!("; sealed again for {}", named(object))))
    }
}

/// How many characters the markers in a file have.
fn marker_size(file: &Path) -> Outcome<usize> {
    let name = "conflict-marker-size";
    let file = file.display().to_string();
    let said = Program::here(&["check-attr", "-z", name, "--", &file]).finish()?.stdout;
    let said = String::from_utf8_lossy(&said).into_owned();
    Ok(said.split('\0').nth(2).and_then(|size| size.parse().ok()).unwrap_or(7))
}

/// The versions that Git keeps; nothing where the file is not in conflict, or not in a repository.
fn stages(file: &Path) -> Outcome<Stages> {
    let mut stages: Stages = [None, None, None];
    let shown = file.display().to_string();
    let said = Program::here(&["ls-files", "--unmerged", "-z", "--", &shown]).finish()?.stdout;
    let said = String::from_utf8_lossy(&said).into_owned();
    for line in said.split('\0') {
        // `mode id stage<tab>path`
        let words: Vec<&str> = line.split(['\t', ' ']).take(3).collect();
        let [_, id, stage] = words.as_slice() else { continue };
        let (Ok(id), Ok(stage)) = (ObjectId::from_hex(id.as_bytes()), stage.parse::<usize>()) else { continue };
        let bytes = Git::discover(Path::new("."))?.bytes_of(id)?;
        let document = String::from_utf8(bytes).ok().and_then(|text| Document::parse(text).ok());
        if let Some(slot) = stage.checked_sub(1).and_then(|index| stages.get_mut(index)) {
            *slot = document;
        }
    }
    Ok(stages)
}
