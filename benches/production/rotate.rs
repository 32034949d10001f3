//! Re-encryption over HTTP, as `kubeseal --re-encrypt` asks for it.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bulla::seal::{Binding, Place, Scope, seal};
use bulla::secret::Plaintext;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;

use crate::Shown;
use crate::arguments::Arguments;
use crate::cluster::bed::{Bed, CONTROLLER_NAMESPACE, NAMESPACE};
use crate::cluster::controller::{ACCOUNT, Bulla};
use crate::cluster::process::Process;
use crate::keys::{self, SealingKey};
use crate::objects;
use crate::shared::table::{number, render};
use crate::support::servers;
use crate::support::upstream::UpstreamController;

/// Requests at the same time.
const CLIENTS: usize = 4;

/// One side's numbers.
struct Measured {
    seconds: f64,
    cpu: Duration,
    /// Of the answers that succeeded.
    latency: Vec<f64>,
}

pub(crate) async fn measure(arguments: &Arguments) -> anyhow::Result<Shown> {
    let (old, new) = (keys::rsa()?, keys::rsa()?);
    let bodies = bodies(&old, arguments.rotations)?;
    let bulla = {
        let bed = objects::bed().await?;
        add(&bed, &old, &new).await?;
        let (token, _) = bed.account(ACCOUNT).await;
        // The limit is what keeps others out of the processor; here it is what is measured.
        let flags = ["--rate-limit=0"].map(str::to_owned);
        let bulla = Bulla::start(&bed, &token, &flags)?;
        bulla.until_ready().await?;
        run(bulla.port(), bulla.process, &bodies)?
    };
    let upstream = {
        let bed = objects::bed().await?;
        add(&bed, &old, &new).await?;
        let flags = ["--kubeclient-qps=-1", "--key-renew-period=0"];
        let controller = UpstreamController::start(&bed.server, CONTROLLER_NAMESPACE, &flags).await;
        let process = Process::running(&servers::path("sealed-secrets-controller")).context("upstream's process")?;
        run(controller.port(), process, &bodies)?
    };
    let row = |what: &str, measured: &Measured| {
        let count = bodies.len() as f64;
        let middle = crate::shared::table::median(measured.latency.iter().copied());
        vec![
            what.to_owned(),
            bodies.len().to_string(),
            number(Some(count / measured.seconds), 0),
            number(middle.map(|seconds| seconds * 1000.0), 1),
            number(Some(measured.cpu.as_secs_f64() * 1000.0 / count), 2),
        ]
    };
    let head =
        ["/v1/rotate, one value of RSA-4096, 4 clients", "requests", "requests/s", "median ms", "CPU ms/request"];
    let rows = [row("Bulla", &bulla), row("upstream", &upstream)];
    Ok(Shown { text: render(&head, &rows), targets: Vec::new() })
}

async fn add(bed: &Bed, old: &SealingKey, new: &SealingKey) -> anyhow::Result<()> {
    for (name, key) in [("sealed-secrets-key-old", old), ("sealed-secrets-key-new", new)] {
        let mut secret = key.secret.clone();
        secret.metadata.name = Some(name.to_owned());
        bed.add_key(&secret).await?;
        // Which is newer is told by dates of whole seconds.
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
    Ok(())
}

fn bodies(key: &SealingKey, count: usize) -> anyhow::Result<Arc<Vec<String>>> {
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let bodies = (0..count).map(|number| {
        let name = format!("object-{number:06}");
        let binding = Binding::new(Scope::Strict, Place { namespace: NAMESPACE, name: &name, key: "password" }, today);
        let sealed = seal(std::slice::from_ref(&key.recipient), &Plaintext::copy_of(objects::VALUE), &binding)?;
        let object = json!({
            "apiVersion": objects::KIND.api_version, "kind": "SealedSecret",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"encryptedData": {"password": sealed}},
        });
        Ok(object.to_string())
    });
    bodies.collect::<anyhow::Result<Vec<_>>>().map(Arc::new)
}

fn run(port: u16, process: Process, bodies: &Arc<Vec<String>>) -> anyhow::Result<Measured> {
    let (next, cpu, began) = (Arc::new(AtomicUsize::new(0)), process.cpu(), Instant::now());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (next, bodies) = (Arc::clone(&next), Arc::clone(bodies));
            thread::spawn(move || {
                let mut latency = Vec::new();
                while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let began = Instant::now();
                    rotate(port, body)?;
                    latency.push(began.elapsed().as_secs_f64());
                }
                anyhow::Ok(latency)
            })
        })
        .collect();
    let mut latency = Vec::new();
    for client in clients {
        latency.append(&mut client.join().map_err(|_| anyhow::anyhow!("a client panicked"))??);
    }
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), process.cpu().saturating_sub(cpu));
    Ok(Measured { seconds, cpu, latency })
}

/// One request; an answer without a value that is sealed anew is a failure.
fn rotate(port: u16, body: &str) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let head = format!(
        "POST /v1/rotate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let sealed =
        |text: &str| text.split("\"password\":\"").nth(1).and_then(|rest| rest.split('"').next()).map(str::to_owned);
    let (before, after) = (sealed(body), sealed(&answer));
    ensure!(answer.starts_with("HTTP/1.1 200"), "answered {:?}", answer.lines().next().unwrap_or_default());
    ensure!(after.is_some() && after != before, "the value was not sealed again");
    Ok(())
}
