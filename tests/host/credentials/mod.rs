//! Credentials that a real systemd asks for on the agent's socket.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;

use bulla::host::command::Scrubber;
use bulla::host::credentials::{self, Credentials, SOCKET};
use bulla::host::desired::{Credential, Unit};
use bulla::host::units::{Active, Asked, CarriedOut, Manager, plan};
use bulla::secret::Plaintext;

use crate::units::machine::{Machine, wanting};

const CANARY: &str = "canary-credential-5d1f";

fn credential(unit: &str, name: &str, value: &str) -> Credential {
    let value = Some(Plaintext::copy_of(value.as_bytes()));
    Credential { unit: unit.to_owned(), name: name.to_owned(), value }
}

/// Says how long its credential is and keeps its hash-free proof: whether it is the one that is expected.
fn unit(name: &str) -> String {
    format!(
        "[Service]\nType=exec\nLoadCredential={name}:/run/{SOCKET}\n\
         ExecStart=/bin/sh -c 'wc -c < \"$CREDENTIALS_DIRECTORY/{name}\" > /run/{name}.size; \
         tail -c 4 \"$CREDENTIALS_DIRECTORY/{name}\" > /run/{name}.end; touch /run/{name}.done; exec sleep 1000'\n"
    )
}

async fn start(manager: &Manager, unit: &str, changed: &[(String, String)]) -> CarriedOut {
    let units = [Unit { name: unit.to_owned(), enable: None, start: Some(true) }];
    let plan = plan(&Asked { services: &[], units: &units, changes: &[], credentials: changed });
    manager.carry_out(&plan, false, &Scrubber::default()).await
}

async fn read_when_done(folder: &Path, name: &str) -> (String, String) {
    for _ in 0..500 {
        if folder.join(format!("{name}.done")).exists() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    fs::remove_file(folder.join(format!("{name}.done"))).unwrap();
    let read = |what: &str| fs::read_to_string(folder.join(format!("{name}.{what}"))).unwrap().trim().to_owned();
    (read("size"), read("end"))
}

#[tokio::test]
async fn systemd_gets_a_credential_for_the_unit_that_may_have_it_and_no_file_has_it() {
    let (token, other) = (unit("token"), unit("other"));
    if wanting().is_some() {
        return;
    }
    let machine = Machine::start(&[("app.service", &token), ("thief.service", &token), ("odd.service", &other)]).await;
    let manager = machine.manager().await;
    let credentials = Credentials::default();
    let server = tokio::spawn(credentials::listen(&machine.run(), credentials.clone()).unwrap());
    let about = fs::symlink_metadata(machine.run().join(SOCKET)).unwrap();
    assert!(about.file_type().is_socket() && about.permissions().mode() & 0o777 == 0o600);
    credentials.replace(vec![credential("app", "token", CANARY)]);

    let done = start(&manager, "app.service", &[]).await;
    assert!(done.failures.is_empty(), "{:?}\n{}", done.failures, machine.said());
    assert_eq!(read_when_done(&machine.run(), "token").await, (CANARY.len().to_string(), "5d1f".to_owned()));

    // A unit, or a name, that is not declared does not start: not with an empty value either.
    for name in ["thief.service", "odd.service"] {
        let done = start(&manager, name, &[]).await;
        let state = manager.state(name, None).await.unwrap();
        assert!(!done.failures.is_empty() || state.active == Active::Failed, "{name} {state}");
        assert_eq!(state.exit, Some(243), "systemd's own code for credentials: {state}");
    }
    assert!(!machine.run().join("token.done").exists() && !machine.run().join("other.done").exists());

    // A changed one reaches its unit by a restart.
    let new = vec![credential("app.service", "token", "another-value-77aa")];
    let changed = [("app.service".to_owned(), "token".to_owned())];
    credentials.replace(new);
    let done = start(&manager, "app.service", &changed).await;
    assert_eq!(done.units(), ["app.service"]);
    assert_eq!(read_when_done(&machine.run(), "token").await.1, "77aa");

    server.abort();
    let found =
        std::process::Command::new("grep").args(["-rlaF", "--devices=skip", CANARY]).arg(machine.run()).output();
    assert!(found.unwrap().stdout.is_empty(), "the value is in a file");
}

#[tokio::test]
async fn strangers_get_nothing() {
    use tokio::io::AsyncReadExt as _;
    let folder = tempfile::tempdir().unwrap();
    let credentials = Credentials::default();
    credentials.replace(vec![credential("app.service", "token", CANARY)]);
    let server = tokio::spawn(credentials::listen(folder.path(), credentials).unwrap());
    let socket = folder.path().join(SOCKET);
    // Our own user, from an address that is not systemd's.
    let mut stream = tokio::net::UnixStream::connect(&socket).await.unwrap();
    let mut got = Vec::new();
    stream.read_to_end(&mut got).await.unwrap();
    assert!(got.is_empty());
    // Another user cannot connect, and is not answered where the file's mode does not stop it.
    let script = r#"import socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind("\0deadbeef%d/unit/app.service/token" % int(sys.argv[2]))
try:
    s.connect(sys.argv[1])
    print(s.makefile("rb").read())
except PermissionError:
    print("no")
"#;
    let at = socket.clone();
    // Not a wrapper in the home of root, which nobody else may run.
    let found =
        std::process::Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().unwrap();
    let own = String::from_utf8(found.stdout).unwrap().trim().to_owned();
    let python = if Path::new("/usr/bin/python3").exists() { "/usr/bin/python3".to_owned() } else { own };
    let ask = move |user: u32, number: &str| {
        let mut command = std::process::Command::new("setpriv");
        let id = user.to_string();
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups", &python, "-c", script]).arg(&at);
        let output = command.arg(format!("{number}{}", std::process::id())).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let answers = tokio::task::spawn_blocking(move || {
        let kept_out = ask(65534, "1");
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
        (kept_out, ask(65534, "2"), ask(0, "3"))
    });
    let (kept_out, not_answered, root) = answers.await.unwrap();
    assert_eq!((kept_out.as_str(), not_answered.as_str()), ("no", "b''"));
    assert_eq!(root, format!("b'{CANARY}'"));
    server.abort();
}
