//! What happens in a repository from one commit to the next.

use super::history::Length;
use super::manifests;
use super::plants::{self, Plant};
use super::sealed::SealedFile;
use super::sources::{self, Kind, Source};
use super::words::Words;

/// One commit.
pub(crate) struct Commit {
    pub(crate) mark: usize,
    pub(crate) branch: String,
    pub(crate) parent: Option<usize>,
    /// The second parent of a merge.
    pub(crate) merged: Option<usize>,
    pub(crate) message: String,
    pub(crate) changes: Vec<(String, Body)>,
}

/// What becomes of a file.
#[derive(Clone)]
pub(crate) enum Body {
    Text(String),
    Bytes(Vec<u8>),
    /// Still to be sealed.
    Sealed(SealedFile),
    Gone,
}

/// A repository at work.
pub(crate) struct Years {
    words: Words,
    commits: usize,
    sources: Vec<Source>,
    locks: Vec<Source>,
    definitions: Vec<Source>,
    bundle: Source,
    sealed: Vec<SealedFile>,
    /// Namespace and name of each application.
    applications: Vec<(String, String)>,
    /// To be planted, with the commit that does it, the last first.
    waiting: Vec<(usize, Plant)>,
    /// To be removed, with the commit that does it.
    leaving: Vec<(usize, String)>,
    planted: Vec<Plant>,
    tip: usize,
    side: Option<Side>,
}

/// A branch beside the main one.
struct Side {
    name: String,
    tip: usize,
    changes: Vec<(String, Body)>,
}

/// Every so many commits a branch begins; after three of its own it is merged, or not.
const BRANCH_EVERY: usize = 50;
const BRANCH_LENGTH: usize = 3;
/// Every so many branches one is never merged.
const UNMERGED_EVERY: usize = 4;
/// How often every value is sealed to a new key.
const ROTATIONS: usize = 5;
/// Every so many commits, somebody else's code.
const VENDORED_EVERY: usize = 100;
/// Commits that a secret stays before somebody notices, at most.
const NOTICED_AFTER: usize = 150;

impl Years {
    pub(crate) fn new(length: Length) -> anyhow::Result<Self> {
        let mut words = Words::new(length.seed);
        let mut sources = Vec::new();
        for number in 0..160 {
            let (kind, folder, extension) = [
                (Kind::Go, "services", "go"),
                (Kind::TypeScript, "web/src", "ts"),
                (Kind::Python, "jobs", "py"),
                (Kind::Go, "services", "go"),
                (Kind::Markdown, "docs", "md"),
                (Kind::Settings, "deploy/settings", "env.example"),
            ][number % 6];
            let path = format!("{folder}/{}/{}{number}.{extension}", words.word(), words.name());
            let lines = words.between(40, 400);
            sources.push(Source::new(&mut words, path, kind, lines));
        }
        let mut lock = |path: &str, kind, lines| Source::new(&mut words, path.to_owned(), kind, lines);
        let locks = vec![
            lock("services/go.sum", Kind::GoSum, 1_200),
            lock("web/package-lock.json", Kind::PackageLock, 1_500),
            lock("jobs/go.sum", Kind::GoSum, 500),
            lock("docs/CHANGELOG.md", Kind::Markdown, 1_000),
        ];
        let definitions = (0..6).map(|number| lock(&format!("charts/crds/{number}.yaml"), Kind::Definition, 4_000));
        let definitions = definitions.collect();
        let bundle = lock("web/dist/app.min.js", Kind::Bundle, 20);
        let mut sealed = Vec::new();
        let mut applications = Vec::new();
        for number in 0..100 {
            let (namespace, name) = (words.word().to_owned(), format!("{}-{number}", words.name()));
            let folder = format!("clusters/production/apps/{namespace}/{name}");
            for part in ["db", "api"] {
                let values = words.between(3, 12);
                sealed.push(SealedFile::new(&mut words, &folder, &namespace, format!("{name}-{part}"), values));
            }
            applications.push((namespace, name));
        }
        let mut waiting = Self::scheduled(&mut words, length)?;
        waiting.sort_by_key(|(commit, _)| std::cmp::Reverse(*commit));
        Ok(Self {
            words,
            commits: length.commits,
            sources,
            locks,
            definitions,
            bundle,
            sealed,
            applications,
            waiting,
            leaving: Vec::new(),
            planted: Vec::new(),
            tip: 0,
            side: None,
        })
    }

