//! Before a run begins: everything that could stop it later is looked for first, and nothing is touched.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bulla::seal::KeyId;

use super::check;
use super::keys::{self, Found};
use super::openers::Openers;
use super::rules::{self, Rules};
use super::state::{Origin, Wish, ids};
use super::survey::{self, Survey, Wanted};
use crate::args::RotationArguments;
use crate::cluster::PublishedKey;
use crate::failure::{Outcome, refuse, usage};
use crate::files::Files;
use crate::git::{Checkout, Tracked, TrackedKind};
use crate::output::{self, Progress};
use crate::reseal::Controller;

/// Files that are named before the rest is only counted.
const NAMED: usize = 10;

/// What a run will be about.
pub(super) struct Prepared {
    pub(super) origin: Origin,
    pub(super) old: Vec<PublishedKey>,
    /// The keys to seal to, where no key is to be made.
    pub(super) newest: Vec<PublishedKey>,
    /// Values that are sealed to an old key.
    pub(super) values: u64,
    /// Values that do not say to which key they are sealed, and may have to be sealed again.
    pub(super) unnamed: u64,
    /// Files with such values.
    pub(super) files: u64,
    /// Files that name recipients to be replaced.
    pub(super) rules: Vec<PathBuf>,
    /// Every file that may be changed.
    pub(super) touched: Vec<PathBuf>,
    /// What stays outside of the run, in words.
    pub(super) notes: Vec<String>,
}

/// The manifests of a repository.
pub(super) struct Manifests {
    /// Every tracked file.
    pub(super) tracked: Vec<Tracked>,
    excluded: Files,
}

impl Manifests {
    pub(super) fn read(checkout: &Checkout, wish: &Wish) -> Outcome<Self> {
        Ok(Self { tracked: checkout.tracked(checkout.root())?, excluded: Files::without(&wish.exclude)? })
    }

    /// Whether a path (from the root) is one to look at.
    pub(super) fn takes(&self, path: &Path) -> bool {
        self.excluded.takes(path)
    }

    /// The tracked ones that are there.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let here = self.tracked.iter().filter(|file| file.kind == TrackedKind::File && self.takes(&file.path));
        here.map(|file| file.path.clone()).collect()
    }
}

/// Looks at everything. The current folder is the root of the working tree.
pub(super) fn look(checkout: &Checkout, arguments: &RotationArguments, wish: &Wish) -> Outcome<Prepared> {
    let origin = origin(checkout, wish)?;
    let manifests = Manifests::read(checkout, wish)?;
    let rules = Rules::find(checkout, &manifests.tracked)?;
    let Found { old, newest } = if wish.is_offline() {
        let old = keys::in_files(wish, &arguments.old, &rules.recipients()?)?;
        Found { old, newest: Vec::new() }
    } else {
        keys::in_cluster(wish, &arguments.old)?
    };
    let coming = match &wish.new_identity {
        _ if wish.no_new_key => newest.clone(),
        Some(file) if file.exists() => vec![keys::make(file, &old, wish.kind)?],
        Some(_) => keys::stand_in(&old, wish.kind)?,
        // A controller makes a certificate where it has one.
        None => [keys::stand_in(&old, None)?, old.iter().filter(|key| keys::is_rsa(key)).cloned().collect()].concat(),
    };
    if let Some(file) = &wish.new_identity {
        keys::check_place(checkout, file, &old)?;
    }
    let concerned = rules.concerned(&keys::replacements(&old, &coming)?, &manifests.tracked)?;

    let files = manifests.files();
    let wanted = wanted(&old, wish);
    let progress = Progress::new(files.len() as u64, "files");
    let survey = Survey::of_files(checkout.root(), &files, &wanted, &progress);
    progress.done();
    let mut held = Held::default();
    let openers = Openers {
        checkout,
        rules: &rules,
        old: ids(&old).into_iter().collect(),
        new: ids(&coming).into_iter().collect(),
        accepted: &wish.accept_recipient,
    };
    let allowed = [ids(&old), ids(&coming)].concat();
    for (file, found) in &survey.files {
        // Values without a name may be those of another cluster, which the rule then tells.
        let is_ours = found.wanted > 0 || rules::allows(file, &allowed)?;
        match (is_ours, file.starts_with(&wish.path)) {
            (false, _) => {}
            (true, true) => {
                openers.check(file, found)?;
                held.add(file, found);
            }
            (true, false) if found.wanted > 0 => held.outside.push(file.clone()),
            (true, false) => {}
        }
    }
    refuse_half(&held.outside, &concerned, &ids(&old))?;
    let touched: Vec<PathBuf> =
        held.files.iter().chain(&concerned).cloned().collect::<BTreeSet<_>>().into_iter().collect();
    refuse_odd_names(&touched)?;
    let changed = checkout.changed(&touched)?;
    if !changed.is_empty() {
        return Err(refuse!(
            "the run would change files that have changes of yours: commit or stash them first: {}",
            names(&changed)
        ));
    }
    if !wish.is_offline() && wish.identity.is_empty() && !held.files.is_empty() {
        ask_controller(wish, &old, &newest, &held)?;
    }
    check::before(&files, wish)?;
    let notes = notes(checkout, &manifests, &wanted, &held)?;
    let (values, unnamed, files) = (held.values, held.unnamed, held.files.len() as u64);
    Ok(Prepared { origin, old, newest, values, unnamed, files, rules: concerned, touched, notes })
}

