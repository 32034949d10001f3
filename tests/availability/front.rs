//! A plain HTTP front before the API server that answers with faults where it is told to.
//!
//! Whoever comes through it is to the API server whoever its client is.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, RETRY_AFTER, TRANSFER_ENCODING};
use axum::http::{Response, StatusCode};
use futures::StreamExt as _;
use kube::Client;
use tokio::task::JoinHandle;

/// What happens to a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// This answer, with the server not asked.
    Status(u16),
    /// 429, with the wish to come back after a second.
    Throttled,
    /// Passed on after so long.
    Slow(Duration),
    /// The answer ends after so many pieces as if it were complete.
    Short(usize),
}

type Rule = Box<dyn Fn(&str, &str) -> Option<Fault> + Send + Sync>;

struct Shared {
    client: Client,
    rules: Mutex<Vec<Rule>>,
    /// How many requests were met by a fault.
    faults: AtomicUsize,
    /// Writes under way, those of Leases aside.
    under_way: AtomicUsize,
    most_at_once: AtomicUsize,
}

/// See the module. It ends when dropped.
pub(crate) struct Front {
    port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Front {
    /// A front before the server of this client.
    pub(crate) async fn to(client: Client) -> Self {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (rules, faults, under_way, most_at_once) = Default::default();
        let shared = Arc::new(Shared { client, rules, faults, under_way, most_at_once });
        let router = Router::new().fallback(serve).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { port, shared, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Adds a rule over method and path with its query; the first that gives a fault wins.
    pub(crate) fn fault(&self, rule: impl Fn(&str, &str) -> Option<Fault> + Send + Sync + 'static) {
        self.shared.rules().push(Box::new(rule));
    }

    /// Ends all faults.
    pub(crate) fn well(&self) {
        self.shared.rules().clear();
    }

    /// How many requests were met by a fault.
    pub(crate) fn faults(&self) -> usize {
        self.shared.faults.load(Ordering::SeqCst)
    }

    /// The highest number of writes that were under way together, those of Leases aside.
    pub(crate) fn most_at_once(&self) -> usize {
        self.shared.most_at_once.load(Ordering::SeqCst)
    }

    /// Counts from zero again.
    pub(crate) fn forget(&self) {
        self.shared.most_at_once.store(0, Ordering::SeqCst);
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn rules(&self) -> MutexGuard<'_, Vec<Rule>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (method, path) = (request.method().to_string(), request.uri().to_string());
    let fault = shared.rules().iter().find_map(|rule| rule(&method, &path));
    if fault.is_some() {
        shared.faults.fetch_add(1, Ordering::SeqCst);
    }
    let counts = method != "GET" && !path.contains("/leases");
    if counts {
        let now = shared.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        shared.most_at_once.fetch_max(now, Ordering::SeqCst);
    }
    let answer = match fault {
        Some(Fault::Status(code)) => Response::builder().status(code).body(Body::empty()).unwrap(),
        Some(Fault::Throttled) => Response::builder().status(429).header(RETRY_AFTER, "1").body(Body::empty()).unwrap(),
        Some(Fault::Slow(by)) => {
            tokio::time::sleep(by).await;
            pass_on(&shared.client, request, None).await
        }
        Some(Fault::Short(pieces)) => pass_on(&shared.client, request, Some(pieces)).await,
        None => pass_on(&shared.client, request, None).await,
    };
    if counts {
        shared.under_way.fetch_sub(1, Ordering::SeqCst);
    }
    answer
}

async fn pass_on(client: &Client, request: Request, pieces: Option<usize>) -> Response<Body> {
    let (mut head, body) = request.into_parts();
    for name in [HOST, CONNECTION, AUTHORIZATION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        head.headers.remove(name);
    }
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let request = Request::from_parts(head, kube::client::Body::from(body));
    let Ok(answer) = client.send(request).await else {
        return Response::builder().status(StatusCode::BAD_GATEWAY).body(Body::empty()).unwrap();
    };
    let (mut head, body) = answer.into_parts();
    head.headers.remove(TRANSFER_ENCODING);
    let body = Body::new(body);
    let body = match pieces {
        Some(pieces) => {
            head.headers.remove(CONTENT_LENGTH);
            Body::from_stream(body.into_data_stream().take(pieces))
        }
        None => body,
    };
    Response::from_parts(head, body)
}
