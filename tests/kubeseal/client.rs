//! Plain HTTP to the server under test, down to single bytes.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Reply {
    /// A header's value, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?} is not JSON"))
    }
}

/// Sends a request and reads its answer.
pub(crate) fn call(port: u16, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() || method == "POST" {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    raw(port, &[head.as_bytes(), b"\r\n", body].concat()).unwrap_or_else(|| panic!("{method} {path} has no answer"))
}

/// Sends bytes as they are; `None` if the connection is closed without an answer.
pub(crate) fn raw(port: u16, bytes: &[u8]) -> Option<Reply> {
    let mut stream = connect(port);
    // A server that has heard enough closes early: what it said counts.
    drop(stream.write_all(bytes));
    read(&mut stream)
}

pub(crate) fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// Reads an answer to the end of the connection.
pub(crate) fn read(stream: &mut TcpStream) -> Option<Reply> {
    let mut bytes = Vec::new();
    // Closed with unread bytes of ours the connection is reset after the answer.
    drop(stream.read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Reply { status, head: head.to_owned(), body: body.to_owned() })
}