    /// When which secret is planted: all over the history, but early enough that it can be removed again.
    fn scheduled(words: &mut Words, length: Length) -> anyhow::Result<Vec<(usize, Plant)>> {
        let plants = plants::all(words, length.plants)?;
        let latest = length.commits.saturating_sub(NOTICED_AFTER + BRANCH_EVERY * UNMERGED_EVERY).max(2);
        let mut waiting = Vec::new();
        for (number, mut plant) in plants.into_iter().enumerate() {
            let mut due = words.between(1, latest);
            // One of each class is never merged.
            if number % length.plants == 1 && length.commits > BRANCH_EVERY * UNMERGED_EVERY * 2 {
                let branches = BRANCH_EVERY * UNMERGED_EVERY;
                due = (due / branches).max(1) * branches + 1;
                plant.stays = false;
            }
            waiting.push((due, plant));
        }
        Ok(waiting)
    }

    /// The newest commit of the main branch.
    pub(crate) const fn tip(&self) -> usize {
        self.tip
    }

    /// All that was planted.
    pub(crate) fn into_plants(self) -> Vec<Plant> {
        self.planted
    }

    /// The commit of this number, from 0.
    pub(crate) fn commit(&mut self, number: usize) -> Commit {
        let mark = number + 1;
        let branch_number = number / BRANCH_EVERY;
        let (within, merged) = (number % BRANCH_EVERY, !branch_number.is_multiple_of(UNMERGED_EVERY));
        if number < BRANCH_EVERY || within > BRANCH_LENGTH {
            return self.on_main(number, mark);
        }
        if within < BRANCH_LENGTH {
            return self.on_side(number, mark, branch_number, merged);
        }
        match self.side.take().filter(|_| merged) {
            Some(side) => self.merge(mark, side),
            None => self.on_main(number, mark),
        }
    }

    fn on_main(&mut self, number: usize, mark: usize) -> Commit {
        let mut changes = Vec::new();
        let message = if number == 0 {
            self.everything(&mut changes);
            "everything so far".to_owned()
        } else {
            self.work(number, &mut changes)
        };
        let (gone, staying) = std::mem::take(&mut self.leaving).into_iter().partition(|(due, _)| *due <= number);
        self.leaving = staying;
        changes.extend(Vec::into_iter(gone).map(|(_, path)| (path, Body::Gone)));
        for plant in self.due(number) {
            if !plant.stays {
                let until = number + self.words.between(1, NOTICED_AFTER);
                self.leaving.push((until.min(self.commits - 1), plant.path.clone()));
            }
            changes.push((plant.path.clone(), Body::Text(plant.text.clone())));
            self.planted.push(plant);
        }
        let parent = (self.tip > 0).then_some(self.tip);
        self.tip = mark;
        Commit { mark, branch: "main".to_owned(), parent, merged: None, message, changes }
    }

    fn on_side(&mut self, number: usize, mark: usize, branch: usize, merged: bool) -> Commit {
        let tip = self.tip;
        let mut side =
            self.side.take().unwrap_or_else(|| Side { name: format!("feature/{branch}"), tip, changes: Vec::new() });
        let path = format!("services/{}/feature{number}.go", self.words.word());
        let lines = self.words.between(40, 200);
        let text = Source::new(&mut self.words, path.clone(), Kind::Go, lines).text();
        let mut changes = vec![(path, Body::Text(text))];
        for mut plant in self.due(number) {
            plant.stays &= merged;
            if merged && !plant.stays {
                self.leaving.push((number + BRANCH_EVERY / 2, plant.path.clone()));
            }
            changes.push((plant.path.clone(), Body::Text(plant.text.clone())));
            self.planted.push(plant);
        }
        side.changes.extend(changes.iter().cloned());
        let parent = std::mem::replace(&mut side.tip, mark);
        let (branch, message) = (side.name.clone(), self.words.sentence());
        self.side = Some(side);
        if number % BRANCH_EVERY == BRANCH_LENGTH - 1 && !merged {
            self.side = None;
        }
        Commit { mark, branch, parent: Some(parent), merged: None, message, changes }
    }

    fn merge(&mut self, mark: usize, side: Side) -> Commit {
        let parent = std::mem::replace(&mut self.tip, mark);
        let message = format!("merge {}", side.name);
        let (merged, changes) = (Some(side.tip), side.changes);
        Commit { mark, branch: "main".to_owned(), parent: Some(parent), merged, message, changes }
    }

