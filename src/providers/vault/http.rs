//! One request to the server, its answer in wiped memory.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, Identity, Method, Url, redirect};
use zeroize::{Zeroize as _, Zeroizing};

use super::settings::ClientCertificate;
use super::{Auth, Settings, misconfigured};
use crate::providers::{Cause, Gate, ProviderError};
use crate::secret::Plaintext;

const CONNECT: Duration = Duration::from_secs(10);
/// Shorter than the gate's patience, so that the error says what was waited for.
const ANSWER: Duration = Duration::from_secs(25);
/// Vault stores values of 1 MiB at most unless told otherwise, and takes no request above 32 MiB.
const LONGEST_BODY: usize = 32 * 1024 * 1024;
/// A standby sends to the active node; whoever sends on and on is broken.
const REDIRECTS: usize = 2;

const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");

/// The connection to one server.
pub(super) struct Http {
    client: Client,
    base: Url,
    namespace: Option<HeaderValue>,
    auth_namespace: Option<HeaderValue>,
    gate: Gate,
    retries: u32,
    retry_interval: Duration,
}

/// What is asked.
pub(super) struct Call<'a> {
    /// The name in metrics.
    pub(super) name: &'static str,
    pub(super) method: Method,
    /// Below `/v1/`, not encoded.
    pub(super) path: &'a str,
    pub(super) query: Option<(&'a str, &'a str)>,
    pub(super) token: Option<&'a HeaderValue>,
    pub(super) body: Option<Bytes>,
    /// The namespace of the login instead of that of the secrets.
    pub(super) is_auth: bool,
}

/// What came back, whatever its status.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Plaintext,
}

impl Http {
    /// # Errors
    /// [`Cause::Misconfigured`] where an address, a certificate or a header cannot be used.
    pub(super) fn new(settings: &Settings, gate: Gate) -> Result<Self, ProviderError> {
        let server = settings.server.trim();
        let base = Url::parse(server).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let base = base.ok_or_else(|| misconfigured(format!("{server:?} is not the address of a Vault server")))?;
        let namespace = settings.namespace.as_deref().map(namespace_header).transpose()?;
        let auth_namespace = settings.auth_namespace.as_deref().map(namespace_header).transpose()?;
        let client = client(settings, &base)?;
        Ok(Self {
            client,
            base,
            auth_namespace: auth_namespace.or_else(|| namespace.clone()),
            namespace,
            gate,
            retries: settings.retries,
            retry_interval: settings.retry_interval,
        })
    }

    /// Sends it through the gate, again where that makes sense and the settings say so. A status of refusal is an
    /// answer, except those that mean that the server cannot serve now.
    pub(super) async fn send(&self, call: &Call<'_>) -> Result<Answer, ProviderError> {
        let mut left = self.retries;
        loop {
            let error = match self.gate.call(call.name, self.once(call)).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            // A closed gate answers at once: to knock again is no try.
            if left == 0 || !error.is_outage() || self.gate.is_closed() {
                return Err(error);
            }
            left -= 1;
            let asked = if let Cause::Throttled { after: Some(after) } = error.cause { after } else { Duration::ZERO };
            tokio::time::sleep(self.retry_interval.max(asked)).await;
        }
    }

    async fn once(&self, call: &Call<'_>) -> Result<Answer, ProviderError> {
        let mut request = self.client.request(call.method.clone(), self.url(call.path, call.query)?);
        let namespace = if call.is_auth { &self.auth_namespace } else { &self.namespace };
        if let Some(namespace) = namespace {
            request = request.header(NAMESPACE, namespace);
        }
        if let Some(token) = call.token {
            request = request.header(TOKEN, token);
        }
        if let Some(body) = &call.body {
            request = request.header("content-type", "application/json").body(body.clone());
        }
        let what = format!("{} {}", call.name, call.path);
        let mut response = request.send().await.map_err(|error| unreachable(&self.base, &error))?;
        let status = response.status().as_u16();
        let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let expected = usize::try_from(response.content_length().unwrap_or(4096)).unwrap_or(LONGEST_BODY);
        let mut body = Zeroizing::new(Vec::with_capacity(expected.min(LONGEST_BODY)));
        while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&self.base, &error))? {
            if body.len() + chunk.len() > LONGEST_BODY {
                return Err(super::invalid(format!("{what}: the answer is longer than {LONGEST_BODY} bytes")));
            }
            append(&mut body, chunk);
        }
        let answer =
            Answer { status, retry_after: seconds.map(Duration::from_secs), body: Plaintext::from_guarded(body) };
        // Here and not later: the gate has to see that the server is away.
        match super::fault::Fault::of(&answer).map(|fault| fault.error(&describe(call))) {
            Some(error) if error.is_outage() => Err(error),
            Some(_) | None => Ok(answer),
        }
    }

    /// `<server>/v1/<path>` with every segment encoded.
    fn url(&self, path: &str, query: Option<(&str, &str)>) -> Result<Url, ProviderError> {
        let mut url = self.base.clone();
        url.set_query(None);
        url.set_fragment(None);
        {
            let mut segments = url.path_segments_mut().map_err(|()| misconfigured("the server is not an address"))?;
            segments.pop_if_empty().push("v1").extend(path.split('/'));
        }
        if let Some((name, value)) = query {
            url.query_pairs_mut().append_pair(name, value);
        }
        Ok(url)
    }
}

