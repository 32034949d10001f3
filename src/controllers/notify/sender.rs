//! Posting: one task for each receiver, with retries.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, StatusCode, Url, redirect};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::board::Digest;
use super::{Destination, Feed, message};
use crate::controllers::random;

/// What comes within this time goes into one post.
const WINDOW: Duration = Duration::from_secs(1);
/// How long one post may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two tries: doubled from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// A post that could not be delivered for so long is given up: what it says is old.
const GIVE_UP: Duration = Duration::from_secs(3600);

/// What a receiver takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// What Slack takes.
    Slack,
    /// Our JSON.
    Json,
}

impl Format {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::Json => "webhook",
        }
    }
}

/// How posts went.
#[derive(Clone, Default)]
pub(super) struct Sent(Family<Post, Counter>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Post {
    receiver: &'static str,
    outcome: &'static str,
}

impl Sent {
    pub(super) fn register(&self, registry: &mut Registry) {
        let ours = registry.sub_registry_with_prefix("bulla");
        ours.register("notification_posts", "Posts to receivers of notices: sent, retried, dropped", self.0.clone());
    }

    fn count(&self, receiver: Format, outcome: &'static str) {
        self.0.get_or_create(&Post { receiver: receiver.as_str(), outcome }).inc();
    }
}

/// Posts to one receiver what is on its board.
pub(super) struct Sender {
    pub(super) format: Format,
    pub(super) destination: Destination,
    pub(super) key: Option<Destination>,
    pub(super) feed: Arc<Feed>,
    pub(super) sent: Sent,
}

/// All who post.
pub(in crate::controllers) struct Senders(pub(super) Vec<Sender>);

impl Senders {
    /// Posts until `shutdown`.
    pub(in crate::controllers) async fn run(self, shutdown: CancellationToken) {
        let mut tasks = JoinSet::new();
        for sender in self.0 {
            tasks.spawn(sender.run());
        }
        shutdown.cancelled().await;
    }
}

/// Why a post was not taken.
struct Refused {
    /// Free of the address, which is a secret.
    why: String,
    /// Whether another try makes sense, and not before when.
    again: Option<Duration>,
}

impl Refused {
    fn later(why: impl Into<String>) -> Self {
        Self { why: why.into(), again: Some(Duration::ZERO) }
    }
}

impl Sender {
    async fn run(self) {
        let client = Client::builder().timeout(PATIENCE).redirect(redirect::Policy::none()).build();
        let Ok(client) = client else {
            warn!(receiver = self.format.as_str(), "no HTTP client can be made: nobody is told of anything");
            return;
        };
        loop {
            self.wait().await;
            tokio::time::sleep(WINDOW).await;
            let digest = self.feed.board().digest(Instant::now());
            if let Some(digest) = digest {
                self.deliver(&client, &digest).await;
            }
        }
    }

    /// Waits until there is something to tell.
    async fn wait(&self) {
        loop {
            let next = self.feed.board().next(Instant::now());
            match next {
                Some(next) if next <= Instant::now() => return,
                Some(next) => tokio::select! {
                    () = tokio::time::sleep_until(next) => {}
                    () = self.feed.wake.notified() => {}
                },
                None => self.feed.wake.notified().await,
            }
        }
    }

    async fn deliver(&self, client: &Client, digest: &Digest) {
        let receiver = self.format.as_str();
        let body = match self.format {
            Format::Slack => message::slack(digest),
            Format::Json => message::plain(digest),
        };
        let (began, mut pause, mut warned) = (Instant::now(), PAUSES.0, false);
        loop {
            let refused = match self.post(client, &body).await {
                Ok(()) => {
                    self.sent.count(self.format, "sent");
                    let notices = digest.items.len() + digest.more;
                    if warned {
                        info!(receiver, notices, "the receiver of notices is back");
                    }
                    debug!(receiver, notices, "told");
                    return;
                }
                Err(refused) => refused,
            };
            let again = refused.again.filter(|_| began.elapsed() < GIVE_UP);
            let Some(least) = again else {
                self.sent.count(self.format, "dropped");
                warn!(receiver, why = refused.why, "notices cannot be told and are dropped");
                return;
            };
            self.sent.count(self.format, "retried");
            if !std::mem::replace(&mut warned, true) {
                warn!(receiver, why = refused.why, "notices cannot be told now; trying again");
            }
            let jitter = pause / 2 + Duration::from_millis(random() % 1000).min(pause / 2);
            tokio::time::sleep(jitter.max(least)).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    async fn post(&self, client: &Client, body: &[u8]) -> Result<(), Refused> {
        let unreadable = |_| Refused::later("the file with its address cannot be read");
        let address = self.destination.read().map_err(unreadable)?;
        let address = Url::parse(&address).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let address = address.ok_or_else(|| Refused::later("its address is no http or https URL"))?;
        let mut request = client.post(address).header(CONTENT_TYPE, "application/json").body(body.to_vec());
        if let Some(key) = &self.key {
            let key = key.read().map_err(|_| Refused::later("the file with the key to sign with cannot be read"))?;
            let time = Timestamp::now().as_second().to_string();
            let signature = message::signature(key.as_bytes(), &time, body);
            request = request.header("x-bulla-timestamp", time).header("x-bulla-signature", signature);
        }
        // An error of the client's quotes the address: only its kind is told.
        let answer = request.send().await.map_err(|error| {
            Refused::later(if error.is_timeout() { "it does not answer in time" } else { "it cannot be reached" })
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let after = answer.headers().get(RETRY_AFTER).and_then(|after| after.to_str().ok()?.trim().parse().ok());
        let passing = status.is_server_error()
            || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS);
        let least = Duration::from_secs(after.unwrap_or(0)).min(PAUSES.1);
        Err(Refused { why: format!("it answered {}", status.as_u16()), again: passing.then_some(least) })
    }
}
