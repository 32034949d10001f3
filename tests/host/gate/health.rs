//! Health seen from outside: connections, requests, commands.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bulla::host::command::Scrubber;
use bulla::host::config::ManagerKind;
use bulla::host::desired::{HealthCheck, Role, Service};
use bulla::host::gate::{Unhealthy, prove};
use bulla::host::units::{Asked, Change, Manager, Settings, Told, What, plan};
use bulla_crds::host::{HttpCheck, ServiceCommands};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::repository::http::{Server, tls};

fn words(command: &str) -> Vec<String> {
    ["sh", "-c", command].map(str::to_owned).to_vec()
}

fn service(health: HealthCheck) -> Service {
    let commands = ServiceCommands { reload: words("true"), ..ServiceCommands::default() };
    let health = Some(HealthCheck {
        within: health.within.or_else(|| Some("5s".to_owned())),
        lasting: health.lasting.or_else(|| Some("600ms".to_owned())),
        ..health
    });
    let reload_on = vec!["/**".to_owned()];
    Service { name: "web".to_owned(), reload_on, commands: Some(commands), health, ..Service::default() }
}

async fn proved(service: Service) -> Result<(), Unhealthy> {
    let manager = Manager::connect(&Settings::new(ManagerKind::None)).await;
    let services = [service];
    let changes = [Change { path: "/etc/x".into(), role: Role::File, what: What::Changed }];
    let plan = plan(&Asked { services: &services, units: &[], changes: &changes, credentials: &[] });
    let done = manager.carry_out(&plan, false, &Scrubber::default()).await;
    assert!(done.failures.is_empty(), "{:?}", done.failures);
    let told: Vec<Told> = done.told;
    assert_eq!(told.len(), 1);
    prove(&services, &told, &manager, &Scrubber::new([b"canary-in-a-check".as_slice()])).await
}

fn command(script: &str) -> HealthCheck {
    HealthCheck { command: words(script), ..HealthCheck::default() }
}

/// Answers every request with this status line and body, at a port of its own.
async fn web(head: &'static str, body: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let body = body.clone();
            tokio::spawn(async move {
                let mut asked = [0; 4096];
                let count = stream.read(&mut asked).await.unwrap();
                let asked = String::from_utf8_lossy(&asked[..count]).into_owned();
                let body = if asked.contains("x-echo: ") { asked } else { body };
                let answer =
                    format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
                stream.write_all(answer.as_bytes()).await.ok();
            });
        }
    });
    port
}

fn http(port: u16, status: &[u16], contains: Option<&str>) -> HealthCheck {
    let check = HttpCheck {
        url: format!("http://127.0.0.1:{port}/health"),
        status: status.to_vec(),
        contains: contains.map(str::to_owned),
        ..HttpCheck::default()
    };
    HealthCheck { http: Some(check), within: Some("1s".to_owned()), ..HealthCheck::default() }
}

fn there(path: &Path) -> String {
    format!("test -e '{}' || {{ echo not yet canary-in-a-check; exit 4; }}", path.display())
}

#[tokio::test]
async fn what_becomes_well_late_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("up");
    let becomes = async {
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
        fs::write(&file, "").unwrap();
    };
    let (proved, ()) = tokio::join!(proved(service(command(&there(&file)))), becomes);
    proved.unwrap();
}

#[tokio::test]
async fn what_never_becomes_well_is_told_with_its_last_words_without_the_secret() {
    let folder = tempfile::tempdir().unwrap();
    let check = HealthCheck { within: Some("1s".to_owned()), ..command(&there(&folder.path().join("never"))) };
    let error = proved(service(check)).await.unwrap_err();
    assert_eq!(error.service, "web");
    assert!(error.why.contains("exit code 4:\nnot yet ***") && !error.why.contains("canary"), "{error}");
}

