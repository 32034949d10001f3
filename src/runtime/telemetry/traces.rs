//! Traces: the spans of `bulla::trace`, sent to an OpenTelemetry collector in batches (OTLP over HTTP, protobuf).

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::{BoxedLayer, Error};

/// How long one batch may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the last batch may take.
const GRACE: Duration = Duration::from_secs(5);

/// Sends spans until it is ended.
#[derive(Debug)]
pub(in crate::runtime) struct Traces(SdkTracerProvider);

impl Traces {
    /// # Errors
    /// If `endpoint` is no address.
    pub(super) fn start(endpoint: Option<String>) -> Result<Option<Self>, Error> {
        let Some(endpoint) = endpoint else { return Ok(None) };
        let failed = |why: String| Error::Traces { why };
        let client = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build();
        let client = client.map_err(|_| failed("no HTTP client can be made".to_owned()))?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client { client, runtime: Handle::current() })
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(endpoint)
            .build()
            .map_err(|error| failed(error.to_string()))?;
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder().with_service_name("bulla-controller").with_attribute(version).build();
        Ok(Some(Self(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())))
    }

    /// What hands spans over.
    pub(super) fn layer(&self) -> BoxedLayer {
        let only = Targets::new().with_target(crate::controllers::SPANS, LevelFilter::INFO);
        let layer = tracing_opentelemetry::layer().with_tracer(self.0.tracer("bulla"));
        layer.with_location(false).with_threads(false).with_tracked_inactivity(false).with_filter(only).boxed()
    }

    /// Sends what is left.
    pub(in crate::runtime) async fn end(self) {
        let last = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(GRACE));
        // A collector that is away must not keep the process.
        drop(tokio::time::timeout(GRACE, last).await);
    }
}

/// The HTTP client that the program has anyway. Batches are made by a thread without a runtime: the work is done in ours.
struct Client {
    client: reqwest::Client,
    runtime: Handle,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for Client {
    fn send_bytes<'life0, 'async_trait>(&'life0 self, request: Request<Bytes>) -> Answer<'async_trait>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        let client = self.client.clone();
        let work = self.runtime.spawn(async move {
            let request = reqwest::Request::try_from(request)?;
            let answer = client.execute(request).await?;
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = answer.status();
            *response.headers_mut() = answer.headers().clone();
            *response.body_mut() = answer.bytes().await?;
            Ok::<_, reqwest::Error>(response)
        });
        Box::pin(async move { Ok(work.await??) })
    }
}
