//! A small HTTP/1.1 proxy between a client and a real server: it counts the requests and makes faults.
//!
//! It knows nothing of HTTP but heads, `Content-Length` and that a connection carries one request, which is what the
//! servers of this test bed and their clients need. Everything in it is `std` and a thread a connection, so it works
//! in any runtime and outlives none: it ends with the [`Proxy`].

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// A request that came through.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The operation for AWS (`GetSecretValue`, `AssumeRole`), method and path for others (`GET /v1/kv/data/a`).
    pub(crate) name: String,
    /// The headers as they came, one a line, without the request line.
    pub(crate) headers: String,
    /// The body as text.
    pub(crate) body: String,
}

impl Call {
    /// The value of a header, by its name in any case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// What happens to a request instead of, or before, being passed on.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// This answer, with the backend not asked: status, header lines, body.
    Answer(u16, Vec<String>, String),
    /// Passed on after so long.
    Slow(Duration),
    /// The connection is closed without an answer.
    Closed,
}

impl Fault {
    /// A plain answer.
    pub(crate) fn status(status: u16) -> Self {
        Self::Answer(status, Vec::new(), String::new())
    }

    /// An error in the words of AWS's JSON services.
    pub(crate) fn aws(status: u16, code: &str, message: &str) -> Self {
        let body = serde_json::json!({"__type": code, "message": message, "Message": message}).to_string();
        Self::Answer(status, vec!["Content-Type: application/x-amz-json-1.1".to_owned()], body)
    }

    /// A success in the words of AWS's JSON services.
    pub(crate) fn aws_answer(body: &serde_json::Value) -> Self {
        Self::Answer(200, vec!["Content-Type: application/x-amz-json-1.1".to_owned()], body.to_string())
    }

    /// The usual throttling error of AWS.
    pub(crate) fn throttling() -> Self {
        Self::aws(400, "ThrottlingException", "Rate exceeded")
    }
}

type Applies = Box<dyn Fn(&Call) -> bool + Send>;

struct Rule {
    applies: Applies,
    /// How often still; `None` is until told otherwise.
    left: Option<usize>,
    fault: Fault,
}

#[derive(Default)]
struct State {
    calls: Mutex<Vec<Call>>,
    rules: Mutex<Vec<Rule>>,
    under_way: AtomicUsize,
    most_at_once: AtomicUsize,
    ended: AtomicBool,
}

/// A proxy on a port of its own of 127.0.0.1; it ends when dropped.
pub(crate) struct Proxy {
    port: u16,
    state: Arc<State>,
}

impl Proxy {
    /// A proxy that passes everything on to `backend`.
    pub(crate) fn to(backend: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port for the proxy");
        let port = listener.local_addr().expect("the proxy's port").port();
        let state = Arc::new(State::default());
        let serving = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming() {
                if serving.ended.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(client) = client else { continue };
                let state = Arc::clone(&serving);
                // A connection that breaks is the client's to notice.
                thread::spawn(move || state.serve(client, backend).ok());
            }
        });
        Self { port, state }
    }

    /// The URL, `http://127.0.0.1:<port>`.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Every request so far, faulted ones too, in the order of arrival.
    pub(crate) fn calls(&self) -> Vec<Call> {
        lock(&self.state.calls).clone()
    }

    /// The names of [`Self::calls`].
    pub(crate) fn names(&self) -> Vec<String> {
        self.calls().into_iter().map(|call| call.name).collect()
    }

    /// How many requests of that name came.
    pub(crate) fn count(&self, name: &str) -> usize {
        lock(&self.state.calls).iter().filter(|call| call.name == name).count()
    }

    /// Counts from zero again.
    pub(crate) fn forget(&self) {
        lock(&self.state.calls).clear();
        self.state.most_at_once.store(0, Ordering::SeqCst);
    }

    /// The highest number of requests that were under way together.
    pub(crate) fn most_at_once(&self) -> usize {
        self.state.most_at_once.load(Ordering::SeqCst)
    }

    /// Makes the next `times` requests (`None`: all, until [`Self::well`]) whose name begins with `name` fail so.
    /// The rule that was given first wins.
    pub(crate) fn fault(&self, name: &str, times: Option<usize>, fault: Fault) {
        let name = name.to_owned();
        self.fault_where(times, fault, move |call| call.name.starts_with(&name));
    }

    /// Like [`Self::fault`], for the requests that `applies` picks.
    pub(crate) fn fault_where(
        &self,
        times: Option<usize>,
        fault: Fault,
        applies: impl Fn(&Call) -> bool + Send + 'static,
    ) {
        lock(&self.state.rules).push(Rule { applies: Box::new(applies), left: times, fault });
    }

    /// Ends all faults.
    pub(crate) fn well(&self) {
        lock(&self.state.rules).clear();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for the next connection.
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok();
    }
}

