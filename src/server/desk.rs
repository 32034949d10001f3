//! Where verify and rotate are asked for.
//!
//! What a request may cost is settled in this order: how often its caller asks, how long the body is and all bodies
//! together are, how many are worked on at the same time, how many values it has, how much work it would be. The work
//! is done off the asynchronous threads, all of it in any case, and the answer goes out at one of a few moments. One
//! audit line is written for every request, whatever comes of it and also where the client has gone.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bulla_crds::sealed_secret::KIND;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::watch::Receiver;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::{Dialect, Problem, busy};
use super::body::{Held, Room};
use super::caller::{Caller, Counted, Peer};
use super::connections::Activity;
use super::document::Document;
use super::judge::{self, Finding, Verdict};
use super::rate::Limiter;
use super::{ServerConfig, body, pace, published};
use crate::audit::{self, Action, Entry};
use crate::seal::{KeyId, Keyring};

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    /// Whether all values open.
    Verify,
    /// Stale values sealed again.
    Rotate,
}

/// How long a request waits for its turn. Then it is better told to come back.
const TURN: Duration = Duration::from_secs(10);

/// How many times the rate of one caller a peer gets that speaks for several, such as the API server: what a caller
/// claims about whom it speaks for does not multiply its share without end.
const SPEAKS_FOR: u32 = 16;

/// See the module.
pub(super) struct Desk {
    config: ServerConfig,
    keyring: Receiver<Option<Arc<Keyring>>>,
    limits: Mutex<Limits>,
    room: Room,
    turns: Arc<Semaphore>,
    opened: Instant,
}

struct Limits {
    callers: Limiter<(Operation, Counted)>,
    peers: Limiter<(Operation, Counted)>,
}

/// The object that a request is about, for the audit log.
#[derive(Default)]
struct Subject {
    kind: &'static str,
    namespace: String,
    name: String,
    keys: Vec<String>,
}