/// The values that a run is about.
pub(super) fn wanted(old: &[PublishedKey], wish: &Wish) -> Wanted {
    Wanted { ids: ids(old).into_iter().collect(), with_unnamed: wish.native || old.iter().any(keys::is_rsa) }
}

#[derive(Default)]
struct Held {
    values: u64,
    unnamed: u64,
    files: Vec<PathBuf>,
    /// Who else opens the values.
    beside: BTreeSet<KeyId>,
    /// Files beyond the path that was named.
    outside: Vec<PathBuf>,
}

impl Held {
    fn add(&mut self, file: &Path, found: &survey::Held) {
        self.values += found.wanted;
        self.unnamed += found.unnamed;
        self.beside.extend(&found.beside);
        self.files.push(file.to_path_buf());
    }
}

fn origin(checkout: &Checkout, wish: &Wish) -> Outcome<Origin> {
    if let Some(what) = checkout.under_way() {
        return Err(refuse!("{what} is under way in this working tree: end it first (git status)"));
    }
    let Some(commit) = checkout.head()? else {
        return Err(refuse!(
            "the repository has no commit yet: commit what is there first, so that the run can be undone"
        ));
    };
    if !wish.no_commit {
        checkout.check_identity()?;
    }
    let branch = checkout.branch()?;
    if let Some(name) = &wish.branch {
        if !checkout.is_branch_name(name)? {
            return Err(usage!("--branch {name}: not a name that Git takes"));
        }
        if branch.as_ref() != Some(name) && checkout.end_of(name)?.is_some() {
            return Err(refuse!("branch {name} exists already: name another one, or check it out to commit there"));
        }
    }
    Ok(Origin { branch, commit })
}

/// Refuses what the controller could not do: it must be there, and it seals to nobody but itself.
fn ask_controller(wish: &Wish, old: &[PublishedKey], newest: &[PublishedKey], held: &Held) -> Outcome {
    let ours = [ids(old), ids(newest)].concat();
    let strangers: Vec<String> = held.beside.iter().filter(|id| !ours.contains(id)).map(ToString::to_string).collect();
    if !strangers.is_empty() {
        return Err(refuse!(
            "values are sealed to {} too, whom the controller does not know and would not seal to: say --identity FILE \
             with a private key that opens them, such as the recovery key",
            strangers.join(", ")
        ));
    }
    Controller::connect(&wish.cluster(), wish.controller_service.as_deref())
        .map(drop)
        .map_err(|failure| failure.at("no --identity, so the controller is to seal again"))
}

/// A rule that changes holds for files that stay as they are: these would be sealed to nobody whom it names.
fn refuse_half(outside: &[PathBuf], concerned: &[PathBuf], old: &[KeyId]) -> Outcome {
    if concerned.is_empty() {
        return Ok(());
    }
    for file in outside {
        if crate::repository::nearest(file).is_some() && rules::allows(file, old)? {
            return Err(refuse!(
                "{} is outside of PATH, and the recipients of its rule would change: run over the whole repository, or \
                 name a folder that holds {}",
                file.display(),
                names(outside)
            ));
        }
    }
    Ok(())
}

/// What the run knows is written as text.
fn refuse_odd_names(files: &[PathBuf]) -> Outcome {
    match files.iter().find(|file| file.to_str().is_none()) {
        Some(file) => Err(refuse!("the name of {} is not UTF-8: rename it first", file.display())),
        None => Ok(()),
    }
}

/// What stays outside of the run.
fn notes(checkout: &Checkout, manifests: &Manifests, wanted: &Wanted, held: &Held) -> Outcome<Vec<String>> {
    let mut notes = Vec::new();
    if !held.outside.is_empty() {
        notes.push(format!("outside of PATH, and left as they are: {}", names(&held.outside)));
    }
    let of = |kind: TrackedKind| manifests.tracked.iter().filter(move |file| file.kind == kind);
    let submodules: Vec<PathBuf> = of(TrackedKind::Submodule).map(|file| file.path.clone()).collect();
    if !submodules.is_empty() {
        notes.push(format!("submodules are repositories of their own, run there too: {}", names(&submodules)));
    }
    let absent: Vec<PathBuf> =
        of(TrackedKind::Absent).filter(|file| manifests.takes(&file.path)).map(|file| file.path.clone()).collect();
    if !absent.is_empty() {
        notes.push(format!("in Git but not in the working tree, so not looked at: {}", names(&absent)));
    }
    let untracked: Vec<PathBuf> = checkout.untracked()?.into_iter().filter(|file| manifests.takes(file)).collect();
    let survey = Survey::of_files(checkout.root(), &untracked, wanted, &Progress::hidden());
    let untracked: Vec<PathBuf> = survey.files.into_iter().map(|(file, _)| file).collect();
    if !untracked.is_empty() {
        notes.push(format!(
            "not in Git, so left as they are (seal them again with `bulla reseal FILE`): {}",
            names(&untracked)
        ));
    }
    if let Some(root) = checkout.superproject()? {
        notes.push(format!("this is a submodule: commit its new state in {} after the merge", root.display()));
    }
    Ok(notes)
}

/// The first of some files, and how many more there are.
pub(super) fn names(files: &[PathBuf]) -> String {
    let mut text: Vec<String> =
        files.iter().take(NAMED).map(|file| output::plain(&file.display().to_string())).collect();
    if files.len() > NAMED {
        text.push(format!("and {} more", files.len() - NAMED));
    }
    text.join(", ")
}
