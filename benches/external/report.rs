//! The tables, and what was to be reached.

use std::path::PathBuf;
use std::time::Duration;

use crate::arguments::{SCENARIOS, Scenario};
use crate::floor::Floor;
use crate::phases::{Phase, Run};
use crate::shared::machine;
use crate::shared::table::{mb, number, render, target};
use crate::support::servers;

/// Said of the peer, which cannot be run here.
const PEER: &str = "\
Measured elsewhere and before, not in this run: the External Secrets Operator 2.9 with its default flags, 500 objects on
500 keys, moto: 50.4 s (10 objects/s), 500 GetSecretValue, 9.3 Kubernetes calls and 12.7 ms of CPU an object, 98 MB.
";

/// Everything that was measured.
#[derive(Default)]
pub(crate) struct Results {
    pub(crate) floors: Vec<(Scenario, usize, Floor)>,
    pub(crate) runs: Vec<(Scenario, Run)>,
    pub(crate) failures: Vec<(Scenario, String)>,
}

/// Where the measurement ran, and what with.
pub(crate) fn head() -> String {
    let programs: Vec<PathBuf> = ["kube-apiserver", "etcd"].map(servers::path).into();
    let programs: Vec<_> = programs.iter().map(|path| (path.as_path(), "--version")).collect();
    machine::describe(&programs)
}

impl Results {
    fn floor(&self, scenario: Scenario) -> Option<&Floor> {
        self.floors.iter().find(|(of, ..)| *of == scenario).map(|(.., floor)| floor)
    }

    fn run(&self, scenario: Scenario, phase: Phase) -> Option<&Run> {
        self.runs.iter().find(|(of, run)| *of == scenario && run.phase == phase).map(|(_, run)| run)
    }

    /// One line a phase.
    pub(crate) fn phases(&self) -> String {
        let head = [
            "scenario",
            "objects",
            "s",
            "from first write s",
            "objects/s",
            "of floor",
            "provider calls",
            "Kubernetes calls/obj",
            "writes/obj",
            "events/obj",
            "CPU ms/obj",
            "server CPU ms/obj",
            "failed",
            "peak MiB",
            "RSS MiB",
        ];
        let mut rows = Vec::new();
        for scenario in SCENARIOS {
            for (_, count, floor) in self.floors.iter().filter(|(of, ..)| *of == scenario) {
                rows.extend(floor_rows(scenario, *count, floor));
            }
            for (_, run) in self.runs.iter().filter(|(of, _)| *of == scenario) {
                rows.push(self.row(scenario, run));
            }
        }
        format!("{}\n{PEER}", render(&head, &rows))
    }

    fn row(&self, scenario: Scenario, run: &Run) -> Vec<String> {
        let each = |total: usize| number(Some(total as f64 / run.objects as f64), 2);
        let floor = self.floor(scenario).filter(|_| run.phase == Phase::FirstSync);
        let rate = match run.phase {
            Phase::FirstSync | Phase::Overdue => Some(run.objects as f64 / run.seconds),
            // When it happens is the objects' own affair.
            Phase::Refresh | Phase::Restart => None,
        };
        vec![
            format!("{}: {}", scenario.label(), run.phase.label()),
            run.objects.to_string(),
            number(Some(run.seconds), 2),
            number(run.from_first_write.filter(|_| run.phase != Phase::Refresh), 2),
            number(rate, 0),
            number(floor.map(|floor| floor.both.as_secs_f64() / run.seconds), 2),
            in_words(run),
            each(run.tally.requests()),
            each(run.tally.writes),
            each(run.tally.events),
            milliseconds_each(run.cpu, run.objects),
            milliseconds_each(run.server_cpu, run.objects),
            run.tally.failed.to_string(),
            number(Some(run.memory.peak), 1),
            number(Some(run.memory.now), 1),
        ]
    }

    /// What each run asked of the API server, and whether both sides counted the provider's calls alike.
    pub(crate) fn requests(&self) -> String {
        let words = self.runs.iter().map(|(scenario, run)| {
            let is_write = |kind: &str| !["get", "list", "watch"].iter().any(|verb| kind.starts_with(verb));
            let writes = run.tally.kinds.iter().filter(|(kind, _)| is_write(kind));
            let mut words: Vec<_> = writes.map(|(kind, count)| format!("{count} {kind}")).collect();
            words.push(format!("{} reads", run.tally.reads));
            words.push(format!("the provider's server counted {}", run.seen));
            format!("- {}, {} objects, {}: {}", scenario.label(), run.objects, run.phase.label(), words.join(", "))
        });
        format!("Requests:\n{}\n", words.collect::<Vec<_>>().join("\n"))
    }

