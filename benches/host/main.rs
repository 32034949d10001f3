//! What host mode costs: from a commit to files on a machine, and while nothing happens.
//!
//! `cargo bench --bench host` prints a table for `benches/RESULTS.md` and writes nothing but a temporary folder and one in
//! `/dev/shm`. See `benches/README.md` for what the columns mean.

#![allow(missing_docs, reason = "a program")]
#![allow(clippy::disallowed_methods, reason = "its files are its own, in a temporary folder")]

#[path = "../shared/mod.rs"]
mod shared;

#[path = "../../tests/support/servers.rs"]
#[allow(dead_code, reason = "a part of it is used")]
mod servers;

mod arguments;
mod host;
mod peer;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bulla::seal::{Binding, Identity, KeyState, Keyring, Place, Scope, open, seal};
use bulla::secret::Plaintext;
use clap::Parser as _;

use self::arguments::Arguments;
use self::host::{AGENT, Host};
use self::peer::Peer;
use self::shared::machine;
use self::shared::table::{mb, median, number, render, target};

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if !arguments.bench {
        shared::progress("this is a benchmark: cargo bench --bench host");
        return Ok(ExitCode::SUCCESS);
    }
    shared::progress("sealing");
    let host = Host::new(arguments.files, arguments.values)?;
    let peer = Peer::new(&host, arguments.files, arguments.values)?;
    let programs = [Path::new(AGENT), Path::new("git"), peer.program()].map(|program| (program, "--version"));
    shared::report(&machine::describe(&programs))?;
    let last = format!("etc/app{}/k0", arguments.files - 1);
    let last = Path::new(&last);
    let runs = |what: &str, mut once: Box<dyn FnMut(usize) -> anyhow::Result<Duration> + '_>| {
        shared::progress(what);
        let times: anyhow::Result<Vec<f64>> =
            (0..arguments.runs).map(|run| once(run).map(|time| time.as_secs_f64() * 1000.0)).collect();
        anyhow::Ok(median(times?).unwrap_or(f64::NAN))
    };
    let opening = floor_of_opening(&arguments)?;
    let by_age = runs("age", Box::new(|_| peer.cold()))?;
    let cold = runs("cold", Box::new(|_| host.cold(last, "first")))?;
    let agent = host.start()?;
    let fetching = runs("git fetch", Box::new(|_| fetch(&host)))?;
    let unchanged = runs("unchanged", Box::new(|_| agent.sync()))?;
    let hook = runs(
        "a push",
        Box::new(|run| {
            let text = format!("change{run}");
            host.put(arguments.files - 1, &text)?;
            host.commit()?;
            let began = Instant::now();
            agent.push()?;
            host.until(began, last, &text)
        }),
    )?;
    shared::progress("idle");
    std::thread::sleep(Duration::from_secs(2));
    let before = agent.ticks()?;
    std::thread::sleep(Duration::from_secs(arguments.idle));
    let busy = (agent.ticks()? - before) * 10;
    let (memory, own) = (agent.memory("VmRSS")?, agent.memory("RssAnon")?);

    let milliseconds = |value: f64| number(Some(value), 0);
    let rows = [
        ("from nothing to files: clone, open all, flip", cold, opening, Some(by_age)),
        ("the same commit again", unchanged, fetching, None),
        ("a push of one changed file, to flipped", hook, fetching, None),
    ];
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|(what, time, floor, peer)| {
            let peer = peer.map_or_else(String::new, milliseconds);
            vec![(*what).to_owned(), milliseconds(*time), milliseconds(*floor), peer]
        })
        .collect();
    shared::report(&format!(
        "{} SealedSecrets with {} values each, hybrid keys; a declared file for each value. The floor of the first is \
         opening the values on all cores and nothing else, that of the others `git fetch` alone. The peer: `git clone`, \
         and `age -d` of a file for each value, on all cores.\n",
        arguments.files, arguments.values
    ))?;
    shared::report(&render(&["", "ms", "floor, ms", "peer, ms"], &rows))?;
    let idle = arguments.idle;
    let targets = [
        target("cold open to flip", format!("{cold:.0} ms"), "under 1,000 ms".to_owned(), cold < 1000.0),
        target("an unchanged commit", format!("{unchanged:.0} ms"), "under 50 ms".to_owned(), unchanged < 50.0),
        target("a push to flipped", format!("{hook:.0} ms"), "under 1,000 ms".to_owned(), hook < 1000.0),
        target(
            "idle memory",
            format!("{:.1} MB, {:.1} of it its own", mb(memory), mb(own)),
            "under 15 MB".to_owned(),
            mb(memory) < 15.0,
        ),
        target(&format!("CPU in {idle} s of idleness"), format!("{busy} ms"), "under 20 ms".to_owned(), busy < 20),
    ];
    shared::report(&render(&["target", "measured", "wanted", "met"], &targets))?;
    Ok(ExitCode::SUCCESS)
}

/// Opens as many values as the host has, on all cores, and does nothing else; in milliseconds.
fn floor_of_opening(arguments: &Arguments) -> anyhow::Result<f64> {
    let identity = Identity::generate_hybrid()?;
    let place = Place { namespace: "web", name: "floor", key: "k" };
    let binding = Binding::new(Scope::Strict, place, jiff::civil::date(2026, 11, 21));
    let count = arguments.files * arguments.values;
    let plain = Plaintext::from("first-0-0".to_owned());
    let sealed = seal(&[identity.recipient().clone()], &plain, &binding)?;
    let mut keyring = Keyring::new();
    keyring.insert(identity, KeyState::Active);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for core in 0..cores {
            let (keyring, sealed) = (&keyring, &sealed);
            scope.spawn(move || {
                for _ in (core..count).step_by(cores) {
                    std::hint::black_box(open(keyring, sealed, place, Scope::Strict).is_ok());
                }
            });
        }
    });
    Ok(began.elapsed().as_secs_f64() * 1000.0)
}

/// What git itself takes for a fetch that brings nothing.
fn fetch(host: &Host) -> anyhow::Result<Duration> {
    let bare = host.path("floor.git");
    if !bare.exists() {
        host.git(&["clone", "-q", "--bare", ".", "../floor.git"])?;
    }
    let began = Instant::now();
    host.git(&["--git-dir", "../floor.git", "fetch", "-q", ".", "main"])?;
    Ok(began.elapsed())
}
