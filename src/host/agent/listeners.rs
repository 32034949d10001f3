//! The agent's HTTP: where a push is told, and what Prometheus reads. Off unless the settings name an address.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use zeroize::Zeroizing;

use super::metrics;
use super::status::Status;

/// What a push's sender may send, in bytes; nothing of it is read but its signature.
const MAX_BODY: usize = 1 << 20;
/// A secret in a file is shorter than this, in bytes.
const MAX_SECRET: u64 = 4096;

/// Serves `POST /hook` until the task is dropped. `pushed` is told of each push with the right secret.
///
/// # Errors
/// If the address cannot be used, or the secret cannot be read or is empty.
pub(super) async fn hook(
    listen: SocketAddr,
    secret_file: &Path,
    pushed: Arc<Notify>,
) -> io::Result<(SocketAddr, impl Future<Output = ()> + Send + use<>)> {
    // Read now, so that a wrong setting is told at once; and again each time, so that it can be changed there.
    secret(secret_file)?;
    let told = Told { secret_file: secret_file.to_path_buf(), pushed };
    let routes = Router::new().route("/hook", post(push)).layer(DefaultBodyLimit::max(MAX_BODY)).with_state(told);
    serve(listen, routes).await
}

/// Serves `GET /metrics` and `GET /healthz` until the task is dropped.
///
/// # Errors
/// If the address cannot be used.
pub(super) async fn metrics(
    listen: SocketAddr,
    run: &Path,
) -> io::Result<(SocketAddr, impl Future<Output = ()> + Send + use<>)> {
    let routes = Router::new()
        .route("/metrics", get(scrape))
        .route("/healthz", get(|| async { "ok\n" }))
        .with_state(run.to_path_buf());
    serve(listen, routes).await
}

async fn serve(
    listen: SocketAddr,
    routes: Router,
) -> io::Result<(SocketAddr, impl Future<Output = ()> + Send + use<>)> {
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    Ok((address, async move {
        // It only ends with the process.
        drop(axum::serve(listener, routes).await);
    }))
}

#[derive(Clone)]
struct Told {
    secret_file: PathBuf,
    pushed: Arc<Notify>,
}

async fn push(State(told): State<Told>, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    let Ok(secret) = secret(&told.secret_file) else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the secret cannot be read\n");
    };
    if !is_signed(&headers, &body, secret.as_bytes()) {
        return (StatusCode::UNAUTHORIZED, "the secret is not the right one\n");
    }
    told.pushed.notify_one();
    (StatusCode::ACCEPTED, "asking the repository\n")
}

/// Whether the sender knows the secret: GitHub's and Forgejo's signature of the body, GitLab's token, or a bearer token.
fn is_signed(headers: &HeaderMap, body: &[u8], secret: &[u8]) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(signature) = text("x-hub-signature-256").and_then(|value| value.strip_prefix("sha256=")) {
        let Ok(mut expected) = Hmac::<Sha256>::new_from_slice(secret) else { return false };
        expected.update(body);
        return from_hex(signature).is_some_and(|given| expected.verify_slice(&given).is_ok());
    }
    let bearer = text("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let given = text("x-gitlab-token").or(bearer).unwrap_or_default();
    given.as_bytes().ct_eq(secret).into()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?, 16).ok())
        .collect()
}

/// A secret from a file, without the line end that editors leave.
pub(super) fn secret(path: &Path) -> io::Result<Zeroizing<String>> {
    if std::fs::metadata(path)?.len() > MAX_SECRET {
        return Err(io::Error::other("is too long for a secret"));
    }
    let text = Zeroizing::new(std::fs::read_to_string(path)?);
    let secret = Zeroizing::new(text.trim().to_owned());
    if secret.is_empty() { Err(io::Error::other("is empty")) } else { Ok(secret) }
}

async fn scrape(State(run): State<PathBuf>) -> impl IntoResponse {
    match Status::read(&run) {
        Ok(status) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics::text(&status)).into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue};

    use super::is_signed;

    fn with(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(axum::http::HeaderName::from_static(name), HeaderValue::from_static(value))])
    }

    #[test]
    fn pushes_are_taken_from_those_who_know_the_secret() {
        // RFC 4231, test case 2.
        const HMAC: &str = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let body = b"what do ya want for nothing?";
        assert!(is_signed(&with("x-hub-signature-256", HMAC), body, b"Jefe"));
        assert!(!is_signed(&with("x-hub-signature-256", HMAC), b"something else", b"Jefe"));
        assert!(!is_signed(&with("x-hub-signature-256", "sha256=5"), body, b"Jefe"));
        assert!(!is_signed(&with("x-hub-signature-256", "sha256="), body, b"Jefe"));
        assert!(is_signed(&with("x-gitlab-token", "Jefe"), body, b"Jefe"));
        assert!(is_signed(&with("authorization", "Bearer Jefe"), body, b"Jefe"));
        assert!(!is_signed(&with("authorization", "Bearer jefe"), body, b"Jefe"));
        assert!(!is_signed(&HeaderMap::new(), body, b"Jefe"));
    }
}