#[tokio::test]
async fn what_does_not_stay_well_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("up");
    fs::write(&file, "").unwrap();
    let dies = async {
        tokio::time::sleep(std::time::Duration::from_millis(800)).await;
        fs::remove_file(&file).unwrap();
    };
    let check = HealthCheck { lasting: Some("30s".to_owned()), ..command(&there(&file)) };
    let (proved, ()) = tokio::join!(proved(service(check)), dies);
    let error = proved.unwrap_err();
    assert!(error.why.contains("well for"), "{error}");
}

#[tokio::test]
async fn a_request_must_be_answered_as_declared() {
    let (fine, broken) = (web("200 OK", "all is well".to_owned()).await, web("500 Oops", String::new()).await);
    let away = web("302 Found\r\nlocation: http://127.0.0.1:1/", String::new()).await;
    proved(service(http(fine, &[], Some("is well")))).await.unwrap();
    proved(service(http(broken, &[500], None))).await.unwrap();
    // A redirect is an answer, and not followed.
    proved(service(http(away, &[], None))).await.unwrap();
    let why = async |check| proved(service(check)).await.unwrap_err().why;
    assert!(why(http(broken, &[], None)).await.contains("answered 500"));
    assert!(why(http(fine, &[204], None)).await.contains("answered 200"));
    assert!(why(http(fine, &[], Some("missing"))).await.contains("without \"missing\""));
    assert!(why(http(1, &[], None)).await.contains("did not answer"));
}

#[tokio::test]
async fn a_certificate_of_an_authority_of_ones_own_is_taken_where_it_is_named_and_only_there() {
    let folder = tempfile::tempdir().unwrap();
    let behind = Server { port: web("200 OK", String::new()).await, requests: Arc::default() };
    let (ours, other) = (folder.path().join("ours.crt"), folder.path().join("other.crt"));
    let port = tls(&behind, &ours);
    tls(&behind, &other);
    let with = |ca: Option<String>| {
        let mut check = http(port, &[], None);
        if let Some(http) = &mut check.http {
            http.url = format!("https://localhost:{port}/");
            http.ca = ca;
        }
        proved(service(check))
    };
    let path = |path: &Path| Some(path.display().to_string());
    with(path(&ours)).await.unwrap();
    with(Some(fs::read_to_string(&ours).unwrap())).await.unwrap();
    for (ca, word) in [
        (None, "did not answer"),
        (path(&other), "did not answer"),
        (path(folder.path()), "is no file of certificates"),
        (path(Path::new("/dev/zero")), "is no file of certificates"),
        (path(Path::new("/nowhere")), "cannot be read"),
        (path(Path::new("/etc/hostname")), "holds no certificate"),
    ] {
        let why = with(ca.clone()).await.unwrap_err().why;
        assert!(why.contains(word), "{ca:?}: {why}");
    }
}

#[tokio::test]
async fn only_the_beginning_of_an_endless_answer_is_read() {
    let far = web("200 OK", format!("{}needle", "x".repeat(100 << 10))).await;
    let error = proved(service(http(far, &[], Some("needle")))).await.unwrap_err();
    assert!(error.why.contains("without \"needle\""), "{error}");
}

#[tokio::test]
async fn declared_headers_are_sent_and_no_proxy_is_asked() {
    // Whatever the environment says: a proxy would not answer here.
    let port = web("200 OK", String::new()).await;
    let mut check = http(port, &[], Some("x-echo: declared"));
    if let Some(http) = &mut check.http {
        http.headers.insert("X-Echo".to_owned(), "declared".to_owned());
    }
    proved(service(check)).await.unwrap();
}

#[tokio::test]
async fn a_port_must_take_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let check = |address: &str| HealthCheck {
        tcp: Some(address.to_owned()),
        within: Some("1s".to_owned()),
        ..HealthCheck::default()
    };
    proved(service(check(&address))).await.unwrap();
    drop(listener);
    let error = proved(service(check(&address))).await.unwrap_err();
    assert!(error.why.contains(&format!("no connection to {address}")), "{error}");
    let error = proved(service(check("nonsense"))).await.unwrap_err();
    assert!(error.why.contains("no connection to nonsense"), "{error}");
}
