//! The tables, and what was to be reached.

use std::path::PathBuf;

use crate::arguments::Phase;
use crate::cluster::measure::Run;
use crate::controllers::Restart;
use crate::shared::machine;
use crate::shared::table::{mb, median, number, render, target};
use crate::support::servers;

/// Everything that was measured.
#[derive(Default)]
pub(crate) struct Results {
    pub(crate) runs: Vec<(Phase, Run)>,
    pub(crate) restart: Option<Restart>,
    pub(crate) failures: Vec<(Phase, String)>,
    pub(crate) width: usize,
}

/// Where the measurement ran, and what with.
pub(crate) fn head() -> String {
    let programs: Vec<PathBuf> = ["kube-apiserver", "etcd", "sealed-secrets-controller"].map(servers::path).into();
    let programs: Vec<_> = programs.iter().map(|path| (path.as_path(), "--version")).collect();
    machine::describe(&programs)
}

impl Results {
    /// The run of `phase` with the median rate, and the lowest and highest rate.
    fn of(&self, phase: Phase) -> Option<(&Run, f64, f64)> {
        let runs: Vec<&Run> = self.runs.iter().filter(|(of, _)| *of == phase).map(|(_, run)| run).collect();
        let rates = || runs.iter().map(|run| run.rate());
        let middle = median(rates())?;
        let run = runs.iter().find(|run| run.rate() == middle)?;
        Some((run, rates().fold(f64::INFINITY, f64::min), rates().fold(0.0, f64::max)))
    }

    fn rate(&self, phase: Phase) -> Option<f64> {
        self.of(phase).map(|(run, ..)| run.rate())
    }

    /// How many times as fast as `other` a phase is.
    fn ratio(&self, phase: Phase, other: Phase) -> Option<f64> {
        Some(self.rate(phase)? / self.rate(other)?)
    }

    /// One line a phase.
    pub(crate) fn phases(&self) -> String {
        let head = [
            "first sync",
            "objects",
            "from start s",
            "from first write s",
            "objects/s",
            "of floor",
            "x upstream",
            "CPU ms/obj",
            "server CPU ms/obj",
            "writes/obj",
            "events/obj",
            "reads/obj",
            "failed",
            "peak MiB",
            "RSS MiB",
        ];
        let phases =
            [Phase::Floor, Phase::Hybrid, Phase::X25519, Phase::Rsa, Phase::UpstreamUnlimited, Phase::UpstreamDefault];
        let mut rows = Vec::new();
        for phase in phases {
            if let Some((run, low, high)) = self.of(phase) {
                rows.push(self.row(phase, run, low, high));
            }
        }
        if let Some(restart) = &self.restart {
            let mut row = self.row(Phase::Hybrid, &restart.sync, restart.sync.rate(), restart.sync.rate());
            // Another size: its ratios would compare unlike things.
            row[5] = "-".to_owned();
            row[6] = "-".to_owned();
            rows.push(row);
        }
        render(&head, &rows)
    }

    fn row(&self, phase: Phase, run: &Run, low: f64, high: f64) -> Vec<String> {
        let decimals = if run.rate() < 100.0 { 1 } else { 0 };
        let rate = number(Some(run.rate()), decimals);
        let rate = if low < high { format!("{rate} ({low:.0}-{high:.0})") } else { rate };
        let label = match phase {
            Phase::Floor => format!("{}, {} at once", phase.label(), self.width),
            Phase::Hybrid | Phase::X25519 | Phase::Rsa => phase.label().to_owned(),
            Phase::UpstreamUnlimited | Phase::UpstreamDefault | Phase::Restart => phase.label().to_owned(),
        };
        vec![
            label,
            run.objects.to_string(),
            number(run.from_start, 2),
            number(Some(run.from_first_write), 2),
            rate,
            number(self.ratio(phase, Phase::Floor), 2),
            number(self.ratio(phase, Phase::UpstreamUnlimited), 1),
            number(Some(run.milliseconds_each(run.cpu)), 2),
            number(Some(run.milliseconds_each(run.server_cpu)), 2),
            number(Some(run.each(run.tally.writes)), 2),
            number(Some(run.each(run.tally.events)), 2),
            number(Some(run.each(run.tally.reads)), 2),
            run.tally.failed.to_string(),
            number(run.memory.map(|memory| memory.peak), 1),
            number(run.memory.map(|memory| memory.now), 1),
        ]
    }

    /// The restart's line.
    pub(crate) fn restart(&self) -> Option<String> {
        let restart = self.restart.as_ref()?;
        let head = [
            "restart",
            "objects",
            "until ready s",
            "CPU s",
            "writes",
            "requests",
            "peak MiB",
            "RSS MiB",
            "RSS MiB after first sync",
        ];
        let row = vec![
            "Bulla, hybrid, unchanged objects".to_owned(),
            restart.objects.to_string(),
            number(Some(restart.seconds), 2),
            number(Some(restart.cpu.as_secs_f64()), 2),
            restart.writes().to_string(),
            restart.tally.requests().to_string(),
            number(Some(restart.memory.peak), 1),
            number(Some(restart.memory.now), 1),
            number(Some(restart.memory_of_sync.now), 1),
        ];
        Some(format!("{}\nRequests: {}.\n", render(&head, &[row]), restart.tally.requests_in_words()))
    }

    /// What each run asked of the server, to see what failed and what was read.
    pub(crate) fn requests(&self) -> String {
        let words =
            self.runs.iter().map(|(phase, run)| format!("- {}: {}", phase.label(), run.tally.requests_in_words()));
        format!("Requests:\n{}\n", words.collect::<Vec<_>>().join("\n"))
    }

    /// What was to be reached, as far as it was measured.
    pub(crate) fn targets(&self) -> String {
        let mut targets = Vec::new();
        let at_least = |what: &str, value: Option<f64>, least: f64, decimals: usize| {
            value.map(|value| target(what, number(Some(value), decimals), format!("at least {least}"), value >= least))
        };
        targets.extend(at_least("hybrid, of floor", self.ratio(Phase::Hybrid, Phase::Floor), 0.7, 2));
        let upstream = |phase| self.ratio(phase, Phase::UpstreamUnlimited);
        targets.extend(at_least("hybrid, x upstream without limit", upstream(Phase::Hybrid), 15.0, 1));
        targets.extend(at_least("RSA-4096, x upstream without limit", upstream(Phase::Rsa), 8.0, 1));
        if let Some(restart) = &self.restart {
            let count = restart.objects;
            let below = |what: &str, value: f64, most: f64, unit: &str, decimals: usize| {
                let what = format!("{what}, {count} objects");
                target(&what, format!("{value:.decimals$} {unit}"), format!("below {most} {unit}"), value < most)
            };
            let writes = format!("restart, writes, {count} objects");
            targets.push(below("restart, until ready", restart.seconds, 5.0, "s", 2));
            targets.push(target(&writes, restart.writes().to_string(), "0".to_owned(), restart.writes() == 0));
            targets.push(below("memory after the first sync", mb(restart.memory_of_sync.now), 40.0, "MB", 1));
            targets.push(below("memory after the restart", mb(restart.memory.now), 40.0, "MB", 1));
            targets.push(below(
                "memory at its peak",
                mb(restart.memory.peak.max(restart.memory_of_sync.peak)),
                40.0,
                "MB",
                1,
            ));
        }
        if targets.is_empty() { String::new() } else { render(&["target", "measured", "wanted", "met"], &targets) }
    }
}