/// What a call is, for an error's message.
pub(super) fn describe(call: &Call<'_>) -> String {
    let verb = match call.name {
        "ReadSecretData" => "read",
        "ListSecrets" => "list",
        "Login" => "log in at",
        _ => "call",
    };
    format!("{verb} {}", call.path)
}

/// Appends without leaving copies: a buffer that is too small is replaced and wiped.
fn append(body: &mut Zeroizing<Vec<u8>>, chunk: Bytes) {
    if body.capacity() - body.len() < chunk.len() {
        let mut larger = Zeroizing::new(Vec::with_capacity((body.len() + chunk.len()) * 2));
        larger.extend_from_slice(body);
        *body = larger;
    }
    body.extend_from_slice(&chunk);
    // What hyper read into is shared with the connection's buffer as a rule, and then is not ours to wipe.
    if let Ok(mut chunk) = chunk.try_into_mut() {
        let bytes: &mut BytesMut = &mut chunk;
        bytes.as_mut().zeroize();
    }
}

fn client(settings: &Settings, base: &Url) -> Result<Client, ProviderError> {
    let is_https = base.scheme() == "https";
    let mut builder = Client::builder()
        .connect_timeout(CONNECT)
        .timeout(ANSWER)
        .default_headers(headers(settings)?)
        // Two stores must not share what the process's environment says.
        .no_proxy()
        // We retry by ourselves, so that each try is counted.
        .retry(reqwest::retry::never())
        .redirect(redirects(base));
    match &settings.ca {
        Some(pem) => {
            let certificates = Certificate::from_pem_bundle(pem).ok().filter(|found| !found.is_empty());
            let certificates = certificates.ok_or_else(|| misconfigured("the CA bundle holds no PEM certificate"))?;
            builder = builder.tls_certs_only(certificates);
        }
        // Plain HTTP must not fail for want of the system's certificates.
        None if !is_https => builder = builder.tls_certs_only(Vec::new()),
        None => {}
    }
    // A token of the method `cert` is bound to the certificate that it was taken with, so all calls show that one.
    let own = if let Auth::Certificate { certificate, .. } = &settings.auth {
        Some(certificate)
    } else {
        settings.client_certificate.as_ref()
    };
    if let Some(own) = own {
        builder = builder.identity(identity(own)?);
    }
    builder.build().map_err(|error| misconfigured(format!("cannot set up the connection to Vault: {}", chain(&error))))
}

/// A request carries a token or a login, so it follows to the same host only, and not from TLS to none.
fn redirects(base: &Url) -> redirect::Policy {
    let base = base.clone();
    redirect::Policy::custom(move |attempt| {
        let (url, count) = (attempt.url(), attempt.previous().len());
        let downgrades = base.scheme() == "https" && url.scheme() != "https";
        if url.host() == base.host() && !downgrades {
            return if count > REDIRECTS { attempt.stop() } else { attempt.follow() };
        }
        let (scheme, host) = (url.scheme().to_owned(), url.host_str().unwrap_or_default().to_owned());
        attempt.error(Elsewhere(format!("{scheme}://{host}")))
    })
}

/// A redirect that is not followed.
#[derive(Debug, thiserror::Error)]
#[error("it sends on to {0}, where no token of this store goes; if that is its address, let the store name it")]
struct Elsewhere(String);

fn identity(own: &ClientCertificate) -> Result<Identity, ProviderError> {
    let (certificate, key) = (own.certificate.expose(), own.key.expose());
    let mut pem = Zeroizing::new(Vec::with_capacity(certificate.len() + key.len() + 1));
    pem.extend_from_slice(key);
    pem.push(b'\n');
    pem.extend_from_slice(certificate);
    // The parser's reason is left out: it has the key before it.
    Identity::from_pem(&pem).map_err(|_| misconfigured("the client certificate or its key is not PEM that can be used"))
}

fn headers(settings: &Settings) -> Result<HeaderMap, ProviderError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &settings.headers {
        let bad = || misconfigured(format!("the header {name:?} of the store cannot be sent"));
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        let mut value = HeaderValue::from_str(value).map_err(|_| bad())?;
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    // An agent may be set up to refuse requests without it.
    headers.insert("x-vault-request", HeaderValue::from_static("true"));
    if settings.forward_inconsistent {
        headers.insert("x-vault-inconsistent", HeaderValue::from_static("forward-active-node"));
    }
    Ok(headers)
}

fn namespace_header(name: &str) -> Result<HeaderValue, ProviderError> {
    HeaderValue::from_str(name).map_err(|_| misconfigured(format!("{name:?} is not a namespace")))
}

/// The server did not answer. The URL is left out of the reason: it is long, and the path stands in the message.
fn unreachable(base: &Url, error: &reqwest::Error) -> ProviderError {
    let server = format!("{}://{}", base.scheme(), base.host_str().unwrap_or_default());
    let port = base.port().map(|port| format!(":{port}")).unwrap_or_default();
    if error.is_redirect() {
        return super::invalid(format!("Vault at {server}{port} did not answer: {}", chain(error)));
    }
    ProviderError::new(Cause::Unavailable, format!("Vault at {server}{port} does not answer: {}", chain(error)))
}

/// An error's innermost reasons, without the URL that `reqwest` puts in front.
fn chain(error: &reqwest::Error) -> String {
    let mut source = std::error::Error::source(error);
    let mut last = None;
    while let Some(inner) = source {
        last = Some(inner.to_string());
        source = inner.source();
    }
    match (error.is_timeout(), last) {
        (true, _) => "timed out".to_owned(),
        (false, Some(reason)) => reason,
        (false, None) => "no reason given".to_owned(),
    }
}
