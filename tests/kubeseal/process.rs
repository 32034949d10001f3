//! The program itself: its flags reach the server.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

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
        let mut child = Command::new(env!("CARGO_BIN_EXE_bulla-controller"))
            .args(["run", "--kubeconfig"])
            .arg(server.kubeconfig_as(&format!("controller-{namespace}"), &token))
            .args(["--controller-namespace", namespace, "--watch-namespace", namespace, "--external-secrets=false"])
            .args(["--listen", "127.0.0.1:0", "--log-format", "json"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (output, errors) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
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
                return Self { child, main, metrics: port("metrics") };
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
