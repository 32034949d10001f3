//! Every way to a repository, with what it takes to be let in.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bulla::host::repository::{Access, FetchError, OpenError, Repository, Settings};
use tokio::time::{sleep, timeout};

use super::http::{self, Manner, Server};
use super::origin::{Origin, processes_with};

const TOKEN: &str = "canary-token-4711";

fn token_file(origin: &Origin, token: &str) -> PathBuf {
    let file = origin.path("it's a token");
    fs::write(&file, token).unwrap();
    file
}

#[tokio::test]
async fn a_local_path_is_followed() {
    let origin = Origin::new();
    let repository = origin.follow().await;
    assert_eq!(repository.tip(), None);
    assert_eq!(repository.fetch().await.unwrap(), origin.head());
    assert_eq!(repository.fetch().await.unwrap(), origin.head());
    let second = origin.commit("hosts/frodo.yaml", "two");
    assert_eq!(repository.fetch().await.unwrap(), second);
    assert_eq!(repository.tip(), Some(second.clone()));
    let summary = repository.summary(&second).await.unwrap();
    assert_eq!((summary.author.as_str(), summary.subject.as_str()), ("Anna", "hosts/frodo.yaml: two"));
    assert!(summary.seconds > 1_600_000_000);
}

#[tokio::test]
async fn a_repository_of_sha256_is_followed() {
    let origin = Origin::empty();
    fs::remove_dir_all(origin.work().join(".git")).unwrap();
    origin.git(&["init", "--quiet", "--initial-branch=main", "--object-format=sha256"]);
    let first = origin.commit("hosts/frodo.yaml", "one");
    assert_eq!(first.as_str().len(), 64);
    let repository = origin.follow().await;
    assert_eq!(repository.fetch().await.unwrap(), first);
    let tree = repository.tree(&first, Path::new("")).await.unwrap();
    assert_eq!(tree.read("hosts/frodo.yaml").await.unwrap(), b"one");
}

#[tokio::test]
async fn a_branch_that_is_missing_is_told_with_those_that_are_there() {
    let origin = Origin::new();
    origin.git(&["branch", "release/1"]);
    let repository = Repository::open(Settings { branch: "master".into(), ..origin.settings() }).await.unwrap();
    let error = repository.fetch().await.unwrap_err();
    assert!(matches!(&error, FetchError::NoBranch { there, .. } if *there == ["main", "release/1"]), "{error}");
    // `ls-remote` would find this by its tail.
    origin.git(&["update-ref", "refs/heads/refs/heads/master", "main"]);
    assert!(matches!(repository.fetch().await.unwrap_err(), FetchError::NoBranch { .. }));
}

#[tokio::test]
async fn an_empty_repository_and_a_missing_one_are_told_apart() {
    let origin = Origin::empty();
    let error = origin.follow().await.fetch().await.unwrap_err();
    assert!(matches!(error, FetchError::Empty { .. }), "{error}");
    let settings = Settings { url: "/nonexistent/fleet.git".into(), ..origin.settings() };
    let error = Repository::open(settings).await.unwrap().fetch().await.unwrap_err();
    assert!(matches!(error, FetchError::NoRepository { .. }), "{error}");
}

#[tokio::test]
async fn http_without_a_token_is_followed() {
    let origin = Origin::new();
    let server = Server::start(origin.folder(), Manner::Open);
    let repository = Repository::open(Settings { url: server.url("fleet/.git"), ..origin.settings() }).await.unwrap();
    assert_eq!(repository.fetch().await.unwrap(), origin.head());
    let asked = server.requests.lock().unwrap().len();
    // Nothing new: the references are asked for, and nothing else.
    assert_eq!(repository.fetch().await.unwrap(), origin.head());
    let polled: Vec<String> = server.requests.lock().unwrap().drain(asked..).collect();
    assert!(polled.len() <= 2, "{polled:?}");
}

#[tokio::test]
async fn http_with_a_token_is_followed() {
    let origin = Origin::new();
    let server = Server::start(origin.folder(), Manner::Basic(format!("deploy:{TOKEN}")));
    // A file from Windows, and the end of a line.
    let access = Access {
        user: Some("deploy".into()),
        token_file: Some(token_file(&origin, &format!("{TOKEN}\r\n"))),
        ..Access::default()
    };
    let settings = Settings { url: server.url("fleet/.git"), access, ..origin.settings() };
    let repository = Repository::open(settings).await.unwrap();
    assert_eq!(repository.fetch().await.unwrap(), origin.head());
    let second = origin.commit("hosts/frodo.yaml", "two");
    assert_eq!(repository.fetch().await.unwrap(), second);
    // Nothing that stays has it.
    let mut folders = vec![origin.path("state")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                let bytes = fs::read(entry.path()).unwrap();
                assert!(!bytes.windows(TOKEN.len()).any(|it| it == TOKEN.as_bytes()), "{}", entry.path().display());
            }
        }
    }
}

