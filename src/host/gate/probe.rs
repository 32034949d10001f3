//! One look at a service from outside: a request, a connection, a command.

use std::time::Duration;

use bstr::ByteSlice as _;
use bulla_crds::host::{HealthCheck, HttpCheck};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, Url};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::host::command::{Command, Scrubber};

/// How long one look may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much of an answer is read, in bytes.
const BODY: usize = 64 << 10;
/// A file of certificates is smaller than this, in bytes.
const MOST_CERTIFICATES: u64 = 1 << 20;

/// What is looked at.
pub(super) struct Probe<'a> {
    http: Option<(Client, Url, HeaderMap, &'a HttpCheck)>,
    tcp: Option<&'a str>,
    command: &'a [String],
}

impl<'a> Probe<'a> {
    /// Nothing but the unit itself if there is no check.
    pub(super) async fn new(check: Option<&'a HealthCheck>) -> Result<Self, String> {
        let Some(check) = check else { return Ok(Self { http: None, tcp: None, command: &[] }) };
        let http = match &check.http {
            Some(http) => Some(prepared(http).await?),
            None => None,
        };
        Ok(Self { http, tcp: check.tcp.as_deref(), command: &check.command })
    }

    /// Looks once. Says what is wrong.
    pub(super) async fn check(&self, scrubber: &Scrubber) -> Result<(), String> {
        if let Some(address) = self.tcp {
            match timeout(PATIENCE, TcpStream::connect(address)).await {
                Ok(Ok(_connection)) => {}
                Ok(Err(error)) => return Err(format!("no connection to {address}: {error}")),
                Err(_elapsed) => return Err(format!("no connection to {address} within {} s", PATIENCE.as_secs())),
            }
        }
        if let Some((client, url, headers, check)) = &self.http {
            timeout(PATIENCE, asked(client, url, headers, check))
                .await
                .map_err(|_elapsed| format!("{url} did not answer within {} s", PATIENCE.as_secs()))??;
        }
        if !self.command.is_empty() {
            let command = Command::new(self.command).within(PATIENCE);
            command.succeeds(scrubber).await.map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

async fn prepared(check: &HttpCheck) -> Result<(Client, Url, HeaderMap, &HttpCheck), String> {
    let url = Url::parse(&check.url).map_err(|error| format!("{:?} is not an address: {error}", check.url))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("{:?} is neither http nor https", check.url));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in &check.headers {
        let header = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
        let (name, value) = header.ok_or_else(|| format!("header {name:?} cannot be sent"))?;
        headers.append(name, value);
    }
    // A new connection for every look, as a new client would have: an old one may lead to the old process.
    let mut builder = Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .timeout(PATIENCE)
        .user_agent("bulla");
    if let Some(ca) = &check.ca {
        builder = builder.tls_certs_only(authorities(ca).await?);
    } else if url.scheme() == "http" {
        // A machine without certificates of authorities is no reason to refuse.
        builder = builder.tls_certs_only(Vec::new());
    }
    let client = builder.build().map_err(|error| format!("no HTTP client: {error}"))?;
    Ok((client, url, headers, check))
}

/// The certificates of `health.http.ca`, a path or PEM. The path is the repository's: nothing of what is there is said.
async fn authorities(ca: &str) -> Result<Vec<Certificate>, String> {
    let is_path = ca.starts_with('/');
    let read = if is_path {
        let path = ca.to_owned();
        let reading = tokio::task::spawn_blocking(move || file_of_certificates(&path));
        reading.await.map_err(|_| format!("ca: {ca} was not read"))??
    } else {
        ca.as_bytes().to_vec()
    };
    match Certificate::from_pem_bundle(&read) {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) | Err(_) => Err(format!("ca: {} holds no certificate in PEM", if is_path { ca } else { "the document" })),
    }
}

fn file_of_certificates(path: &str) -> Result<Vec<u8>, String> {
    let unreadable = |error| format!("ca: {path} cannot be read: {error}");
    let about = std::fs::metadata(path).map_err(unreadable)?;
    // Neither a pipe, where a reader waits, nor a disk.
    if !about.is_file() || about.len() > MOST_CERTIFICATES {
        return Err(format!("ca: {path} is no file of certificates"));
    }
    std::fs::read(path).map_err(unreadable)
}

async fn asked(client: &Client, url: &Url, headers: &HeaderMap, check: &HttpCheck) -> Result<(), String> {
    let wrong = |error: reqwest::Error| {
        let error = error.without_url();
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        format!("{url} did not answer: {text}")
    };
    let mut answer = client.get(url.clone()).headers(headers.clone()).send().await.map_err(wrong)?;
    let status = answer.status().as_u16();
    let is_well = if check.status.is_empty() { (200..400).contains(&status) } else { check.status.contains(&status) };
    if !is_well {
        return Err(format!("{url} answered {status}"));
    }
    let Some(wanted) = check.contains.as_deref() else { return Ok(()) };
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(wrong)? {
        let room = BODY.saturating_sub(body.len());
        body.extend_from_slice(chunk.get(..chunk.len().min(room)).unwrap_or_default());
        if body.contains_str(wanted) {
            return Ok(());
        }
        if body.len() >= BODY {
            break;
        }
    }
    if body.contains_str(wanted) { Ok(()) } else { Err(format!("{url} answered without {wanted:?}")) }
}
