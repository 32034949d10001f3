//! What is counted of requests, under upstream's names.

use std::time::Instant;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::controllers::exposition;

/// Upstream's buckets, which are Prometheus' own.
const SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Requests by what they asked for; clones share the numbers.
#[derive(Clone)]
pub(super) struct Metrics {
    requests: Family<Answered, Counter>,
    seconds: Family<Asked, Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    path: &'static str,
    code: u16,
    method: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    path: &'static str,
    method: &'static str,
}

impl Metrics {
    /// Metrics that `registry` shows.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let requests = Family::default();
        let seconds = Family::new_with_constructor(histogram as fn() -> Histogram);
        let upstream = registry.sub_registry_with_prefix("sealed_secrets_controller");
        upstream.register("http_requests", "HTTP requests, by path, code and method", requests.clone());
        upstream.register("http_request_duration_seconds", "How long answers took", seconds.clone());
        Self { requests, seconds }
    }
}

fn histogram() -> Histogram {
    Histogram::new(SECONDS)
}

/// Counts a request and passes it on.
pub(super) async fn count(metrics: Metrics, request: Request<Body>, next: Next) -> Response {
    let (path, method) = (path(request.uri().path()), method(request.method()));
    let began = Instant::now();
    let response = next.run(request).await;
    metrics.seconds.get_or_create(&Asked { path, method }).observe(began.elapsed().as_secs_f64());
    metrics.requests.get_or_create(&Answered { path, code: response.status().as_u16(), method }).inc();
    response
}

/// A label has as many values as there are paths, whatever is asked for.
fn path(path: &str) -> &'static str {
    const PATHS: [&str; 6] = ["/healthz", "/readyz", "/v1/cert.pem", "/v1/keys", "/v1/verify", "/v1/rotate"];
    PATHS.into_iter().find(|known| *known == path).unwrap_or("other")
}

/// As upstream writes methods.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "get",
        Method::HEAD => "head",
        Method::POST => "post",
        Method::PUT => "put",
        Method::DELETE => "delete",
        Method::OPTIONS => "options",
        Method::PATCH => "patch",
        _ => "other",
    }
}

/// All metrics, as whoever asks reads them.
pub(super) fn show(registry: &Registry, headers: &HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    match exposition(registry, accept) {
        Ok((text, kind)) => ([(header::CONTENT_TYPE, kind)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_few_values() {
        assert_eq!((path("/v1/verify"), path("/v1/verify/"), path("/../etc")), ("/v1/verify", "other", "other"));
        let strange = Method::from_bytes(b"BREW").unwrap();
        assert_eq!((method(&Method::POST), method(&strange)), ("post", "other"));
    }
}
