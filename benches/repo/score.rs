//! What a scan found of what was planted, and what it took for a secret that is none.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use crate::generate::plants::{Class, Plant};

/// Where something was reported: a path from the root of the repository, and a line from 1.
pub(crate) struct Place {
    file: String,
    line: Option<usize>,
}

/// How well a scan did.
pub(crate) struct Score {
    /// Of each class in its order: how many were planted, and how many were found.
    classes: Vec<(Class, usize, usize)>,
    /// Findings of any kind.
    pub(crate) findings: usize,
    /// Findings where nothing was planted.
    pub(crate) false_findings: usize,
    /// Files with such findings, at any time.
    pub(crate) false_files: usize,
    /// Examples of those, for whoever wants to know.
    pub(crate) examples: Vec<String>,
}

impl Score {
    pub(crate) fn new(plants: &[Plant], places: &[Place]) -> Self {
        let hits = |plant: &Plant, place: &Place| {
            // gitleaks counts some lines from 0.
            let near = |line: usize| (line.saturating_sub(1)..=line + 1).any(|line| plant.lines.contains(&line));
            plant.path == place.file && place.line.is_none_or(near)
        };
        let classes = Class::ALL.into_iter().map(|class| {
            let of_class = || plants.iter().filter(|plant| plant.class == class);
            let found = of_class().filter(|plant| places.iter().any(|place| hits(plant, place))).count();
            (class, of_class().count(), found)
        });
        let misses = places.iter().filter(|place| !plants.iter().any(|plant| hits(plant, place)));
        let misses: Vec<&Place> = misses.collect();
        let files: BTreeSet<&str> = misses.iter().map(|place| place.file.as_str()).collect();
        Self {
            classes: classes.collect(),
            findings: places.len(),
            false_findings: misses.len(),
            false_files: files.len(),
            examples: misses
                .iter()
                .take(3)
                .map(|place| format!("{}:{}", place.file, place.line.unwrap_or(0)))
                .collect(),
        }
    }

    pub(crate) fn planted(&self) -> usize {
        self.classes.iter().map(|(_, planted, _)| planted).sum()
    }

    pub(crate) fn found(&self) -> usize {
        self.classes.iter().map(|(.., found)| found).sum()
    }

    /// Planted and found of one class.
    pub(crate) fn of(&self, class: Class) -> (usize, usize) {
        let of = self.classes.iter().find(|(other, ..)| *other == class);
        of.map_or((0, 0), |(_, planted, found)| (*planted, *found))
    }
}

/// The findings in `bulla scan --output json`.
pub(crate) fn of_bulla(report: &Path) -> anyhow::Result<Vec<Place>> {
    let report: Value = serde_json::from_slice(&fs::read(report)?).context("the report of bulla")?;
    let findings = report["findings"].as_array().context("findings")?;
    Ok(findings.iter().map(|finding| place(&finding["file"], &finding["line"])).collect())
}

/// The findings in gitleaks' report; `None` if it did not come to write one.
pub(crate) fn of_gitleaks(report: &Path) -> anyhow::Result<Option<Vec<Place>>> {
    let Ok(text) = fs::read(report) else { return Ok(None) };
    let report: Value = serde_json::from_slice(&text).context("the report of gitleaks")?;
    let findings = report.as_array().context("a list of findings")?;
    Ok(Some(findings.iter().map(|finding| place(&finding["File"], &finding["StartLine"])).collect()))
}

fn place(file: &Value, line: &Value) -> Place {
    let line = line.as_u64().and_then(|line| usize::try_from(line).ok());
    let file = file.as_str().unwrap_or_default();
    Place { file: file.strip_prefix("./").unwrap_or(file).to_owned(), line }
}
