//! An application that knows nothing of Bulla: it reads its configuration when it is told to, and says over HTTP
//! whether it is well.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::failure::{OrFail as _, Outcome};

/// Its database gives it no more connections than this.
const MOST: usize = 100;

/// The application.
pub(super) struct App {
    address: SocketAddr,
    reloads: PathBuf,
    loaded: Arc<Mutex<Loaded>>,
}

/// What it works with.
#[derive(Default)]
struct Loaded {
    times: usize,
    configuration: String,
}

impl App {
    /// Starts it. It reads `configuration` again after each line that is added to `reloads`.
    pub(super) fn start(configuration: &Path, reloads: &Path) -> Outcome<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).or_usage("listening on 127.0.0.1")?;
        let app = Self { address: listener.local_addr()?, reloads: reloads.to_path_buf(), loaded: Arc::default() };
        let (loaded, reloads, configuration) =
            (Arc::clone(&app.loaded), reloads.to_path_buf(), configuration.to_path_buf());
        std::thread::Builder::new().name("application".to_owned()).spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut loaded = loaded.lock().unwrap_or_else(PoisonError::into_inner);
                let times = lines(&reloads);
                if times > loaded.times {
                    *loaded = Loaded { times, configuration: fs::read_to_string(&configuration).unwrap_or_default() };
                }
                // Who asks and goes away is not answered.
                drop(answer(stream, is_well(&loaded.configuration)));
            }
        })?;
        Ok(app)
    }

    /// How often it was told to reload.
    pub(super) fn reloads(&self) -> usize {
        lines(&self.reloads)
    }

    /// The command that tells it.
    pub(super) fn reload_command(&self) -> String {
        format!("[sh, -c, \"echo reload >> {}\"]", self.reloads.display())
    }

    /// Where it says whether it is well.
    pub(super) fn url(&self) -> String {
        format!("http://{}/health", self.address)
    }

    /// Whether it is well, over HTTP, with a configuration that has this text in it.
    pub(super) fn works_with(&self, text: &str) -> Outcome<bool> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n")?;
        let mut said = String::new();
        stream.read_to_string(&mut said)?;
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(said.starts_with("HTTP/1.1 200") && loaded.configuration.contains(text))
    }
}

fn lines(file: &Path) -> usize {
    fs::read_to_string(file).map_or(0, |text| text.lines().count())
}

fn is_well(configuration: &str) -> bool {
    let pool = configuration.lines().find_map(|line| line.strip_prefix("pool = "));
    pool.and_then(|pool| pool.trim().parse::<usize>().ok()).is_some_and(|pool| pool <= MOST)
}

fn answer(mut stream: TcpStream, is_well: bool) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let (mut request, mut some) = (Vec::new(), [0; 1024]);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < 16 * 1024 {
        match stream.read(&mut some)? {
            0 => break,
            read => request.extend_from_slice(&some[..read]),
        }
    }
    let said = if is_well { "200 OK" } else { "503 Service Unavailable" };
    stream.write_all(format!("HTTP/1.1 {said}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes())
}
