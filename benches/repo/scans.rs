//! The history: `bulla scan` beside gitleaks, of every version of every file and of the files as they are now.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use jiff::civil::Date;

use crate::arguments::{Arguments, Phase};
use crate::generate::history::{self, History, Length};
use crate::generate::plants::{Class, Plant};
use crate::launch::{Measured, Usage, middle};
use crate::score::{self, Place, Score};
use crate::shared::table::{number, render, target};
use crate::support::servers;
use crate::{BULLA, Shown, flat, floors, shared};

/// One line of the table, and the findings that it is about.
struct Line {
    what: String,
    usage: Usage,
    score: Option<Score>,
}

/// What is compared: a label of gitleaks' build and its program.
const PEERS: [(&str, &str); 2] = [
    ("gitleaks 8.30.1, as `go install` builds it", "gitleaks"),
    ("gitleaks 8.30.1, its releases' RE2", "gitleaks-re2"),
];

/// Measures all of it in `folder`.
pub(crate) fn measure(arguments: &Arguments, folder: &Path, today: Date) -> anyhow::Result<Shown> {
    let Arguments { commits, plants, seed, .. } = *arguments;
    let (whole, half) = (folder.join("history"), folder.join("half"));
    let history = history::write(&whole, Length { commits, plants, seed }, today)?;
    history::halve(&whole, &half)?;
    let bench = Bench { arguments, folder: folder.to_owned() };
    let (mut text, mut targets) = (history.describe(commits), Vec::new());
    if arguments.wants(Phase::History) {
        let found = bench.history(&whole, &half, &history.plants, &mut targets)?;
        text.push_str(&table("every version of every file", &found, history.plants.len()));
        text.push_str(&classes(&found));
    }
    if arguments.wants(Phase::Tree) {
        // In the tree is what was planted and is there still.
        let staying: Vec<Plant> = history.plants.iter().filter(|plant| plant.stays).cloned().collect();
        let found = bench.tree(&whole, &staying)?;
        text.push_str(&table("the files as they are now", &found, staying.len()));
    }
    Ok(Shown { text, targets })
}

impl History {
    fn describe(&self, commits: usize) -> String {
        format!(
            "The history: {commits} commits, {} versions of files, {:.0} MB in all of them together; {} secrets planted, of \
             which {} are still there in the end.\n\n",
            self.versions,
            self.bytes as f64 / 1e6,
            self.plants.len(),
            self.plants.iter().filter(|plant| plant.stays).count(),
        )
    }
}

struct Bench<'a> {
    arguments: &'a Arguments,
    folder: PathBuf,
}