impl Desk {
    pub(super) fn new(config: ServerConfig, keyring: Receiver<Option<Arc<Keyring>>>) -> Self {
        let (rate, burst) = (config.rate, config.burst);
        let limits = Limits {
            callers: Limiter::new(rate, burst),
            peers: Limiter::new(rate.saturating_mul(SPEAKS_FOR), burst.saturating_add(1).saturating_mul(SPEAKS_FOR)),
        };
        // The other half of the machine belongs to the controller.
        let turns = std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1));
        Self {
            config,
            keyring,
            limits: Mutex::new(limits),
            room: Room::default(),
            turns: Arc::new(Semaphore::new(turns)),
            opened: Instant::now(),
        }
    }

    /// Answers a request.
    pub(super) async fn ask(self: Arc<Self>, operation: Operation, request: Request<Body>) -> Response {
        // A task of its own: a client that goes away stops neither the work half-way nor the audit line.
        let answer = tokio::spawn(async move { self.handle(operation, request).await });
        answer.await.unwrap_or_else(|_| broken().into_response())
    }

    async fn handle(&self, operation: Operation, request: Request<Body>) -> Response {
        let caller = Caller::new(request.extensions().get::<Peer>().copied(), request.headers());
        let dialect = Dialect::of(request.headers());
        let mut subject = Subject::default();
        let (outcome, response) = match self.decide(operation, &caller, request, &mut subject).await {
            Verdict::Opens => ("ok", StatusCode::OK.into_response()),
            Verdict::Closed => ("refused", StatusCode::CONFLICT.into_response()),
            Verdict::Rotated(json) => ("ok", ([(header::CONTENT_TYPE, "application/json")], json).into_response()),
            Verdict::Problem(problem) => (problem.outcome, problem.said_in(dialect).into_response()),
        };
        let action = match operation {
            Operation::Verify => Action::Verify,
            Operation::Rotate => Action::Reseal,
        };
        let Subject { kind, namespace, name, keys } = &subject;
        audit::record(Entry { action, actor: caller.actor(), kind, namespace, name, keys, outcome });
        response
    }

    async fn decide(
        &self,
        operation: Operation,
        caller: &Caller,
        request: Request<Body>,
        subject: &mut Subject,
    ) -> Verdict {
        let body = match self.receive(operation, caller, request).await {
            Ok(body) => body,
            Err(problem) => return Verdict::Problem(problem),
        };
        let keyring = self.keyring.borrow().clone();
        let Some(keyring) = keyring else { return Verdict::Problem(published::not_yet()) };
        let turn = match tokio::time::timeout(TURN, Arc::clone(&self.turns).acquire_owned()).await {
            Ok(Ok(turn)) => turn,
            Ok(Err(_)) => return Verdict::Problem(broken()),
            Err(_) => return Verdict::Problem(busy()),
        };
        let (began, opens_whole_secrets) = (Instant::now(), self.config.opens_whole_secrets);
        let work = tokio::task::spawn_blocking(move || work(operation, body, &keyring, turn, opens_whole_secrets));
        let Ok((named, finding)) = work.await else { return Verdict::Problem(broken()) };
        tokio::time::sleep(pace::padded(began.elapsed()).saturating_sub(began.elapsed())).await;
        *subject = named;
        subject.keys = finding.keys.iter().map(KeyId::to_string).collect();
        finding.verdict
    }

    /// All that is settled before any work: the method, the switch, the rate, the length of the body.
    async fn receive(&self, operation: Operation, caller: &Caller, request: Request<Body>) -> Result<Held, Problem> {
        if request.method() != Method::POST {
            return Err(Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "POST a SealedSecret here\n",
            ));
        }
        if operation == Operation::Rotate && !self.config.rotate {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "switched-off",
                "sealing again is switched off here (--disable-rotate-api)\n",
            ));
        }
        self.admit(operation, caller)?;
        let (head, body) = request.into_parts();
        let body = body::read(&head.headers, body, self.config.read_timeout, &self.room).await;
        if let Some(activity) = head.extensions.get::<Activity>() {
            activity.working();
        }
        body
    }

    fn admit(&self, operation: Operation, caller: &Caller) -> Result<(), Problem> {
        let now = self.opened.elapsed();
        // A panic elsewhere leaves at worst one number too high.
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let admitted = limits
            .callers
            .admit((operation, caller.counted()), now)
            .and_then(|()| limits.peers.admit((operation, caller.counted_as_peer()), now));
        drop(limits);
        admitted.map_err(|wait| {
            let text = "too many requests: come back when Retry-After says so (--rate-limit, --rate-limit-burst)\n";
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate-limited", text).retry_after(wait)
        })
    }
}

fn work(
    operation: Operation,
    body: Held,
    keyring: &Keyring,
    turn: OwnedSemaphorePermit,
    opens_whole_secrets: bool,
) -> (Subject, Finding) {
    let document = Document::read(body.bytes());
    drop(body);
    let result = match document {
        Ok(document) => {
            let (namespace, name) = (document.namespace().to_owned(), document.name().to_owned());
            let subject = Subject { kind: KIND, namespace, name, keys: Vec::new() };
            let finding = match operation {
                Operation::Verify => judge::verify(&document, keyring, opens_whole_secrets),
                Operation::Rotate => {
                    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
                    judge::rotate(document, keyring, today)
                }
            };
            (subject, finding)
        }
        Err(malformed) => {
            let text = format!("{malformed}: send one SealedSecret in JSON or YAML\n");
            let problem = Problem::new(StatusCode::BAD_REQUEST, "malformed", text);
            (Subject::default(), Finding { verdict: Verdict::Problem(problem), keys: Vec::new() })
        }
    };
    // The next one's turn begins when the work is done, not when its answer has gone out.
    drop(turn);
    result
}

fn broken() -> Problem {
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "broken",
        "the request failed inside the controller; this is a bug\n",
    )
}
