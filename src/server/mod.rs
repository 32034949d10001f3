//! The HTTP edge: health, metrics, public keys, and kubeseal's verify and rotate.
//!
//! | path | what it is |
//! | --- | --- |
//! | `/healthz` | whether the process lives; it says nothing about keys or objects |
//! | `/readyz` | whether every object that was there at the start has been looked at |
//! | `/v1/cert.pem` | the certificate that `kubeseal` seals to |
//! | `/v1/keys` | all public keys in JSON, which `bulla` seals to |
//! | `/v1/verify` | whether a SealedSecret opens here |
//! | `/v1/rotate` | a SealedSecret with its stale values sealed again |
//! | `/metrics` | on a listener of its own, with health beside it |
//!
//! Nobody is authenticated here, and by default anybody who may use the API server's service proxy reaches it. So a
//! stranger learns one bit from `verify` and `rotate` (all values open, or not), at a cost that is bounded before any
//! work is done and does not depend on that bit: see `desk`.

mod answer;
mod body;
mod caller;
mod connections;
mod desk;
mod document;
mod judge;
mod metrics;
mod pace;
mod parse;
mod published;
mod rate;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{any, get};
use axum::{Router, middleware};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch::Receiver;
use tokio_util::sync::CancellationToken;

use self::answer::Problem;
use self::connections::Limits;
use self::desk::{Desk, Operation};
use self::metrics::Metrics;
use self::published::Published;
use crate::controllers::PublishedKeys;
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

/// What the server allows.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Requests a second that a caller may send to verify, and as many to rotate; 0 is no limit.
    pub rate: u32,
    /// How many more may come at once.
    pub burst: u32,
    /// How long a client may take to send a request; never more than 10 s for its head and 15 s for its body.
    pub read_timeout: Duration,
    /// How long a client may take nothing of an answer.
    pub write_timeout: Duration,
    /// Whether `/v1/rotate` is served.
    pub rotate: bool,
    /// Whether the controller opens `spec.data`, the deprecated form of a whole Secret in one value: verify then does too.
    pub opens_whole_secrets: bool,
    /// How long connections are accepted and answered after the shutdown, while `/readyz` says no: Services and proxies
    /// send requests here until they have noticed. Zero closes at once.
    pub shutdown_delay: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        let timeout = Duration::from_secs(120);
        Self {
            rate: 2,
            burst: 2,
            read_timeout: timeout,
            write_timeout: timeout,
            rotate: true,
            opens_whole_secrets: true,
            shutdown_delay: Duration::from_secs(3),
        }
    }
}

/// Where the server listens.
#[derive(Debug)]
pub struct Listeners {
    /// For everything but metrics.
    pub main: TcpListener,
    /// For metrics, and health beside them; `None` is no metrics.
    pub metrics: Option<TcpListener>,
}

/// Binds `address`.
///
/// # Errors
/// If the address is taken or not ours.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Answers until `shutdown_delay` after `shutdown`; then answers under way are finished, for as long as `write_timeout`
/// and 20 s at most.
///
/// # Errors
/// If a listener breaks.
pub async fn serve<R>(
    listeners: Listeners,
    answers: Answers<R>,
    config: ServerConfig,
    shutdown: CancellationToken,
) -> std::io::Result<()>
where
    R: Fn() -> bool + Clone + Send + Sync + 'static,
{
    let Answers { is_ready, keys, keyring, mut registry } = answers;
    let metrics = Metrics::register(&mut registry);
    let registry = Arc::new(registry);
    let published = Published { keys, keyring: keyring.clone() };
    let desk = Arc::new(Desk::new(config.clone(), keyring));
    let limits = Limits { read: config.read_timeout, write: config.write_timeout };
    let closing = CancellationToken::new();
    let delayed = async {
        shutdown.cancelled().await;
        tokio::time::sleep(config.shutdown_delay).await;
        closing.cancel();
        Ok::<(), std::io::Error>(())
    };
    let readiness = {
        let shutdown = shutdown.clone();
        move || if shutdown.is_cancelled() { Err("stopping\n") } else { is_ready().then_some(()).ok_or("not yet\n") }
    };

    let certificate = published.clone();
    let ask = |operation| {
        let desk = Arc::clone(&desk);
        any(async move |request| desk.ask(operation, request).await)
    };
    let counted = metrics.clone();
    let main = health(readiness.clone())
        .route("/v1/cert.pem", get(async move |request| certificate.certificate(&request)))
        .route("/v1/keys", get(async move || published.listing()))
        .route("/v1/verify", ask(Operation::Verify))
        .route("/v1/rotate", ask(Operation::Rotate))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "not-found", "there is nothing at this path\n"))
        .layer(middleware::from_fn(move |request, next| metrics::count(counted.clone(), request, next)));
    let main = connections::serve(listeners.main, main, limits.clone(), closing.clone());
    match listeners.metrics {
        Some(listener) => {
            let router = health(readiness)
                .route("/metrics", get(async move |headers: HeaderMap| metrics::show(&registry, &headers)));
            let metrics = connections::serve(listener, router, limits, closing.clone());
            tokio::try_join!(main, metrics, delayed).map(drop)
        }
        None => tokio::try_join!(main, delayed).map(drop),
    }
}

fn health<R>(readiness: R) -> Router
where
    R: Fn() -> Result<(), &'static str> + Clone + Send + Sync + 'static,
{
    Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(async move || ready(readiness())))
}

fn ready(readiness: Result<(), &'static str>) -> impl IntoResponse {
    readiness.map_or_else(|why| (StatusCode::SERVICE_UNAVAILABLE, why), |()| (StatusCode::OK, "ok\n"))
}
