//! `git http-backend` behind a small server, as far as git needs one, and its faults.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// What the server does to a request.
#[derive(Clone, Debug)]
pub(crate) enum Manner {
    /// Answers everybody.
    Open,
    /// Answers whoever has this `user:password`.
    Basic(String),
    /// Takes the request and says nothing for ever.
    Hung,
    /// Sends so many bytes of the body of a pack, and then nothing for ever.
    Stalls(usize),
    /// Sends so many bytes of the body, and waits, and more.
    Slow(usize, Duration),
    /// Sends to another server.
    Elsewhere(String),
}

/// A server; its thread ends with the process.
pub(crate) struct Server {
    pub(crate) port: u16,
    /// The requests: their first lines and headers.
    pub(crate) requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves every repository below `root`.
    pub(crate) fn start(root: &Path, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::default();
        let (root, heard) = (root.to_path_buf(), Arc::clone(&requests));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (root, manner, heard) = (root.clone(), manner.clone(), Arc::clone(&heard));
                // A client that is killed breaks off.
                thread::spawn(move || drop(answer(&stream, &root, &manner, &heard)));
            }
        });
        Self { port, requests }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }
}

fn answer(
    stream: &TcpStream,
    root: &PathBuf,
    manner: &Manner,
    heard: &Mutex<Vec<String>>,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_owned());
    }
    if head.is_empty() {
        return Ok(());
    }
    heard.lock().unwrap().push(head.join("\n"));
    let header = |name: &str| {
        let found =
            head.iter().filter_map(|line| line.split_once(": ")).find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_owned()).unwrap_or_default()
    };
    let mut words = head.first().map(String::as_str).unwrap_or_default().split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut out = stream;
    match manner {
        Manner::Hung => loop {
            thread::park();
        },
        Manner::Elsewhere(url) => {
            write!(
                out,
                "HTTP/1.1 302 Found\r\nLocation: {url}{target}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )?;
            return Ok(());
        }
        Manner::Basic(secret) if header("Authorization") != format!("Basic {}", BASE64_STANDARD.encode(secret)) => {
            write!(
                out,
                "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"\r\nContent-Length: 0\r\n\
                 Connection: close\r\n\r\n"
            )?;
            return Ok(());
        }
        Manner::Open | Manner::Basic(_) | Manner::Stalls(_) | Manner::Slow(..) => {}
    }
    let mut body = Vec::new();
    if header("Transfer-Encoding") == "chunked" {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size)?;
            let size = usize::from_str_radix(size.trim(), 16)?;
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk)?;
            body.extend_from_slice(&chunk[..size]);
            if size == 0 {
                break;
            }
        }
    } else {
        body.resize(header("Content-Length").parse().unwrap_or_default(), 0);
        reader.read_exact(&mut body)?;
    }
    let output = backend(root, method, path, query, &header, &body)?;
    let split = output.windows(4).position(|it| it == b"\r\n\r\n").ok_or("no head")?;
    let (head, body) = (String::from_utf8_lossy(&output[..split]).into_owned(), &output[split + 4..]);
    let status = head.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK").to_owned();
    write!(out, "HTTP/1.1 {status}\r\n{head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    if let Manner::Stalls(after) = manner
        && body.len() > *after
    {
        out.write_all(&body[..*after])?;
        out.flush()?;
        loop {
            thread::park();
        }
    }
    if let Manner::Slow(bytes, pause) = manner {
        for part in body.chunks(*bytes) {
            out.write_all(part)?;
            out.flush()?;
            thread::sleep(*pause);
        }
        return Ok(());
    }
    out.write_all(body)?;
    Ok(())
}

fn backend(
    root: &PathBuf,
    method: &str,
    path: &str,
    query: &str,
    header: &dyn Fn(&str) -> String,
    body: &[u8],
) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut command = Command::new("git");
    command.arg("http-backend").env("GIT_PROJECT_ROOT", root).env("GIT_HTTP_EXPORT_ALL", "1");
    command.env("REQUEST_METHOD", method).env("PATH_INFO", path).env("QUERY_STRING", query);
    command.env("CONTENT_TYPE", header("Content-Type")).env("CONTENT_LENGTH", body.len().to_string());
    command.env("HTTP_CONTENT_ENCODING", header("Content-Encoding")).env("GIT_PROTOCOL", header("Git-Protocol"));
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("REMOTE_ADDR", "127.0.0.1");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut input = child.stdin.take().ok_or("no input")?;
    let body = body.to_vec();
    let writer = thread::spawn(move || input.write_all(&body));
    let output = child.wait_with_output()?;
    // It may end before it has read all.
    drop(writer.join());
    Ok(output.stdout)
}

/// TLS in front of a server, with a certificate for `localhost` that signs itself; returns the port.
pub(crate) fn tls(server: &Server, certificate: &Path) -> u16 {
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;
    use tokio_rustls::rustls::{ServerConfig, crypto::aws_lc_rs};
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    fs::write(certificate, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let (port, behind) = (listener.local_addr().unwrap().port(), server.port);
    tokio::spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut inside = tokio::net::TcpStream::connect(("127.0.0.1", behind)).await.unwrap();
                if let Ok(mut outside) = acceptor.accept(stream).await {
                    drop(tokio::io::copy_bidirectional(&mut outside, &mut inside).await);
                }
            });
        }
    });
    port
}