    /// The secrets that are planted now.
    fn due(&mut self, number: usize) -> Vec<Plant> {
        let mut due = Vec::new();
        while self.waiting.last().is_some_and(|(when, _)| *when <= number) {
            due.extend(self.waiting.pop().map(|(_, plant)| plant));
        }
        due
    }

    /// The state that the history begins with.
    fn everything(&mut self, changes: &mut Vec<(String, Body)>) {
        let sources = self.sources.iter().chain(&self.locks).chain(&self.definitions).chain([&self.bundle]);
        changes.extend(sources.map(|source| (source.path.clone(), Body::Text(source.text()))));
        changes.extend(self.sealed.iter().map(|file| (file.path.clone(), Body::Sealed(file.clone()))));
        for at in 0..self.applications.len() {
            self.release(at, changes);
        }
        for chart in ["postgres", "queue"] {
            let path = format!("charts/{chart}/templates/secret.yaml");
            changes.push((path, Body::Text(manifests::chart_template(chart))));
        }
    }

    /// What one commit does.
    fn work(&mut self, number: usize, changes: &mut Vec<(String, Body)>) -> String {
        // A few times in all those years everything is sealed again, and somebody else's code comes every so often.
        if number.is_multiple_of(self.commits.div_ceil(ROTATIONS + 1)) {
            changes.extend(self.sealed.iter().map(|file| (file.path.clone(), Body::Sealed(file.clone()))));
            return "seal everything to the new key".to_owned();
        }
        if number % VENDORED_EVERY == VENDORED_EVERY / 2 {
            return self.vendor(number, changes);
        }
        match self.words.below(1000) {
            0..300 => {
                for _ in 0..self.words.between(1, 3) {
                    let at = self.words.below(self.applications.len());
                    self.release(at, changes);
                }
            }
            300..600 => {
                for _ in 0..self.words.between(1, 6) {
                    let file = self.words.below(self.sealed.len());
                    let file = &self.sealed[file];
                    changes.push((file.path.clone(), Body::Sealed(file.clone())));
                }
            }
            600..660 => {
                let at = self.words.below(self.locks.len());
                Self::change(&mut self.words, &mut self.locks[at], changes);
            }
            660..670 => {
                let at = self.words.below(self.definitions.len());
                Self::change(&mut self.words, &mut self.definitions[at], changes);
            }
            670..674 => Self::change(&mut self.words, &mut self.bundle, changes),
            674..682 => {
                let path = format!("docs/pictures/{}-{number}.png", self.words.name());
                let length = self.words.between(20_000, 120_000);
                changes.push((path, Body::Bytes(sources::picture(&mut self.words, length))));
            }
            _ => {
                for _ in 0..self.words.between(1, 4) {
                    let at = self.words.below(self.sources.len());
                    Self::change(&mut self.words, &mut self.sources[at], changes);
                }
            }
        }
        // A file that is changed twice in one commit is there once.
        changes.sort_by(|one, other| one.0.cmp(&other.0));
        changes.dedup_by(|one, other| one.0 == other.0);
        self.words.sentence()
    }

    fn change(words: &mut Words, source: &mut Source, changes: &mut Vec<(String, Body)>) {
        source.change(words);
        changes.push((source.path.clone(), Body::Text(source.text())));
    }

    /// A new version of an application.
    fn release(&mut self, at: usize, changes: &mut Vec<(String, Body)>) {
        let (namespace, name) = &self.applications[at];
        let folder = format!("clusters/production/apps/{namespace}/{name}");
        let tag = self.words.version();
        let deployment = manifests::deployment(&mut self.words, namespace, name, &tag);
        changes.push((format!("{folder}/deployment.yaml"), Body::Text(deployment)));
        if self.words.chance(30) {
            let config = manifests::config_map(&mut self.words, namespace, name);
            changes.push((format!("{folder}/config.yaml"), Body::Text(config)));
        }
    }

    /// Somebody else's code, all at once.
    fn vendor(&mut self, number: usize, changes: &mut Vec<(String, Body)>) -> String {
        let folder = format!("vendor/{}{number}", self.words.name());
        for file in 0..60 {
            let (kind, extension) = [(Kind::Go, "go"), (Kind::TypeScript, "js"), (Kind::Markdown, "md")][file % 3];
            let path = format!("{folder}/{}{file}.{extension}", self.words.name());
            let lines = self.words.between(100, 800);
            let text = Source::new(&mut self.words, path.clone(), kind, lines).text();
            changes.push((path, Body::Text(text)));
        }
        format!("vendor {folder}")
    }
}