impl Bench<'_> {
    fn history(
        &self,
        whole: &Path,
        half: &Path,
        plants: &[Plant],
        targets: &mut Vec<Vec<String>>,
    ) -> anyhow::Result<Vec<Line>> {
        let every = ["cat-file", "--batch-all-objects", "--batch", "--unordered", "--buffer"];
        let floor = self.several(|| Measured::new(Path::new("git"), &every, whole, Path::new("/dev/null")).run())?;
        let mut lines =
            vec![Line { what: "floor: `git cat-file` of every object".to_owned(), usage: floor, score: None }];
        let words = ["scan", "--history", "--output", "json"];
        let (small, _) = self.ours(&words, half)?;
        let (usage, places) = self.ours(&words, whole)?;
        let score = Score::new(plants, &places);
        targets.push(target(
            "`bulla scan --history`",
            format!("{:.1} s", usage.wall),
            "below 30 s".to_owned(),
            usage.wall < 30.0,
        ));
        targets.push(flat("`bulla scan --history`", small.peak, usage.peak));
        let found = format!("{} of {}", score.found(), score.planted());
        targets.push(target("planted secrets found", found, "all".to_owned(), score.found() == score.planted()));
        targets.push(target(
            "false findings",
            score.false_findings.to_string(),
            "0".to_owned(),
            score.false_findings == 0,
        ));
        lines.push(Line { what: "`bulla scan --history`, half of it".to_owned(), usage: small, score: None });
        lines.push(Line { what: "`bulla scan --history`".to_owned(), usage, score: Some(score) });
        for (label, program) in PEERS {
            let words = ["git", ".", "--log-opts=--all"];
            lines.extend(self.theirs(label, program, &words, whole, plants)?);
        }
        Ok(lines)
    }

    fn tree(&self, whole: &Path, plants: &[Plant]) -> anyhow::Result<Vec<Line>> {
        let floor = floors::read_all(whole)?.as_secs_f64();
        shared::progress(&format!("  reading the files, with those of .git: {floor:.2} s"));
        let (usage, places) = self.ours(&["scan", "--output", "json"], whole)?;
        let mut lines = vec![Line { what: "`bulla scan`".to_owned(), usage, score: Some(Score::new(plants, &places)) }];
        for (label, program) in PEERS {
            lines.extend(self.theirs(label, program, &["dir", "."], whole, plants)?);
        }
        Ok(lines)
    }

    /// Ours, several times.
    fn ours(&self, words: &[&str], root: &Path) -> anyhow::Result<(Usage, Vec<Place>)> {
        let output = self.folder.join("output");
        let usage = self.several(|| Measured::new(Path::new(BULLA), words, root, &output).run())?;
        let complaint = std::fs::read_to_string(output.with_extension("stderr")).unwrap_or_default();
        // There are findings: 1 is what it should say.
        ensure!(usage.code == Some(1), "bulla scan ended with {:?}: {complaint}", usage.code);
        Ok((usage, score::of_bulla(&output)?))
    }

    /// gitleaks, once, and no longer than it may.
    fn theirs(
        &self,
        label: &str,
        program: &str,
        words: &[&str],
        root: &Path,
        plants: &[Plant],
    ) -> anyhow::Result<Option<Line>> {
        if self.arguments.gitleaks_limit == 0 {
            return Ok(None);
        }
        let report = self.folder.join("gitleaks.json");
        drop(std::fs::remove_file(&report));
        let to = format!("--report-path={}", report.display());
        let words: Vec<&str> = words.iter().copied().chain([to.as_str(), "--exit-code=0", "--no-banner"]).collect();
        let limit = Duration::from_secs(self.arguments.gitleaks_limit);
        let measured = Measured::new(&servers::path(program), &words, root, &self.folder.join("output")).within(limit);
        let usage = measured.run()?;
        let score = score::of_gitleaks(&report)?.map(|places| Score::new(plants, &places));
        Ok(Some(Line { what: label.to_owned(), usage, score }))
    }

    fn several(&self, run: impl Fn() -> anyhow::Result<Usage>) -> anyhow::Result<Usage> {
        let runs = (0..self.arguments.runs).map(|_| run()).collect::<anyhow::Result<Vec<_>>>()?;
        middle(&runs).context("a run")
    }
}

fn table(what: &str, lines: &[Line], planted: usize) -> String {
    let rows = lines.iter().map(|line| {
        let Line { what, usage, score } = line;
        let seconds = number(Some(usage.wall), 1);
        let of = |count: fn(&Score) -> String| score.as_ref().map_or_else(|| "-".to_owned(), count);
        vec![
            what.clone(),
            if usage.code.is_some() { seconds } else { format!("not done in {seconds}") },
            number(Some(usage.cpu), 1),
            number(Some(usage.peak), 1),
            of(|score| score.found().to_string()),
            of(|score| score.findings.to_string()),
            of(|score| score.false_findings.to_string()),
            of(|score| score.false_files.to_string()),
        ]
    });
    let found = format!("found of {planted}");
    let head = [what, "s", "CPU s", "peak MiB", &found, "findings", "false", "files with false ones"];
    for score in lines.iter().filter_map(|line| line.score.as_ref()) {
        shared::progress(&format!("  false, for example: {:?}", score.examples));
    }
    format!("{}\n", render(&head, &rows.collect::<Vec<_>>()))
}

/// What was found of each class, by everybody who came to an end.
fn classes(lines: &[Line]) -> String {
    let scored: Vec<_> = lines.iter().filter_map(|line| line.score.as_ref().map(|score| (&line.what, score))).collect();
    let rows = Class::ALL.iter().map(|class| {
        let planted = scored.first().map_or(0, |(_, score)| score.of(*class).0);
        let found = scored.iter().map(|(_, score)| score.of(*class).1.to_string());
        [class.label().to_owned(), planted.to_string()].into_iter().chain(found).collect()
    });
    let head: Vec<&str> =
        ["planted", "there are"].into_iter().chain(scored.iter().map(|(what, _)| what.as_str())).collect();
    format!("{}\n", render(&head, &rows.collect::<Vec<Vec<String>>>()))
}