impl State {
    fn serve(&self, mut client: TcpStream, backend: SocketAddr) -> io::Result<()> {
        client.set_read_timeout(Some(Duration::from_secs(60)))?;
        let Some((head, body)) = read_request(&mut client)? else { return Ok(()) };
        let call = describe(&head, &body);
        let fault = self.fault_for(&call);
        lock(&self.calls).push(call);
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        let done = match fault {
            Some(Fault::Closed) => client.shutdown(Shutdown::Both),
            Some(Fault::Answer(status, headers, body)) => answer(&mut client, status, &headers, &body),
            Some(Fault::Slow(wait)) => {
                thread::sleep(wait);
                pass_on(client, backend, &head, &body)
            }
            None => pass_on(client, backend, &head, &body),
        };
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        done
    }

    fn fault_for(&self, call: &Call) -> Option<Fault> {
        let mut rules = lock(&self.rules);
        let rule = rules.iter_mut().find(|rule| rule.left != Some(0) && (rule.applies)(call))?;
        rule.left = rule.left.map(|left| left - 1);
        Some(rule.fault.clone())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Head (with its empty line) and body of one request; `None` where the client closed instead of asking.
fn read_request(client: &mut TcpStream) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 16 * 1024];
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        match client.read(&mut chunk)? {
            0 => return Ok(None),
            read => bytes.extend_from_slice(&chunk[..read]),
        }
    };
    let mut body = bytes.split_off(end);
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
    };
    assert!(header("transfer-encoding").is_none(), "the test proxy does not know chunked requests");
    if header("expect").is_some() {
        client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let length = header("content-length").map_or(0, |length| length.parse().expect("a Content-Length"));
    while body.len() < length {
        match client.read(&mut chunk)? {
            0 => return Ok(None),
            read => body.extend_from_slice(&chunk[..read]),
        }
    }
    Ok(Some((head, body)))
}

fn describe(head: &str, body: &[u8]) -> Call {
    let (request, headers) = head.split_once("\r\n").unwrap_or((head, ""));
    let mut call = Call {
        name: request.rsplit_once(' ').map_or(request, |(name, _version)| name).to_owned(),
        headers: headers.trim_end().replace("\r\n", "\n"),
        body: String::from_utf8_lossy(body).into_owned(),
    };
    let operation = call.header("x-amz-target").and_then(|target| target.rsplit('.').next()).map(str::to_owned);
    let action = call.body.split('&').find_map(|pair| pair.strip_prefix("Action=")).map(str::to_owned);
    if let Some(name) = operation.or(action) {
        call.name = name;
    }
    call
}

fn pass_on(mut client: TcpStream, backend: SocketAddr, head: &str, body: &[u8]) -> io::Result<()> {
    let mut server = TcpStream::connect(backend)?;
    let kept = head.trim_end().split("\r\n").filter(|line| {
        let name = line.split(':').next().unwrap_or_default();
        !name.eq_ignore_ascii_case("connection") && !name.eq_ignore_ascii_case("expect")
    });
    let head = kept.collect::<Vec<_>>().join("\r\n") + "\r\nConnection: close\r\n\r\n";
    server.write_all(&[head.as_bytes(), body].concat())?;
    // The server says in its answer that it closes the connection, so the client takes a new one for what comes next.
    io::copy(&mut server, &mut client)?;
    client.shutdown(Shutdown::Both)
}

fn answer(client: &mut TcpStream, status: u16, headers: &[String], body: &str) -> io::Result<()> {
    let mut lines = vec![format!("HTTP/1.1 {status} Faulted")];
    lines.extend(headers.iter().cloned());
    lines.push(format!("Content-Length: {}", body.len()));
    lines.push("Connection: close".to_owned());
    client.write_all(format!("{}\r\n\r\n{body}", lines.join("\r\n")).as_bytes())?;
    client.shutdown(Shutdown::Both)
}