    /// What was to be reached, as far as it was measured. Those set for 500 objects grow with their number.
    pub(crate) fn targets(&self) -> String {
        let mut targets = Vec::new();
        for scenario in SCENARIOS {
            if let Some(run) = self.run(scenario, Phase::FirstSync) {
                targets.extend(first_sync(scenario, run));
            }
            if let Some(run) = self.run(scenario, Phase::Refresh) {
                targets.push(provider_calls(scenario, run));
                let others = run.tally.requests().saturating_sub(run.tally.statuses);
                let what = name(scenario, run, "Kubernetes calls other than status");
                targets.push(target(&what, others.to_string(), "0".to_owned(), others == 0));
            }
            let memory = [Phase::FirstSync, Phase::Refresh, Phase::Restart, Phase::Overdue].into_iter();
            let memory = memory.filter_map(|phase| self.run(scenario, phase)).map(|run| mb(run.memory.peak));
            if scenario == Scenario::Large
                && let Some(peak) = memory.reduce(f64::max)
            {
                let what = format!("{}, {} objects: memory at its peak", scenario.label(), self.size(scenario));
                targets.push(target(&what, format!("{peak:.1} MB"), "below 40 MB".to_owned(), peak < 40.0));
            }
        }
        if targets.is_empty() { String::new() } else { render(&["target", "measured", "wanted", "met"], &targets) }
    }

    fn size(&self, scenario: Scenario) -> usize {
        self.run(scenario, Phase::FirstSync).map_or(0, |run| run.objects)
    }
}

fn floor_rows(scenario: Scenario, count: usize, floor: &Floor) -> Vec<Vec<String>> {
    let row = |what: &str, took: Duration| {
        let label = format!("{}: floor, {what}", scenario.label());
        let rate = count as f64 / took.as_secs_f64();
        vec![label, count.to_string(), number(Some(took.as_secs_f64()), 2), "-".to_owned(), number(Some(rate), 0)]
    };
    let mut reading = row("provider calls alone", floor.reading);
    reading.extend(["-".to_owned(), floor.calls.to_string()]);
    let mut writing = row("writes alone", floor.writing);
    writing.extend(["-", "0", "2.00", "2.00", "0.00"].map(str::to_owned));
    let mut both = row("both", floor.both);
    both.extend(["1.00".to_owned(), floor.calls.to_string()]);
    both.extend(["2.00", "2.00", "0.00"].map(str::to_owned));
    both.extend([milliseconds_each(floor.cpu, count), milliseconds_each(floor.server_cpu, count)]);
    let mut rows = vec![reading, writing, both];
    for row in &mut rows {
        row.resize(15, "-".to_owned());
    }
    rows
}

/// A target's name.
fn name(scenario: Scenario, run: &Run, what: &str) -> String {
    format!("{}, {} objects, {}: {what}", scenario.label(), run.objects, run.phase.label())
}

fn first_sync(scenario: Scenario, run: &Run) -> Vec<Vec<String>> {
    let mut targets = Vec::new();
    if scenario != Scenario::Vault {
        let most = 3.0 * of_500(run);
        let time = format!("{:.2} s", run.seconds);
        targets.push(target(&name(scenario, run, "time"), time, format!("below {most:.1} s"), run.seconds < most));
    }
    targets.push(provider_calls(scenario, run));
    // Events are no part of a sync and are left out under load, but they are calls too.
    let all = run.tally.requests();
    for (what, calls) in [("with events", all), ("without events", all - run.tally.events)] {
        let each = calls as f64 / run.objects as f64;
        let what = name(scenario, run, &format!("Kubernetes calls an object, {what}"));
        targets.push(target(&what, format!("{each:.2}"), "at most 2.1".to_owned(), each <= 2.1));
    }
    targets
}

/// Full batches, with some room; for a key that all share, one; for Vault, one read a path and one login at the start.
fn provider_calls(scenario: Scenario, run: &Run) -> Vec<String> {
    let what = name(scenario, run, "provider calls");
    let calls = run.total_calls();
    let most = match scenario {
        Scenario::Keys | Scenario::Large => (30.0 * of_500(run)).ceil() as usize,
        Scenario::Shared => 1,
        Scenario::Vault => {
            let logins = usize::from(run.phase == Phase::FirstSync);
            let of = |call: &str| run.calls.get(call).copied().unwrap_or(0);
            let met = of("Login") == logins && of("ReadSecretData") == run.objects;
            return target(&what, in_words(run), format!("{logins} Login, {} ReadSecretData", run.objects), met);
        }
    };
    target(&what, calls.to_string(), format!("at most {most}"), calls <= most)
}

fn of_500(run: &Run) -> f64 {
    run.objects as f64 / 500.0
}

/// Calls to the provider, by name.
fn in_words(run: &Run) -> String {
    let words: Vec<_> = run.calls.iter().map(|(name, count)| format!("{count} {name}")).collect();
    if words.is_empty() { "0".to_owned() } else { words.join(", ") }
}

fn milliseconds_each(time: Duration, objects: usize) -> String {
    number(Some(time.as_secs_f64() * 1000.0 / objects as f64), 2)
}
