//! The way to one store that everybody shares: equal requests are made once, and together.
//!
//! A request waits a moment for others to come. New objects' requests go before refreshes. Whoever asks for what is
//! being fetched, or was fetched moments ago and is still held by somebody, gets the same answer: nothing is kept for
//! the purpose. A find is a batch by itself, apart from single reads.

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
/// Finds in work at the same time, besides: each may list and read for long, and single reads do not wait for it.
const FINDS: usize = 2;

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
    workers: [JoinHandle<()>; 2],
}

struct Shared {
    provider: Arc<dyn Provider>,
    gate: Gate,
    state: Mutex<State>,
    /// For each lane.
    news: [Notify; 2],
}

/// What is fetched apart from the rest.
#[derive(Clone, Copy)]
enum Lane {
    Single,
    Find,
}

impl Lane {
    const fn of(request: &Request) -> Self {
        match request {
            Request::Value(_) | Request::Metadata(_) => Self::Single,
            Request::Find(_) => Self::Find,
        }
    }
}

/// The urgent requests, and the others.
type Queues = [VecDeque<Arc<Request>>; 2];

#[derive(Default)]
struct State {
    /// Nobody answers any more.
    is_over: bool,
    /// Requests that wait, by lane.
    waiting: [Queues; 2],
    /// Who waits for what is not being fetched yet.
    asked: HashMap<Arc<Request>, Asked>,
    /// Who waits for what is being fetched. A request is in several batches where somebody wanted it newer than the
    /// earlier ones read it; each batch answers those who wait for it.
    under_way: HashMap<Arc<Request>, Vec<UnderWay>>,
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
        let shared = Arc::new(Shared { provider, gate, state: Mutex::default(), news: Default::default() });
        let workers = [Lane::Single, Lane::Find].map(|lane| tokio::spawn(work(Arc::clone(&shared), lane)));
        Self { shared, workers }
    }

    /// Whether requests wait or are under way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        let state = self.shared.state();
        !state.asked.is_empty() || !state.under_way.is_empty()
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
        self.shared.news.iter().for_each(Notify::notify_one);
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
        self.workers.iter().for_each(JoinHandle::abort);
        *self.shared.state() = State { is_over: true, ..State::default() };
        self.shared.provider.close().await;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.workers.iter().for_each(JoinHandle::abort);
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
        if self.is_over {
            return Wait::Done(Err(closed()));
        }
        let (sender, receiver) = oneshot::channel();
        let batches = self.under_way.get_mut(request).into_iter().flatten();
        if let Some(under_way) = batches.into_iter().find(|under_way| under_way.began >= not_before) {
            under_way.waiters.push(sender);
            return Wait::For(receiver);
        }
        let lane = Lane::of(request) as usize;
        if let Some(asked) = self.asked.get_mut(request) {
            asked.waiters.push(sender);
            if urgency < asked.urgency {
                asked.urgency = urgency;
                let [soon, later] = &mut self.waiting[lane];
                if let Some(place) = later.iter().position(|waiting| **waiting == *request) {
                    soon.extend(later.remove(place));
                }
            }
            return Wait::For(receiver);
        }
        let request = Arc::new(request.clone());
        let asked = Asked { since: Instant::now(), urgency, waiters: vec![sender] };
        self.asked.insert(Arc::clone(&request), asked);
        self.waiting[lane][usize::from(urgency == Urgency::Later)].push_back(request);
        Wait::For(receiver)
    }

    fn len(&self, lane: Lane) -> usize {
        self.waiting[lane as usize].iter().map(VecDeque::len).sum()
    }

    fn oldest(&self, lane: Lane) -> Option<Instant> {
        let since = |request: &Arc<Request>| self.asked.get(request).map(|asked| asked.since);
        self.waiting[lane as usize].iter().filter_map(|queue| queue.front().and_then(since)).min()
    }

    /// Takes up to `most` requests, the urgent ones first; those that nobody waits for any more are left out.
    fn take(&mut self, lane: Lane, most: usize) -> Batch {
        self.last += 1;
        let (number, began) = (self.last, Instant::now());
        let mut requests = Vec::new();
        while requests.len() < most {
            let [soon, later] = &mut self.waiting[lane as usize];
            let Some(request) = soon.pop_front().or_else(|| later.pop_front()) else { break };
            let Some(mut asked) = self.asked.remove(&request) else { continue };
            asked.waiters.retain(|waiter| !waiter.is_closed());
            if asked.waiters.is_empty() {
                continue;
            }
            requests.push(Request::clone(&request));
            let under_way = UnderWay { began, batch: number, waiters: asked.waiters };
            self.under_way.entry(request).or_default().push(under_way);
        }
        Batch { number, requests }
    }

    fn answer(&mut self, batch: u64, request: Request, reply: &Reply) {
        let Some(batches) = self.under_way.get_mut(&request) else { return };
        let Some(place) = batches.iter().position(|under_way| under_way.batch == batch) else { return };
        let under_way = batches.remove(place);
        if batches.is_empty() {
            self.under_way.remove(&request);
        }
        if let Ok(answer) = reply {
            let (began, answer) = (under_way.began, Arc::downgrade(answer));
            // A later batch may have ended before.
            if self.recent.get(&request).is_none_or(|(at, _)| *at <= began) {
                self.recent.insert(Arc::new(request), (began, answer));
            }
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

/// Sends what waits in a lane, batch by batch, for ever.
async fn work(shared: Arc<Shared>, lane: Lane) {
    let (size, most) = match lane {
        Lane::Single => (shared.provider.batch_size().max(1), BATCHES),
        Lane::Find => (1, FINDS),
    };
    let news = &shared.news[lane as usize];
    let mut batches = JoinSet::new();
    loop {
        // One that panicked has told its waiters so by its end.
        while batches.try_join_next().is_some() {}
        let (length, oldest) = {
            let state = shared.state();
            (state.len(lane), state.oldest(lane))
        };
        let Some(oldest) = oldest else {
            news.notified().await;
            continue;
        };
        if batches.len() >= most {
            batches.join_next().await;
            continue;
        }
        let window = if batches.is_empty() { WINDOW } else { PATIENCE };
        let due = oldest + window;
        // One that is a batch by itself still waits for others that ask the same.
        let is_full = length >= size && matches!(lane, Lane::Single);
        if !is_full && Instant::now() < due {
            tokio::select! {
                () = tokio::time::sleep_until(due) => {}
                () = news.notified() => {}
                Some(_) = batches.join_next(), if !batches.is_empty() => {}
            }
            continue;
        }
        let batch = {
            let mut state = shared.state();
            state.forget_old();
            state.take(lane, size)
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
        self.shared.state().under_way.retain(|_, batches| {
            batches.retain(|under_way| under_way.batch != self.batch);
            !batches.is_empty()
        });
    }
}

#[cfg(test)]
mod tests;
