//! Bulla's controller as a process of its own.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, ensure};

use super::bed::{Bed, CONTROLLER_NAMESPACE};
use super::measure::Spent;
use super::process::Process;
use crate::support::apiserver::free_port;
use crate::support::leash::{End, Leash};

/// The account of Bulla's controller.
pub(crate) const ACCOUNT: &str = "bulla-controller";

/// Bulla's release binary, running.
pub(crate) struct Bulla {
    leash: Leash,
    pub(crate) process: Process,
    port: u16,
    metrics_port: u16,
}

impl Bulla {
    /// Starts it; `arguments` are added to those that it needs.
    pub(crate) fn start(bed: &Bed, token: &str, arguments: &[String]) -> anyhow::Result<Self> {
        let program = Path::new(env!("CARGO_BIN_EXE_bulla-controller"));
        let (port, metrics_port) = (free_port(), free_port());
        let mut command = Command::new(program);
        command.arg("run").arg("--kubeconfig").arg(bed.server.kubeconfig_as(ACCOUNT, token));
        command.arg(format!("--listen-metrics=127.0.0.1:{metrics_port}"));
        command.args(["--controller-namespace", CONTROLLER_NAMESPACE]).arg(format!("--listen=127.0.0.1:{port}"));
        command.args(arguments);
        let end = End { grace: Duration::from_secs(20), ..End::default() };
        let log = bed.server.folder().join("bulla-controller.log");
        let mut leash = Leash::spawn(ACCOUNT, &command, &log, end);
        let began = Instant::now();
        loop {
            if let Some(process) = leash.server().map(Process::of).filter(|process| process.runs(program)) {
                return Ok(Self { leash, process, port, metrics_port });
            }
            let ended = leash.ended().is_some() || began.elapsed() > Duration::from_secs(10);
            ensure!(!ended, "bulla-controller did not start; {}", leash.log_tail());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Where it listens on 127.0.0.1.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Fails if it has ended.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        ensure!(self.process.is_alive(), "bulla-controller ended; {}", self.leash.log_tail());
        Ok(())
    }

    /// Waits until the controller says that it has looked at every object.
    pub(crate) async fn until_ready(&self) -> anyhow::Result<SystemTime> {
        let began = Instant::now();
        while !self.is_ready() {
            self.check()?;
            ensure!(began.elapsed() < Duration::from_secs(120), "not ready in two minutes; {}", self.leash.log_tail());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(SystemTime::now())
    }

    /// When it began and what it holds.
    pub(crate) fn spent(&self) -> anyhow::Result<Spent> {
        let began = self.process.began().context("the controller's start")?;
        Ok(Spent { began, memory: self.process.memory() })
    }
    /// Ends it in order.
    pub(crate) fn end(&mut self) {
        self.leash.end();
    }

    /// What `/metrics` has for `name`: the labels of each series, and its value.
    pub(crate) fn metrics(&self, name: &str) -> anyhow::Result<Vec<(String, f64)>> {
        let (status, text) = get(self.metrics_port, "/metrics").context("asking for the metrics")?;
        ensure!(status == 200, "the metrics are answered with {status}");
        let series = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.split_once("} "));
        series.map(|(labels, value)| Ok((labels.to_owned(), value.parse()?))).collect()
    }

    /// Whether `/readyz` says yes. A request on the loopback, far faster than the pause between two.
    fn is_ready(&self) -> bool {
        get(self.port, "/readyz").is_ok_and(|(status, _)| status == 200)
    }
}

fn get(port: u16, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Ok((status, body.to_owned()))
}
