//! A real nginx is given good, broken and bad configurations.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bulla::host::command::Scrubber;
use bulla::host::config::ManagerKind;
use bulla::host::desired::{HealthCheck, Role, Service};
use bulla::host::gate::{Isolation, Refusal, Shown, Unhealthy, Validated, prove, validate};
use bulla::host::units::{Asked, Change, Manager, Settings, What, plan};
use bulla_crds::host::{HttpCheck, ServiceCommands};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Host;
use crate::servers::leash::{End, Leash};
use crate::servers::servers;

const CONFIG: &str = "etc/nginx/nginx.conf";
const CANARY: &str = "canary-upstream-token-81c2";

struct Nginx {
    host: Host,
    port: u16,
    _leash: Leash,
    manager: Manager,
}

impl Nginx {
    /// Runs the first generation, which answers `one`.
    async fn start() -> Self {
        let host = Host::new();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let path = host.link(CONFIG);
        let nginx = Self::configured(&host, port, "return 200 one;");
        host.stage(1, CONFIG, &nginx);
        host.flip(1);
        let mut command = Command::new(servers::path("nginx"));
        command.arg("-c").arg(path).args(["-g", "daemon off;"]);
        let end = End { grace: Duration::from_secs(2), remove: None };
        let leash = Leash::spawn("nginx", &command, &host.at("log"), end);
        let manager = Manager::connect(&Settings::new(ManagerKind::None)).await;
        let nginx = Self { host, port, _leash: leash, manager };
        let until = Instant::now() + Duration::from_secs(30);
        while nginx.ask().await.ok().as_deref() != Some("one") {
            let log = fs::read_to_string(nginx.host.at("log")).unwrap_or_default();
            assert!(Instant::now() < until, "nginx does not answer:\n{log}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        nginx
    }

    fn configured(host: &Host, port: u16, answer: &str) -> String {
        let folder = host.path().display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {folder}/{name};\n"))
            .concat();
        format!(
            "user root;\nworker_processes 2;\npid {folder}/nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n{temporary}\
             access_log off;\nserver {{\nlisten 127.0.0.1:{port};\nlocation / {{ default_type text/plain; {answer} }}\n}}\n}}\n"
        )
    }

    fn service(&self, contains: &str) -> Service {
        let nginx = servers::path("nginx").to_string_lossy().into_owned();
        let config = self.host.at(CONFIG).to_string_lossy().into_owned();
        let said = |more: &[&str]| {
            let words = [nginx.as_str(), "-c", config.as_str()].into_iter().chain(more.iter().copied());
            words.map(str::to_owned).collect::<Vec<_>>()
        };
        let check = HttpCheck {
            url: format!("http://127.0.0.1:{}/", self.port),
            contains: Some(contains.to_owned()),
            ..HttpCheck::default()
        };
        Service {
            name: "nginx".to_owned(),
            reload_on: vec!["/etc/nginx/**".to_owned()],
            validate: said(&["-t"]),
            commands: Some(ServiceCommands { reload: said(&["-s", "reload"]), ..ServiceCommands::default() }),
            health: Some(HealthCheck {
                http: Some(check),
                within: Some("10s".to_owned()),
                lasting: Some("1s".to_owned()),
                ..HealthCheck::default()
            }),
            ..Service::default()
        }
    }

    fn changes() -> [Change; 1] {
        [Change { path: PathBuf::from(format!("/{CONFIG}")), role: Role::File, what: What::Changed }]
    }

    /// One request on a connection of its own.
    async fn ask(&self) -> std::io::Result<String> {
        ask(self.port).await
    }

    async fn validate(&self, staged: u32) -> Result<Validated, Refusal> {
        let target = self.host.target(CONFIG);
        let view = self.host.view(1, staged, vec![Shown::Link { path: self.host.at(CONFIG), target }]);
        let scrubber = Scrubber::new([CANARY.as_bytes()]);
        validate(&[self.service("")], &Self::changes(), view, &scrubber).await
    }

    /// What follows a flip.
    async fn tell_and_prove(&self, contains: &str) -> Result<(), Unhealthy> {
        let (services, scrubber) = ([self.service(contains)], Scrubber::default());
        let changes = Self::changes();
        let plan = plan(&Asked { services: &services, units: &[], changes: &changes, credentials: &[] });
        let done = self.manager.carry_out(&plan, false, &scrubber).await;
        assert!(done.failures.is_empty(), "{:?}", done.failures);
        assert_eq!(done.units(), ["nginx"]);
        prove(&services, &done.told, &self.manager, &scrubber).await
    }
}

async fn ask(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let bad = || std::io::Error::other(format!("not an answer: {answer:?}"));
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(bad)?;
    head.starts_with("HTTP/1.1 200").then(|| body.to_owned()).ok_or_else(bad)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_configuration_passes_and_no_request_is_dropped() {
    let nginx = Nginx::start().await;
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let visitor = tokio::spawn({
        let (stop, answered, port) = (Arc::clone(&stop), Arc::clone(&answered), nginx.port);
        async move {
            while !stop.load(Ordering::Relaxed) {
                let answer = ask(port).await.map_err(|error| error.to_string())?;
                assert!(answer == "one" || answer == "two", "{answer}");
                answered.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, String>(())
        }
    });
    nginx.host.stage(2, CONFIG, &Nginx::configured(&nginx.host, nginx.port, "return 200 two;"));
    let validated = nginx.validate(2).await.unwrap();
    assert_eq!(validated.isolation, Some(Isolation::Namespace));
    assert_eq!(nginx.ask().await.unwrap(), "one", "not before the flip");
    nginx.host.flip(2);
    nginx.tell_and_prove("two").await.unwrap();
    assert_eq!(nginx.ask().await.unwrap(), "two");
    stop.store(true, Ordering::Relaxed);
    visitor.await.unwrap().unwrap();
    assert!(answered.load(Ordering::Relaxed) > 20, "hardly a request was made");
}

#[tokio::test]
async fn a_broken_configuration_is_refused_before_the_flip_in_nginx_own_words_without_the_secret() {
    let nginx = Nginx::start().await;
    let broken = Nginx::configured(&nginx.host, nginx.port, &format!("{CANARY} on;"));
    nginx.host.stage(2, CONFIG, &broken);
    let refusal = nginx.validate(2).await.unwrap_err().to_string();
    assert!(refusal.contains("unknown directive \"***\""), "{refusal}");
    // At its final path, with the line that is wrong.
    let line = broken.lines().position(|line| line.contains(CANARY)).unwrap() + 1;
    assert!(refusal.contains(&format!("{}:{line}", nginx.host.at(CONFIG).display())), "{refusal}");
    assert!(!refusal.contains(CANARY), "{refusal}");
    assert_eq!(nginx.ask().await.unwrap(), "one");
}

#[tokio::test]
async fn a_configuration_that_passes_and_answers_500_is_found_by_its_health_and_the_old_one_comes_back() {
    let nginx = Nginx::start().await;
    nginx.host.stage(2, CONFIG, &Nginx::configured(&nginx.host, nginx.port, "return 500;"));
    nginx.validate(2).await.unwrap();
    nginx.host.flip(2);
    let error = nginx.tell_and_prove("").await.unwrap_err();
    assert!(error.service == "nginx" && error.why.contains("answered 500"), "{error}");
    nginx.host.flip(1);
    nginx.tell_and_prove("one").await.unwrap();
}
