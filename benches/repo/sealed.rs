//! The repository of sealed values: `bulla verify`, `bulla keys audit` and `bulla reseal`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use jiff::civil::Date;

use crate::arguments::{Arguments, Phase};
use crate::floors;
use crate::generate::keys::{Key, Kind};
use crate::generate::tree::{self, Size, Tree};
use crate::launch::{Measured, Usage, middle};
use crate::shared;
use crate::shared::table::{number, render, target};
use crate::{BULLA, Shown, flat};

/// The public half that the rules of a repository name.
const PUBLIC: &str = "keys/sealing.pub";

/// A repository, the key that it is sealed to and the one that comes next.
struct Repository {
    kind: Kind,
    tree: Tree,
    root: PathBuf,
    old: Key,
    new: Key,
    files: usize,
}

/// One line of the table.
struct Line {
    work: String,
    kind: Kind,
    values: usize,
    usage: Usage,
    floor: Option<f64>,
}

/// Measures all of it in `folder`.
pub(crate) fn measure(arguments: &Arguments, folder: &Path, today: Date) -> anyhow::Result<Shown> {
    let mut lines = Vec::new();
    let mut targets = Vec::new();
    for kind in &arguments.kinds {
        let whole = Repository::new(arguments, *kind, 1, folder, today)?;
        shared::progress(&format!("  {} {}: {} files", kind.label(), whole.tree.values(), whole.files));
        // One kind is enough to see whether memory grows with the repository.
        let half = match arguments.kinds.first() {
            Some(first) if first == kind => Some(Repository::new(arguments, *kind, 2, folder, today)?),
            _ => None,
        };
        for phase in [Phase::Verify, Phase::Audit, Phase::Reseal].into_iter().filter(|phase| arguments.wants(*phase)) {
            let line = whole.measure(phase, arguments, folder, today)?;
            targets.extend(line.targets(phase));
            if let Some(half) = &half {
                let half = half.measure(phase, arguments, folder, today)?;
                targets.push(flat(&format!("`bulla {}`", phase.word()), half.usage.peak, line.usage.peak));
                lines.push(half);
            }
            lines.push(line);
        }
    }
    let rows: Vec<_> = lines.iter().map(Line::cells).collect();
    let head = ["repository", "values", "s", "values/s", "CPU s", "floor s", "of floor", "peak MiB"];
    Ok(Shown { text: render(&head, &rows), targets })
}

impl Repository {
    /// A repository of one kind of key, a `part`th of what the arguments ask for.
    fn new(arguments: &Arguments, kind: Kind, part: usize, folder: &Path, today: Date) -> anyhow::Result<Self> {
        let size = Size { files: arguments.files / part, values: arguments.values / part, seed: arguments.seed };
        let tree = Tree::new(size);
        let root = folder.join(format!("{}-{}", kind.label(), tree.values()));
        let (old, new) = (Key::generate(kind)?, Key::generate(kind)?);
        tree.write(&root, &old.recipient, today)?;
        tree::write(&root, ".bulla.yaml", &tree::rules(PUBLIC))?;
        tree::write(&root, PUBLIC, &old.public)?;
        let files = tree.sealed.len() + tree.others();
        Ok(Self { kind, tree, root, old, new, files })
    }

    fn measure(&self, phase: Phase, arguments: &Arguments, folder: &Path, today: Date) -> anyhow::Result<Line> {
        let mut runs = Vec::new();
        let mut floors = Vec::new();
        for run in 0..=arguments.runs {
            let (usage, floor) = match phase {
                Phase::Reseal => {
                    let floor = floors::open_and_seal(&self.tree, &self.old, &self.new.recipient, today)?;
                    (self.reseal(folder)?, floor)
                }
                Phase::Verify | Phase::Audit | Phase::History | Phase::Tree => {
                    (self.look(phase, folder)?, floors::read_all(&self.root)?)
                }
            };
            // The first only brings the files into memory. With RSA keys it takes long, and they are there already.
            if run > 0 || arguments.runs == 1 {
                runs.push(usage);
                floors.push(floor.as_secs_f64());
            }
        }
        Ok(Line {
            work: format!("`bulla {}`, {}", phase.word(), self.kind.label()),
            kind: self.kind,
            values: self.tree.values(),
            usage: middle(&runs).context("a run")?,
            floor: shared::table::median(floors),
        })
    }

