//! What people have on such machines today: a clone, and `age -d` for every file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use bulla::seal::seal_file;
use bulla::secret::Plaintext;

use super::host::{Host, commit, git};
use super::servers;

/// A repository with a file of the real age for every value, sealed to the same hybrid key.
pub(crate) struct Peer<'a> {
    host: &'a Host,
    age: PathBuf,
    names: Vec<String>,
}

impl<'a> Peer<'a> {
    pub(crate) fn new(host: &'a Host, files: usize, values: usize) -> anyhow::Result<Self> {
        let folder = host.path("peer");
        fs::create_dir(&folder)?;
        let mut names = Vec::new();
        for (file, value) in (0..files).flat_map(|file| (0..values).map(move |value| (file, value))) {
            let plain = Plaintext::from(format!("first-{file}-{value}"));
            let name = format!("app{file}-k{value}.age");
            fs::write(folder.join(&name), seal_file(&[host.identity.recipient().clone()], &plain)?)?;
            names.push(name);
        }
        git(&folder, &["init", "-q", "-b", "main", "."])?;
        commit(&folder)?;
        Ok(Self { host, age: servers::on_demand("age"), names })
    }

    /// The program that opens them.
    pub(crate) fn program(&self) -> &Path {
        &self.age
    }

    /// From nothing: a new clone, and every file opened by a process of its own, as many at a time as there are cores.
    pub(crate) fn cold(&self) -> anyhow::Result<Duration> {
        let (clone, into) = (self.host.path("peer.clone"), self.host.run().with_file_name("peer"));
        for folder in [&clone, &into] {
            if folder.exists() {
                fs::remove_dir_all(folder)?;
            }
        }
        fs::create_dir(&into)?;
        let began = Instant::now();
        git(&self.host.path("peer"), &["clone", "-q", ".", "../peer.clone"])?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let next = AtomicUsize::new(0);
        let opened: anyhow::Result<Vec<()>> = std::thread::scope(|scope| {
            let work = || -> anyhow::Result<()> {
                while let Some(name) = self.names.get(next.fetch_add(1, Ordering::Relaxed)) {
                    self.open(&clone.join(name), &into.join(name))?;
                }
                Ok(())
            };
            let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
            threads.into_iter().map(|thread| thread.join().map_err(|_panic| anyhow::anyhow!("a thread"))?).collect()
        });
        opened?;
        Ok(began.elapsed())
    }

    fn open(&self, sealed: &Path, into: &Path) -> anyhow::Result<()> {
        let mut command = Command::new(&self.age);
        command.arg("-d").arg("-i").arg(self.host.path("host.key")).arg("-o").arg(into).arg(sealed);
        let status = command.stdin(Stdio::null()).status()?;
        ensure!(status.success(), "age ended with {status}");
        Ok(())
    }
}
