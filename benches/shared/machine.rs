//! Where and when a benchmark ran.

use std::fs;
use std::path::Path;
use std::process::Command;

use jiff::Timestamp;

/// The head of a report: a list of facts. `versions` are programs with the argument that makes them say theirs.
pub(crate) fn describe(versions: &[(&Path, &str)]) -> String {
    let command = std::env::args().skip(1).filter(|argument| argument != "--bench").collect::<Vec<_>>().join(" ");
    let name = env!("CARGO_CRATE_NAME");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let gib = field("/proc/meminfo", "MemTotal").and_then(|kib| kib.trim_end_matches(" kB").parse::<f64>().ok());
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').take(3).collect::<Vec<_>>().join(" ");
    let mut facts = vec![
        format!("{}, commit {}", Timestamp::now().strftime("%Y-%m-%d %H:%M UTC"), commit()),
        format!("`cargo bench --bench {name} -- {command}`").replace(" -- `", "`"),
        format!(
            "{cores} cores ({}), {:.0} GiB, kernel {}; load average before: {load}",
            field("/proc/cpuinfo", "model name").unwrap_or_default(),
            gib.unwrap_or_default() / 1024.0 / 1024.0,
            fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim(),
        ),
    ];
    let rustc = said(Command::new("rustc").arg("--version"));
    let programs = versions.iter().map(|(program, argument)| {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let said = said(Command::new(program).arg(argument));
        // Some say their name with it, some do not.
        if said.to_lowercase().starts_with(&name[..3]) { said } else { format!("{name} {said}") }
    });
    let programs: Vec<_> = std::iter::once(rustc).chain(programs).filter(|text| !text.is_empty()).collect();
    facts.push(programs.join("; "));
    facts.iter().map(|fact| format!("- {fact}\n")).collect()
}

fn commit() -> String {
    let head = said(Command::new("git").args(["rev-parse", "--short", "HEAD"]));
    let changed = !said(Command::new("git").args(["status", "--porcelain", "--untracked-files=no"])).is_empty();
    if changed { format!("{head} with changes") } else { head }
}

/// The first line that a command prints, empty if it cannot be had.
fn said(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).lines().next().unwrap_or_default().trim().to_owned()
}

/// The value of `name: value` in a file of /proc.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
