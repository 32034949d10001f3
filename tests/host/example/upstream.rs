//! The application behind the proxy: it answers those who have its token.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Listens until the process ends.
pub(crate) struct Upstream {
    pub(crate) port: u16,
    tokens: Arc<Mutex<Vec<String>>>,
}

impl Upstream {
    /// Takes one token at first.
    pub(crate) fn start(token: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let tokens = Arc::new(Mutex::new(vec![token.to_owned()]));
        let known = Arc::clone(&tokens);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let known = Arc::clone(&known);
                thread::spawn(move || serve(&stream, &known));
            }
        });
        Self { port, tokens }
    }

    /// Takes this token too.
    pub(crate) fn admit(&self, token: &str) {
        self.tokens.lock().unwrap().push(token.to_owned());
    }
}

/// One request: the number of its token, or 401.
fn serve(stream: &TcpStream, tokens: &Mutex<Vec<String>>) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let mut token = String::new();
    for line in BufReader::new(stream).lines() {
        let line = line.ok()?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("authorization")
        {
            token = value.strip_prefix("Bearer ")?.to_owned();
        }
    }
    let number = tokens.lock().unwrap().iter().position(|known| *known == token);
    let (status, body) = match number {
        Some(number) => ("200 OK", format!("token {number}")),
        None => ("401 Unauthorized", "who are you?".to_owned()),
    };
    let length = body.len();
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    let mut stream = stream;
    stream.write_all(answer.as_bytes()).ok()
}
