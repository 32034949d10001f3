//! AWS's Secrets Manager, Parameter Store, STS and IAM as the real HTTP service `moto`, in a process of its own.
//!
//! What moto does not do like AWS is said at the tests that would need it; those put AWS's own answer into a
//! [`Proxy`]. Secrets of one region are not seen in another: a test that looks at everything takes a region of its own.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use super::leash::{End, Leash};
use super::ports::free_port;
use super::proxy::Proxy;
use super::servers;

/// Enough for a cold start of Python beside a busy compiler.
const START: Duration = Duration::from_secs(60);

/// A running moto; dropping it ends the process.
#[derive(Debug)]
pub(crate) struct Moto {
    leash: Leash,
    port: u16,
}

impl Moto {
    /// The one that the tests of this binary share, started by the first who asks. Everybody is let in.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Moto> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Starts one of one's own and waits until it answers (about 1 s). Everybody is let in.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one that lets `open_calls` calls pass and then asks IAM about each, signature and policies included.
    pub(crate) fn start_guarded(open_calls: usize) -> Self {
        Self::start_with(&[("INITIAL_NO_AUTH_ACTION_COUNT", &open_calls.to_string())])
    }

    /// Where it answers.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// The URL, `http://127.0.0.1:<port>`, for every service.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address())
    }

    /// A proxy of one's own in front of it, which counts and makes faults.
    pub(crate) fn proxy(&self) -> Proxy {
        Proxy::to(self.address())
    }

    /// Everything that it has printed, one line a request among it.
    pub(crate) fn log(&self) -> String {
        self.leash.log()
    }

    fn start_with(environment: &[(&str, &str)]) -> Self {
        let mut said = String::new();
        // A free port may be taken before the server binds it: then it starts afresh.
        for _ in 0..5 {
            match Self::attempt(environment) {
                Ok(server) => return server,
                Err(log) => said = log,
            }
        }
        panic!("moto did not start in 5 attempts; {said}");
    }

    fn attempt(environment: &[(&str, &str)]) -> Result<Self, String> {
        let folder: PathBuf = tempfile::Builder::new().prefix("bulla-moto-").tempdir().expect("a folder").keep();
        let port = free_port();
        let mut command = Command::new(servers::path("moto-server"));
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).current_dir(&folder);
        command.envs(environment.iter().copied()).env("AWS_EC2_METADATA_DISABLED", "true").env("PYTHONUNBUFFERED", "1");
        let end = End { remove: Some(&folder), ..End::default() };
        let mut this = Self { leash: Leash::spawn("moto", &command, &folder.join("moto.log"), end), port };
        let began = Instant::now();
        while TcpStream::connect(this.address()).is_err() {
            if this.leash.ended().is_some() || began.elapsed() > START {
                return Err(this.leash.log_tail());
            }
            thread::sleep(Duration::from_millis(20));
        }
        // Somebody answers: it is ours unless ours could not have the port.
        thread::sleep(Duration::from_millis(50));
        if this.leash.ended().is_some() { Err(this.leash.log_tail()) } else { Ok(this) }
    }
}
