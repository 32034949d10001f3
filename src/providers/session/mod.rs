//! The way to one store that everybody shares: equal requests are made once, and together.
//!
//! A request waits a moment for others to come. New objects' requests go before refreshes. Whoever asks for what is
//! being fetched, or was fetched moments ago and is still held by somebody, gets the same answer: nothing is kept for
//! the purpose.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::error::{Cause, ProviderError};
use super::{Gate, Provider};
use crate::sync::remote::{Answer, Request};

/// What is answered to a request.
pub type Reply = Result<Arc<Answer>, ProviderError>;

/// How long a request waits for others.
const WINDOW: Duration = Duration::from_millis(25);
/// How long it waits at most while calls are under way, in the hope of a full batch.
const PATIENCE: Duration = Duration::from_millis(100);
/// How old an answer may be that somebody else asked for.
const FRESH: Duration = Duration::from_secs(10);
/// Batches in work at the same time.
const BATCHES: usize = 4;

/// How urgent a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Somebody waits: a new object, or one that was edited.
    Soon,
    /// A refresh of what is there.
    Later,
}

/// A store in use.
pub struct Session {
    shared: Arc<Shared>,
    worker: JoinHandle<()>,
}

struct Shared {
    provider: Arc<dyn Provider>,
    gate: Gate,
    state: Mutex<State>,
    news: Notify,
}

#[derive(Default)]
struct State {
    /// Requests that wait, the urgent ones first.
    waiting: [VecDeque<Arc<Request>>; 2],
    /// Who waits for what is not being fetched yet.
    asked: HashMap<Arc<Request>, Asked>,
    /// Who waits for what is being fetched.
    under_way: HashMap<Arc<Request>, UnderWay>,
    /// The number of the last batch.
    last: u64,
    /// What was fetched lately and may still be held by somebody.
    recent: HashMap<Arc<Request>, (Instant, Weak<Answer>)>,
}

struct Asked {
    since: Instant,
    urgency: Urgency,
    waiters: Vec<oneshot::Sender<Reply>>,
}

struct UnderWay {
    began: Instant,
    /// The number of the batch that it is in.
    batch: u64,
    waiters: Vec<oneshot::Sender<Reply>>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("provider", &self.shared.provider.name()).finish_non_exhaustive()
    }
}

impl Session {
    /// A session with `provider`, whose calls pass `gate`.
    #[must_use]
    pub fn new(provider: Arc<dyn Provider>, gate: Gate) -> Self {
        let shared = Arc::new(Shared { provider, gate, state: Mutex::default(), news: Notify::new() });
        let worker = tokio::spawn(work(Arc::clone(&shared)));
        Self { shared, worker }
    }

    /// The store's provider.
    #[must_use]
    pub fn provider(&self) -> &Arc<dyn Provider> {
        &self.shared.provider
    }

