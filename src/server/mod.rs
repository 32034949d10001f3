//! The HTTP edge: health, metrics and public keys.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch::Receiver;
use tokio_util::sync::CancellationToken;

use crate::controllers::{PublishedKeys, exposition};
use crate::seal::Keyring;

/// What the server answers with.
pub struct Answers<R> {
    /// Whether the controller has looked at everything once.
    pub is_ready: R,
    /// The public keys.
    pub keys: PublishedKeys,
    /// The private keys; `None` until they are known.
    pub keyring: Receiver<Option<Arc<Keyring>>>,
    /// The metrics.
    pub registry: Registry,
}

/// Binds `address`.
///
/// # Errors
/// If the address is taken or not ours.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Answers until `shutdown`.
///
/// # Errors
/// If the listener breaks.
pub async fn serve<R>(listener: TcpListener, answers: Answers<R>, shutdown: CancellationToken) -> std::io::Result<()>
where
    R: Fn() -> bool + Clone + Send + Sync + 'static,
{
    let Answers { is_ready, keys, keyring: _, registry } = answers;
    let registry = Arc::new(registry);
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(async move || ready(is_ready())))
        .route("/v1/keys", get(async move || published(&keys)))
        .route("/metrics", get(async move |headers: HeaderMap| metrics(&registry, &headers)));
    axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await
}

fn ready(is_ready: bool) -> impl IntoResponse {
    if is_ready { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not yet\n") }
}

fn published(keys: &PublishedKeys) -> impl IntoResponse + use<> {
    let json = keys.json();
    let status = if json.is_empty() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (status, [(header::CONTENT_TYPE, "application/json")], json.to_string())
}

fn metrics(registry: &Registry, headers: &HeaderMap) -> impl IntoResponse + use<> {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    match exposition(registry, accept) {
        Ok((text, kind)) => Ok(([(header::CONTENT_TYPE, kind)], text)),
        Err(_) => Err(StatusCode::INTERNAL_SERVER_ERROR),
    }
}
