//! A rebuild, rehearsed: whether a repository and some private keys alone bring every value back.
//!
//! | module | what it is |
//! | --- | --- |
//! | `object` | the SealedSecrets of a file, as far as opening them goes |
//! | `opening` | the values of a file, opened and let go |
//! | `lost` | what does not open, by what is missing, with its files and commits |
//! | `outside` | what is in no commit: values that come from stores elsewhere |
//! | `unread` | what was not looked at, and so is not proven |
//! | `report` | what is told, to people and to machines |
//!
//! First the newest commit, for which the time counts, then every other commit. A value that is the same in many
//! versions of a file is opened once.

mod lost;
mod object;
mod opening;
mod outside;
mod report;
mod unread;

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use bulla::seal::Keyring;

use self::lost::Losses;
use self::opening::{Failing, Opener};
use self::outside::Outside;
pub(crate) use self::report::{Report, Verdict};
use crate::args::Older;
use crate::failure::{OrFail as _, Outcome, usage};
use crate::files::Files;
use crate::git::{Git, Left, ObjectId, Revisions};
use crate::output::Progress;
use crate::repository::Namespaces;

/// What is to be proven.
pub(crate) struct Drill<'a> {
    pub(crate) git: &'a Git,
    pub(crate) keyring: &'a Keyring,
    /// Instead of HEAD and every ref.
    pub(crate) revisions: &'a [String],
    pub(crate) older: Older,
    /// Which files are looked at: those that `bulla verify` looks at.
    pub(crate) files: &'a Files,
    /// Of manifests that name none.
    pub(crate) namespace: Option<&'a str>,
}

/// How many values, in how many objects and files. Of the newest commit each counts where it stands; of a history each
/// version counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) files: usize,
    pub(crate) objects: usize,
    pub(crate) values: usize,
    pub(crate) opened: usize,
}

impl Drill<'_> {
    /// Does it.
    ///
    /// # Errors
    /// The repository cannot be read, or is not all there.
    pub(crate) fn run(&self) -> Outcome<Report> {
        let Self { git, keyring, revisions, older, namespace, files: wanted } = *self;
        let named = revisions.first().map_or("HEAD", String::as_str);
        let newest = git.commit_named(named).map_err(|failure| match revisions {
            [] => failure.at("the repository has no commit to prove"),
            _ => failure.at("the first --rev is what a rebuild would have, so it has to be a commit"),
        })?;
        let mut files: Vec<(String, ObjectId)> = git.files_of(newest)?.into_iter().collect();
        files.sort();
        let namespaces = namespaces(git, &files)?;
        files.retain(|(path, _)| takes(wanted, path));
        let opener = Opener::new(keyring, namespaces, namespace);

        let begin = Instant::now();
        let bar = Progress::new(files.len() as u64, "files of the newest commit");
        let look = |at: usize, bytes: &[u8]| {
            let (path, id) = files.get(at)?;
            opener.newest(path, *id, bytes)
        };
        let ids: Vec<ObjectId> = files.iter().map(|(_, id)| *id).collect();
        let (looked, left) = git.each_of(&ids, whatever, || bar.add(1), look);
        bar.done();
        all_there(left, named)?;
        let took = begin.elapsed();
        let (mut failing, mut outside) = (Vec::new(), Outside::default());
        for mut one in looked {
            failing.append(&mut one.failing);
            outside.add(one.outside);
        }
        let mut report = Report::new(self, newest, named, opener.newest_counts(), took);
        let mut losses = Losses::default();
        for one in failing {
            losses.add(one, None);
        }
        if older != Older::None {
            self.older(&opener, &files, &mut losses, &mut report)?;
        }
        report.take(&opener, losses.done(), outside.done());
        Ok(report)
    }

    /// Every other commit.
    fn older(
        &self,
        opener: &Opener<'_>,
        newest: &[(String, ObjectId)],
        losses: &mut Losses,
        report: &mut Report,
    ) -> Outcome {
        let walking = Progress::spinner("reading the history");
        let mut history = self.git.history(&Revisions { named: self.revisions.to_vec(), with_reflogs: false })?;
        history.keep(|path| takes(self.files, path));
        walking.done();
        if let Some(note) =
            history.notes().iter().find(|note| note.contains("not here") || note.contains("not in this"))
        {
            return Err(usage!(
                "what every commit holds cannot be proven here: {note}. In a full clone it can; the newest commit alone with --history none"
            ));
        }
        let bar = Progress::new(history.blobs().len() as u64, "versions of files");
        opener.begin_history();
        let look = |at: usize, bytes: &[u8]| {
            let blob = history.blobs().get(at)?;
            let paths = || history.places(blob).map(|place| place.path).collect();
            Some(opener.older(paths, blob.id, bytes)).filter(|failing| !failing.is_empty())
        };
        let ids: Vec<ObjectId> = history.blobs().iter().map(|blob| blob.id).collect();
        let (looked, left) = self.git.each_of(&ids, whatever, || bar.add(1), look);
        bar.done();
        all_there(left, "the history")?;
        let newest: std::collections::HashSet<(&str, ObjectId)> =
            newest.iter().map(|(path, id)| (path.as_str(), *id)).collect();
        let mut places: HashMap<ObjectId, &crate::git::Blob> = HashMap::new();
        if !looked.is_empty() {
            places.extend(history.blobs().iter().map(|blob| (blob.id, blob)));
        }
        for one in looked.into_iter().flatten() {
            let one: Failing = one;
            let Some(blob) = places.get(&one.blob) else { continue };
            for place in history.places(blob) {
                let is_present = newest.contains(&(place.path.as_str(), one.blob));
                losses.add(Failing { path: place.path, in_newest: is_present, ..one.clone() }, place.commit);
            }
        }
        losses.date(self.git, &history);
        report.told_of_history(history.commits().len(), opener.every_count(), history.notes());
        Ok(())
    }
}

/// What is no text is looked at too: it may speak of sealed values all the same.
const fn whatever(_: &[u8]) -> bool {
    true
}

/// Whether a file is looked at: manifests, and templates of them that have an ending of their own.
fn takes(files: &Files, path: &str) -> bool {
    let path = Path::new(path);
    let is_template = path.extension().is_some_and(|ending| ending == "gotmpl" || ending == "tpl");
    // What is left out is left out by its whole name.
    files.takes(path) || (is_template && !files.leaves_out(path))
}

/// The rules of the newest commit; those of older commits are not looked up one by one.
fn namespaces(git: &Git, files: &[(String, ObjectId)]) -> Outcome<Namespaces> {
    let mut namespaces = Namespaces::default();
    for (path, id) in files.iter().filter(|(path, _)| Namespaces::are_in(path)) {
        let bytes = git.bytes_of(*id)?;
        namespaces.add(path, &String::from_utf8_lossy(&bytes)).or_refuse("the committed rules")?;
    }
    Ok(namespaces)
}

/// What could not be read is not proven.
fn all_there(left: Left, of: &str) -> Outcome {
    if left.missing > 0 {
        return Err(usage!(
            "{} file(s) of {of} are not in this clone (a partial clone, or damaged): nothing is proven without them",
            left.missing
        ));
    }
    if left.large > 0 {
        return Err(usage!("{} YAML or JSON file(s) of {of} are too long to be read as manifests", left.large));
    }
    Ok(())
}