    /// Whether calls are being held back because the store does not answer.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.gate.is_closed()
    }

    /// Asks for all of `requests` and gives the answers in their order. None is older than `not_before`.
    pub async fn fetch(&self, requests: &[Request], urgency: Urgency, not_before: Instant) -> Vec<Reply> {
        let mut answers = Vec::with_capacity(requests.len());
        {
            let mut state = self.shared.state();
            for request in requests {
                answers.push(state.ask(request, urgency, not_before));
            }
        }
        self.shared.news.notify_one();
        let mut replies = Vec::with_capacity(answers.len());
        for answer in answers {
            replies.push(match answer {
                Wait::Done(reply) => reply,
                Wait::For(receiver) => receiver.await.unwrap_or_else(|_| Err(closed())),
            });
        }
        replies
    }

    /// Ends the session; what waits is told so, and the provider gives back what it took.
    pub async fn close(&self) {
        self.worker.abort();
        *self.shared.state() = State::default();
        self.shared.provider.close().await;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

fn closed() -> ProviderError {
    ProviderError::new(
        Cause::Unavailable,
        "the store was not asked to the end: its settings changed, or the provider failed",
    )
}

enum Wait {
    Done(Reply),
    For(oneshot::Receiver<Reply>),
}

impl State {
    fn ask(&mut self, request: &Request, urgency: Urgency, not_before: Instant) -> Wait {
        if let Some((at, answer)) = self.recent.get(request)
            && *at >= not_before
            && at.elapsed() <= FRESH
            && let Some(answer) = answer.upgrade()
        {
            return Wait::Done(Ok(answer));
        }
        let (sender, receiver) = oneshot::channel();
        if let Some(under_way) = self.under_way.get_mut(request)
            && under_way.began >= not_before
        {
            under_way.waiters.push(sender);
            return Wait::For(receiver);
        }
        if let Some(asked) = self.asked.get_mut(request) {
            asked.waiters.push(sender);
            if urgency < asked.urgency {
                asked.urgency = urgency;
                let [soon, later] = &mut self.waiting;
                if let Some(place) = later.iter().position(|waiting| **waiting == *request) {
                    soon.extend(later.remove(place));
                }
            }
            return Wait::For(receiver);
        }
        let request = Arc::new(request.clone());
        let asked = Asked { since: Instant::now(), urgency, waiters: vec![sender] };
        self.asked.insert(Arc::clone(&request), asked);
        self.waiting[usize::from(urgency == Urgency::Later)].push_back(request);
        Wait::For(receiver)
    }

    fn len(&self) -> usize {
        self.waiting.iter().map(VecDeque::len).sum()
    }

    fn oldest(&self) -> Option<Instant> {
        let since = |request: &Arc<Request>| self.asked.get(request).map(|asked| asked.since);
        self.waiting.iter().filter_map(|queue| queue.front().and_then(since)).min()
    }

    /// Takes up to `most` requests, the urgent ones first; those that nobody waits for any more are left out.
    fn take(&mut self, most: usize) -> Batch {
        self.last += 1;
        let (number, began) = (self.last, Instant::now());
        let mut requests = Vec::new();
        while requests.len() < most {
            let [soon, later] = &mut self.waiting;
            let Some(request) = soon.pop_front().or_else(|| later.pop_front()) else { break };
            let Some(mut asked) = self.asked.remove(&request) else { continue };
            asked.waiters.retain(|waiter| !waiter.is_closed());
            if asked.waiters.is_empty() {
                continue;
            }
            requests.push(Request::clone(&request));
            let mut waiters = asked.waiters;
            // Those that wait for an earlier fetch of the same are content with this one too.
            waiters.extend(self.under_way.remove(&request).into_iter().flat_map(|earlier| earlier.waiters));
            self.under_way.insert(request, UnderWay { began, batch: number, waiters });
        }
        Batch { number, requests }
    }

    fn answer(&mut self, batch: u64, request: Request, reply: &Reply) {
        // Where a later batch took the request over, its end answers.
        if self.under_way.get(&request).is_none_or(|under_way| under_way.batch != batch) {
            return;
        }
        let Some(under_way) = self.under_way.remove(&request) else { return };
        if let Ok(answer) = reply {
            self.recent.insert(Arc::new(request), (under_way.began, Arc::downgrade(answer)));
        }
        for waiter in under_way.waiters {
            // One that is gone does not matter.
            drop(waiter.send(reply.clone()));
        }
    }

    fn forget_old(&mut self) {
        self.recent.retain(|_, (at, answer)| at.elapsed() <= FRESH && answer.strong_count() > 0);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends what waits, batch by batch, for ever.
async fn work(shared: Arc<Shared>) {
    let size = shared.provider.batch_size().max(1);
    let mut batches = JoinSet::new();
    loop {
        // One that panicked has told its waiters so by its end.
        while batches.try_join_next().is_some() {}
        let (length, oldest) = {
            let state = shared.state();
            (state.len(), state.oldest())
        };
        let Some(oldest) = oldest else {
            shared.news.notified().await;
            continue;
        };
        if batches.len() >= BATCHES {
            batches.join_next().await;
            continue;
        }
        let window = if batches.is_empty() { WINDOW } else { PATIENCE };
        let due = oldest + window;
        if length < size && Instant::now() < due {
            tokio::select! {
                () = tokio::time::sleep_until(due) => {}
                () = shared.news.notified() => {}
                Some(_) = batches.join_next(), if !batches.is_empty() => {}
            }
            continue;
        }
        let batch = {
            let mut state = shared.state();
            state.forget_old();
            state.take(size)
        };
        if batch.requests.is_empty() {
            continue;
        }
        let shared = Arc::clone(&shared);
        batches.spawn(async move { run(&shared, batch).await });
    }
}

/// Requests that are made together.
struct Batch {
    number: u64,
    requests: Vec<Request>,
}

async fn run(shared: &Shared, batch: Batch) {
    let unanswered = Unanswered { shared, batch: batch.number };
    let mut replies = shared.provider.fetch(batch.requests.clone()).await.into_iter();
    let mut state = shared.state();
    for request in batch.requests {
        let Some(reply) = replies.next() else { break };
        state.answer(batch.number, request, &reply.map(Arc::new));
    }
    drop(state);
    drop(unanswered);
}

/// At its end, however it comes (a provider may panic), nobody waits for this batch any more.
struct Unanswered<'a> {
    shared: &'a Shared,
    batch: u64,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        self.shared.state().under_way.retain(|_, under_way| under_way.batch != self.batch);
    }
}

#[cfg(test)]
mod tests;
