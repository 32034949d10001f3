//! The program itself: its flags reach the server.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client;
use crate::support::apiserver::ApiServer;
use crate::support::rights::Reach;
use crate::world::SOON;

/// A controller that says where it listens; killed in the end.
struct Process {
    child: Child,
    main: u16,
    metrics: Option<u16>,
}

impl Process {
    fn start(namespace: &str, arguments: &[&str]) -> Self {
        let server = ApiServer::shared();
        let token = server.controller_token(namespace, Reach::Namespaces(&[namespace]));
        let child = Command::new(env!("CARGO_BIN_EXE_bulla-controller"))
            .args(["run", "--kubeconfig"])
            .arg(server.kubeconfig_as(&format!("controller-{namespace}"), &token))
            .args(["--controller-namespace", namespace, "--watch-namespace", namespace, "--external-secrets=false"])
            .args(["--listen", "127.0.0.1:0", "--log-format", "json"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut this = Self { child, main: 0, metrics: None };
        let (output, errors) = (this.child.stdout.take().unwrap(), this.child.stderr.take().unwrap());
        // Whichever of the two the log goes to; the rest is read so that the pipes do not fill.
        let (sender, lines) = std::sync::mpsc::channel();
        for stream in [Box::new(output) as Box<dyn std::io::Read + Send>, Box::new(errors)] {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    drop(sender.send(line));
                }
            });
        }
        drop(sender);
        while let Ok(line) = lines.recv_timeout(SOON) {
            let line: Value = serde_json::from_str(&line).unwrap_or_default();
            let port = |field: &str| line[field].as_str()?.rsplit(':').next()?.parse().ok();
            if let Some(main) = port("address") {
                (this.main, this.metrics) = (main, port("metrics"));
                return this;
            }
        }
        panic!("it does not say where it listens");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_flags_reach_the_server() {
    let server = ApiServer::shared();
    server.install_crd(&bulla_crds::sealed_secret_crd()).await;
    let namespace = server.namespace().await;
    tokio::task::block_in_place(|| {
        let process = Process::start(&namespace, &["--disable-rotate-api", "--rate-limit=1", "--rate-limit-burst=0"]);
        let call = |port, method, path| client::call(port, method, path, &[], b"").status;
        let metrics = process.metrics.expect("metrics are on by default");
        assert_eq!((call(process.main, "GET", "/healthz"), call(metrics, "GET", "/healthz")), (200, 200));
        assert_eq!((call(process.main, "GET", "/metrics"), call(metrics, "GET", "/metrics")), (404, 200));
        assert_eq!(call(process.main, "POST", "/v1/rotate"), 403);
        let several: Vec<u16> = (0..20).map(|_| call(process.main, "POST", "/v1/verify")).collect();
        assert!(several.contains(&429), "{several:?}");
        let process = Process::start(&namespace, &["--listen-metrics", "none"]);
        assert_eq!((call(process.main, "GET", "/healthz"), process.metrics), (200, None));
    });
}

/// A Service goes on sending requests to a pod that ends until everybody has heard of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_that_is_told_to_stop_answers_on_for_a_while_and_is_not_ready() {
    let server = ApiServer::shared();
    server.install_crd(&bulla_crds::sealed_secret_crd()).await;
    let namespace = server.namespace().await;
    tokio::task::block_in_place(|| {
        let mut process = Process::start(&namespace, &["--shutdown-delay=4s"]);
        let (main, metrics) = (process.main, process.metrics.expect("metrics are on by default"));
        let get = |port, path| client::call(port, "GET", path, &[], b"");
        let until = |status| {
            let began = Instant::now();
            while get(main, "/readyz").status != status {
                assert!(began.elapsed() < SOON, "/readyz does not get {status}");
                std::thread::sleep(Duration::from_millis(20));
            }
        };
        until(200);
        let told = Instant::now();
        rustix::process::kill_process(rustix::process::Pid::from_child(&process.child), rustix::process::Signal::TERM)
            .unwrap();
        until(503);
        assert_eq!((get(main, "/readyz").body.as_str(), get(metrics, "/readyz").status), ("stopping\n", 503));
        assert_eq!((get(main, "/healthz").status, get(main, "/v1/keys").status), (200, 200));
        assert_eq!(client::call(main, "POST", "/v1/verify", &[], b"{}").status, 400);
        let status = process.child.wait().unwrap();
        assert!(status.success(), "{status}");
        assert!((Duration::from_secs(4)..SOON).contains(&told.elapsed()), "{:?}", told.elapsed());
    });
}
