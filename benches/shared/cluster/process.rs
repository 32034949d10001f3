//! What the kernel knows about a process: time used, memory, when it began.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};

/// Clock ticks a second in /proc, the same on every Linux that we build for.
const TICKS: u64 = 100;

/// A process of this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(u32);

/// Resident memory in MiB.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) now: f64,
    pub(crate) peak: f64,
}

impl Process {
    pub(crate) fn this() -> Self {
        Self(std::process::id())
    }

    /// The process that runs `program` and was started by this one, directly or not.
    pub(crate) fn running(program: &Path) -> Option<Self> {
        let program = program.canonicalize().ok()?;
        let processes = fs::read_dir("/proc").ok()?.flatten();
        let mut numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Self));
        numbers.find(|process| {
            let runs = fs::read_link(format!("/proc/{}/exe", process.0)).is_ok_and(|exe| exe == program);
            runs && process.is_below_this()
        })
    }

    fn is_below_this(self) -> bool {
        let mut above = self;
        while above.0 > 1 {
            if above.0 == std::process::id() {
                return true;
            }
            // The third field after the name: state, then the parent.
            above = Self(above.field(1).and_then(|parent| u32::try_from(parent).ok()).unwrap_or(0));
        }
        false
    }

    /// The process of this number.
    pub(crate) const fn of(number: u32) -> Self {
        Self(number)
    }

    /// Whether it runs `program`.
    pub(crate) fn runs(self, program: &Path) -> bool {
        let runs = fs::read_link(format!("/proc/{}/exe", self.0)).ok();
        runs.is_some() && runs == program.canonicalize().ok()
    }

    /// Sends it a signal, in the words of kill(1): `-KILL`.
    pub(crate) fn signal(self, signal: &str) -> anyhow::Result<()> {
        let sent = Command::new("kill").arg(signal).arg(self.0.to_string()).status().context("running kill")?;
        ensure!(sent.success(), "kill {signal} {} failed", self.0);
        Ok(())
    }

    /// Processor time, user and system, in steps of 10 ms.
    pub(crate) fn cpu(self) -> Duration {
        let ticks = self.field(11).unwrap_or(0) + self.field(12).unwrap_or(0);
        Duration::from_millis(ticks * 1000 / TICKS)
    }

    /// When it began, in steps of 10 ms.
    pub(crate) fn began(self) -> Option<SystemTime> {
        let uptime = fs::read_to_string("/proc/uptime").ok()?;
        let uptime = Duration::from_secs_f64(uptime.split(' ').next()?.parse().ok()?);
        let age = uptime.checked_sub(Duration::from_millis(self.field(19)? * 1000 / TICKS))?;
        SystemTime::now().checked_sub(age)
    }

    pub(crate) fn memory(self) -> Memory {
        let text = fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap_or_default();
        let mib = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name))?;
            let kib: f64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
            Some(kib / 1024.0)
        };
        Memory { now: mib("VmRSS:").unwrap_or_default(), peak: mib("VmHWM:").unwrap_or_default() }
    }

    pub(crate) fn is_alive(self) -> bool {
        Path::new("/proc").join(self.0.to_string()).join("exe").read_link().is_ok()
    }

    /// Field number `index` of /proc/PID/stat, counted from the state, which follows the name in brackets.
    fn field(self, index: usize) -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.0)).ok()?;
        text.rsplit_once(") ")?.1.split(' ').nth(index)?.parse().ok()
    }
}