    /// `bulla verify` or `bulla keys audit`: they change nothing.
    fn look(&self, phase: Phase, folder: &Path) -> anyhow::Result<Usage> {
        let output = folder.join("output");
        let words: Vec<&str> = phase.word().split(' ').chain(["--output", "json"]).collect();
        let usage = Measured::new(Path::new(BULLA), &words, &self.root, &output).run()?;
        self.check(usage, &output, phase)?;
        Ok(usage)
    }

    /// `bulla reseal --identity`, on a copy.
    fn reseal(&self, folder: &Path) -> anyhow::Result<Usage> {
        let (copy, output, identity) = (folder.join("copy"), folder.join("output"), folder.join("identity"));
        if copy.exists() {
            fs::remove_dir_all(&copy)?;
        }
        duplicate(&self.root, &copy)?;
        tree::put(&copy.join(PUBLIC), self.new.public.as_bytes())?;
        tree::put(&identity, self.old.identity.as_bytes())?;
        let words = ["reseal", "--identity", &identity.to_string_lossy(), "--output", "json"];
        let usage = Measured::new(Path::new(BULLA), &words, &copy, &output).run()?;
        self.check(usage, &output, Phase::Reseal)?;
        // The work was done: all of it opens with the new key, and nothing else was named.
        let words = ["reseal", "--check"];
        let checked = Measured::new(Path::new(BULLA), &words, &copy, &folder.join("check")).run()?;
        ensure!(checked.code == Some(0), "after reseal there are stale values left");
        Ok(usage)
    }

    /// A command that failed, or that looked at fewer values than there are, was not measured.
    fn check(&self, usage: Usage, output: &Path, phase: Phase) -> anyhow::Result<()> {
        let said = fs::read_to_string(output)?;
        let complaint = fs::read_to_string(output.with_extension("stderr")).unwrap_or_default();
        let end = &complaint[complaint.len().saturating_sub(2000)..];
        let of = || format!("bulla {} ended with {:?}: {end}", phase.word(), usage.code);
        ensure!(usage.code == Some(0), of());
        let values = self.tree.values().to_string();
        ensure!(said.contains(&values), "bulla {} does not speak of {values} values", phase.word());
        Ok(())
    }
}

impl Line {
    fn rate(&self) -> f64 {
        self.values as f64 / self.usage.wall
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.work.clone(),
            self.values.to_string(),
            number(Some(self.usage.wall), 2),
            number(Some(self.rate()), 0),
            number(Some(self.usage.cpu), 2),
            number(self.floor, 2),
            number(self.floor.map(|floor| self.usage.wall / floor), 1),
            number(Some(self.usage.peak), 1),
        ]
    }

    /// What was to be reached: seconds for 10,000 values, values a second.
    fn targets(&self, phase: Phase) -> Option<Vec<String>> {
        let least = match (phase, self.kind) {
            (Phase::Verify, _) => {
                let seconds = self.usage.wall * 10_000.0 / self.values as f64;
                let what = format!("{}, 10,000 values", self.work);
                return Some(target(&what, format!("{seconds:.2} s"), "below 2 s".to_owned(), seconds < 2.0));
            }
            (Phase::Reseal, Kind::X25519) => 5_000.0,
            (Phase::Reseal, Kind::Hybrid) => 2_000.0,
            (Phase::Reseal | Phase::Audit | Phase::History | Phase::Tree, _) => return None,
        };
        let rate = self.rate();
        Some(target(&self.work, format!("{rate:.0}/s"), format!("at least {least}/s"), rate >= least))
    }
}

fn duplicate(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            duplicate(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
