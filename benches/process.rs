//! What `bulla seal` costs as a whole process, beside the real `kubeseal` on the same input.
//!
//! `cargo bench --bench process` prints a table for `benches/RESULTS.md` and writes nothing. The runs of all commands
//! take turns, so that whatever disturbs the machine hits all of them alike. Time and memory are what the kernel says
//! of each ended child; `true` shows how much of that starting any process costs here.

#![allow(missing_docs, reason = "a program")]

#[path = "../tests/support/mod.rs"]
mod support;

#[path = "shared/mod.rs"]
mod shared;

use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Parser;
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use wait4::Wait4 as _;

use self::shared::table::{median, number, percentile, render};
use self::support::{servers, tools};

/// What `bulla seal` costs as a whole process.
#[derive(Debug, Parser)]
struct Arguments {
    /// Runs of each command.
    #[arg(long, default_value_t = 50)]
    runs: usize,
    /// Said by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The Secret to seal.
const SECRET: &str = r"apiVersion: v1
kind: Secret
metadata:
  name: db
  namespace: prod
type: Opaque
stringData:
  password: correct horse battery staple 123
";

/// The commands, in the order of the table.
const TRUE: &str = "true: any process";
const KUBESEAL: &str = "kubeseal --cert (RSA-4096)";
const HYBRID: &str = "bulla seal, hybrid";
const X25519: &str = "bulla seal, X25519";
const CERTIFICATE: &str = "bulla seal, RSA-4096";
/// The most that a command of ours may take of what `kubeseal` takes.
const TARGET: f64 = 0.5;

struct Contender {
    label: &'static str,
    program: PathBuf,
    arguments: Vec<OsString>,
    runs: Vec<Run>,
}

/// One run of a command.
struct Run {
    wall: Duration,
    cpu: Duration,
    /// Peak resident memory in MiB.
    memory: f64,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if !arguments.bench {
        shared::progress("this is a benchmark: cargo bench --bench process");
        return Ok(ExitCode::SUCCESS);
    }
    let folder = tempfile::tempdir()?;
    let mut contenders = contenders(folder.path())?;
    let input = folder.path().join("secret.yaml");
    write(&input, SECRET.as_bytes())?;
    let versions: Vec<_> =
        contenders[1..3].iter().map(|contender| (contender.program.as_path(), "--version")).collect();
    let head = shared::machine::describe(&versions);

    for round in 0..=arguments.runs {
        for contender in &mut contenders {
            let run = contender.run(&input, folder.path()).with_context(|| contender.label)?;
            // The first round only brings the files into memory.
            if round > 0 {
                contender.runs.push(run);
            }
        }
    }
    shared::report(&head)?;
    shared::report(&table(&contenders))?;
    shared::report(&targets(&contenders))?;
    Ok(ExitCode::SUCCESS)
}

fn contenders(folder: &Path) -> anyhow::Result<Vec<Contender>> {
    let bulla = Path::new(env!("CARGO_BIN_EXE_bulla"));
    let file = |name: &str, bytes: &[u8]| -> anyhow::Result<OsString> {
        let path = folder.join(name);
        write(&path, bytes)?;
        Ok(path.into_os_string())
    };
    let hybrid = file("hybrid.txt", &recipient(&["-pq"])?)?;
    let x25519 = file("x25519.txt", &recipient(&[])?)?;
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_4096)?;
    let certificate = file("certificate.pem", CertificateParams::new(Vec::new())?.self_signed(&key)?.pem().as_bytes())?;
    let ours =
        |label, recipient: &OsString| Contender::new(label, bulla, &["seal".into(), "--to".into(), recipient.clone()]);
    let theirs = ["--cert".into(), certificate.clone(), "--format".into(), "yaml".into()];
    Ok(vec![
        Contender::new(TRUE, Path::new("/bin/true"), &[]),
        Contender::new(KUBESEAL, &servers::path("kubeseal"), &theirs),
        ours(HYBRID, &hybrid),
        ours(X25519, &x25519),
        ours(CERTIFICATE, &certificate),
    ])
}

/// A recipient in a file of its own, from a key that age makes.
fn recipient(arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
    let identity = tools::stdout_of(tools::age_keygen(arguments, b""));
    let text = String::from_utf8(identity)?;
    let line = text.lines().find_map(|line| line.strip_prefix("# public key: ")).context("a public key")?;
    Ok(format!("{line}\n").into_bytes())
}

impl Contender {
    fn new(label: &'static str, program: &Path, arguments: &[OsString]) -> Self {
        Self { label, program: program.to_owned(), arguments: arguments.to_vec(), runs: Vec::new() }
    }

    /// Runs it once in `folder`, where it also finds its home.
    fn run(&self, input: &Path, folder: &Path) -> anyhow::Result<Run> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(folder).env("HOME", folder).env("KUBECONFIG", "/dev/null");
        command.env_remove("XDG_STATE_HOME").env_remove("XDG_CONFIG_HOME");
        command.stdin(File::open(input)?).stdout(File::create(folder.join("output"))?).stderr(Stdio::inherit());
        let began = Instant::now();
        let mut child = command.spawn()?;
        let used = child.wait4()?;
        let wall = began.elapsed();
        ensure!(used.status.success(), "it ended with {}", used.status);
        let output = std::fs::metadata(folder.join("output"))?.len();
        ensure!(output > 0 || self.label == TRUE, "it printed nothing");
        let memory = used.rusage.maxrss as f64 / 1024.0 / 1024.0;
        Ok(Run { wall, cpu: used.rusage.utime + used.rusage.stime, memory })
    }

    fn median(&self, of: impl Fn(&Run) -> f64) -> Option<f64> {
        median(self.runs.iter().map(of))
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn table(contenders: &[Contender]) -> String {
    let rows = contenders.iter().map(|contender| {
        vec![
            contender.label.to_owned(),
            contender.runs.len().to_string(),
            number(contender.median(|run| milliseconds(run.wall)), 1),
            number(percentile(contender.runs.iter().map(|run| milliseconds(run.wall)), 95), 1),
            number(contender.median(|run| milliseconds(run.cpu)), 1),
            number(contender.median(|run| run.memory), 1),
        ]
    });
    let head = ["process", "runs", "median ms", "p95 ms", "CPU ms", "peak MiB"];
    render(&head, &rows.collect::<Vec<_>>())
}

fn targets(contenders: &[Contender]) -> String {
    let of = |label: &str| contenders.iter().find(|contender| contender.label == label);
    type Measure = (&'static str, fn(&Run) -> f64);
    let measures: [Measure; 3] =
        [("time", |run| milliseconds(run.wall)), ("CPU", |run| milliseconds(run.cpu)), ("memory", |run| run.memory)];
    let mut rows = Vec::new();
    for label in [HYBRID, X25519, CERTIFICATE] {
        for (what, measure) in measures {
            let (Some(ours), Some(theirs)) = (of(label), of(KUBESEAL)) else { continue };
            let ratio = ours.median(measure).zip(theirs.median(measure)).map(|(ours, theirs)| ours / theirs);
            let met = ratio.is_some_and(|ratio| ratio <= TARGET);
            rows.push(vec![
                format!("{label}: {what}, of kubeseal's"),
                number(ratio, 2),
                format!("at most {TARGET}"),
                if met { "yes" } else { "NO" }.to_owned(),
            ]);
        }
    }
    render(&["target", "measured", "wanted", "met"], &rows)
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    File::create(path)?.write_all(bytes).with_context(|| path.display().to_string())
}