#[tokio::test]
async fn a_wrong_token_is_told_without_it_and_nobody_is_asked() {
    let origin = Origin::new();
    let server = Server::start(origin.folder(), Manner::Basic(format!("git:{TOKEN}")));
    let access = Access { token_file: Some(token_file(&origin, "canary-wrong")), ..Access::default() };
    let settings = Settings { url: server.url("fleet/.git"), access, ..origin.settings() };
    let error = Repository::open(settings.clone()).await.unwrap().fetch().await.unwrap_err();
    assert!(matches!(error, FetchError::Unauthorized { .. }), "{error}");
    assert!(!error.to_string().contains("canary"), "{error}");
    // No token at all, and one whose file is gone.
    for access in [Access::default(), Access { token_file: Some("/nonexistent".into()), ..Access::default() }] {
        let repository = Repository::open(Settings { access, ..settings.clone() }).await.unwrap();
        let error = repository.fetch().await.unwrap_err();
        assert!(matches!(error, FetchError::Unauthorized { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_sends_elsewhere_does_not_pass_the_token_on() {
    let origin = Origin::new();
    let thief = Server::start(origin.folder(), Manner::Basic(format!("git:{TOKEN}")));
    let server = Server::start(origin.folder(), Manner::Elsewhere(format!("http://localhost:{}", thief.port)));
    let access = Access { token_file: Some(token_file(&origin, TOKEN)), ..Access::default() };
    let settings = Settings { url: server.url("fleet/.git"), access, ..origin.settings() };
    let error = Repository::open(settings).await.unwrap().fetch().await.unwrap_err();
    assert!(matches!(error, FetchError::Unauthorized { .. }), "{error}");
    let heard = thief.requests.lock().unwrap();
    assert!(!heard.is_empty(), "it was not followed there at all");
    assert!(heard.iter().all(|request| !request.contains("Authorization")), "{heard:?}");
}

#[tokio::test]
async fn https_is_followed_where_the_authority_is_known() {
    let origin = Origin::new();
    let server = Server::start(origin.folder(), Manner::Basic(format!("git:{TOKEN}")));
    let certificate = origin.path("ca.pem");
    let port = http::tls(&server, &certificate);
    let url = format!("https://localhost:{port}/fleet/.git");
    let access = Access { token_file: Some(token_file(&origin, TOKEN)), ..Access::default() };
    let settings = Settings { url, access: access.clone(), ..origin.settings() };
    let error = Repository::open(settings.clone()).await.unwrap().fetch().await.unwrap_err();
    assert!(matches!(error, FetchError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");
    assert_eq!(server.requests.lock().unwrap().len(), 0, "something was sent to a server that is not known");
    let access = Access { ca_file: Some(certificate), ..access };
    let repository = Repository::open(Settings { access, ..settings }).await.unwrap();
    assert_eq!(repository.fetch().await.unwrap(), origin.head());
}

#[tokio::test]
async fn ssh_is_followed_with_the_key_and_the_known_hosts_of_the_settings() {
    let origin = Origin::new();
    // In the place of ssh: writes down what it is asked for, and runs the command for the server here.
    let ssh = origin.path("ssh");
    let script = "#!/bin/sh\nprintf '%s\\n' \"$@\" > \"${0}.arguments\"\nenv > \"${0}.environment\"\n\
                  for word in \"$@\"; do :; done\nexec sh -c \"$word\"\n";
    fs::write(&ssh, script).unwrap();
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).unwrap();
    let access = Access {
        ssh_program: Some(ssh.clone()),
        ssh_key: Some("/etc/bulla/id_ed25519".into()),
        known_hosts: Some("/etc/bulla/known_hosts".into()),
        ..Access::default()
    };
    let url = format!("ssh://git@git.example.com:2222{}", origin.url());
    let repository = Repository::open(Settings { url, access, ..origin.settings() }).await.unwrap();
    assert_eq!(repository.fetch().await.unwrap(), origin.head());
    let arguments = fs::read_to_string(ssh.with_extension("arguments")).unwrap();
    for wanted in [
        "-F\n/dev/null\n",
        "BatchMode=yes\n",
        "StrictHostKeyChecking=yes\n",
        "UserKnownHostsFile=/etc/bulla/known_hosts\n",
        "GlobalKnownHostsFile=/dev/null\n",
        "IdentitiesOnly=yes\n",
        "-i\n/etc/bulla/id_ed25519\n",
        "-p\n2222\n",
        "git@git.example.com\n",
    ] {
        assert!(arguments.contains(wanted), "{wanted} in {arguments}");
    }
    let environment = fs::read_to_string(ssh.with_extension("environment")).unwrap();
    assert!(environment.contains("GIT_CONFIG_NOSYSTEM=1\n"), "{environment}");
    assert!(!environment.contains("CARGO"), "the environment of the agent reaches git: {environment}");
}

#[tokio::test]
async fn the_real_ssh_refuses_a_server_that_nobody_knows() {
    let origin = Origin::new();
    // Says that it is a server of ssh, and no more: it is enough to see that ours starts and ends by itself.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        use std::io::Write as _;
        for mut stream in listener.incoming().flatten() {
            drop(stream.write_all(b"SSH-2.0-none\r\n"));
        }
    });
    let url = format!("ssh://git@127.0.0.1:{port}/fleet.git");
    let repository = Repository::open(Settings { url, ..origin.settings() }).await.unwrap();
    let error = repository.fetch().await.unwrap_err();
    assert!(matches!(error, FetchError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_large_repository_over_a_slow_line_takes_the_time_that_it_takes() {
    let origin = Origin::new();
    let mut noise = vec![0; 600 << 10];
    std::io::Read::read_exact(&mut fs::File::open("/dev/urandom").unwrap(), &mut noise).unwrap();
    fs::write(origin.work().join("noise"), &noise).unwrap();
    origin.git(&["add", "noise"]);
    let tip = origin.commit("hosts/frodo.yaml", "two");
    let pause = Duration::from_millis(150);
    let server = Server::start(origin.folder(), Manner::Slow(16 << 10, pause));
    let limit = Duration::from_secs(2);
    let settings = Settings { url: server.url("fleet/.git"), timeout: limit, ..origin.settings() };
    let began = std::time::Instant::now();
    assert_eq!(Repository::open(settings).await.unwrap().fetch().await.unwrap(), tip);
    assert!(began.elapsed() > limit * 2, "it was not slow");
}

#[tokio::test]
async fn a_server_that_hangs_is_left_alone_in_time() {
    let origin = Origin::new();
    let server = Server::start(origin.folder(), Manner::Hung);
    let url = server.url("fleet/.git");
    let settings = Settings { url: url.clone(), timeout: Duration::from_secs(2), ..origin.settings() };
    let error = Repository::open(settings).await.unwrap().fetch().await.unwrap_err();
    assert!(matches!(error, FetchError::Timeout { .. }), "{error}");
    while processes_with(&url) > 0 {
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_fetch_that_is_given_up_leaves_nothing_running() {
    let origin = Origin::new();
    let server = Server::start(origin.folder(), Manner::Hung);
    let url = server.url("fleet/.git");
    let repository = Repository::open(Settings { url: url.clone(), ..origin.settings() }).await.unwrap();
    let fetch = async {
        let watch = async {
            // git, and its helper for http.
            while processes_with(&url) < 2 {
                sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            ended = repository.fetch() => panic!("{ended:?}"),
            () = watch => {}
        }
    };
    timeout(Duration::from_secs(60), fetch).await.unwrap();
    while processes_with(&url) > 0 {
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_repository_of_another_user_is_followed_only_where_the_settings_say_so() {
    assert!(rustix::process::geteuid().is_root(), "only root can give a folder away: run this test as root");
    let origin = Origin::new();
    for path in [origin.work().to_path_buf(), origin.work().join(".git")] {
        std::os::unix::fs::chown(path, Some(65534), Some(65534)).unwrap();
    }
    let error = origin.follow().await.fetch().await.unwrap_err();
    assert!(matches!(error, FetchError::Owner { .. }), "{error}");
    let access = Access { trust_owner: true, ..Access::default() };
    let repository = Repository::open(Settings { access, ..origin.settings() }).await.unwrap();
    assert_eq!(repository.fetch().await.unwrap().as_str().len(), 40);
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_refused_at_once() {
    let origin = Origin::new();
    let open = |settings| async { Repository::open(settings).await.unwrap_err() };
    let error = open(Settings { url: "ext::sh -c id".into(), ..origin.settings() }).await;
    assert!(matches!(error, OpenError::Remote(_)), "{error}");
    let error = open(Settings { branch: "--upload-pack=id".into(), ..origin.settings() }).await;
    assert!(matches!(error, OpenError::Branch { .. }), "{error}");
    let error = open(Settings { folder: "relative".into(), ..origin.settings() }).await;
    assert!(matches!(error, OpenError::Folder { .. }), "{error}");
    let access = Access { token_file: Some("/etc/token".into()), ..Access::default() };
    let error = open(Settings { url: "http://git.example.com/x".into(), access, ..origin.settings() }).await;
    assert!(matches!(error, OpenError::Setting { .. }), "{error}");
}
