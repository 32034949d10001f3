//! Telling somebody: a post to a webhook when the host leaves the good way, and when it is back.

use std::path::Path;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::{Client, Url, redirect};
use serde_json::json;
use sha2::Sha256;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::warn;

use super::listeners::secret;
use super::status::{Condition, Status};
use crate::host::config::Notify as Settings;

/// How long one post may take, and how often it is tried.
const PATIENCE: Duration = Duration::from_secs(10);
const TRIES: u32 = 5;
/// The same failure is told again after this time, unless the settings say otherwise.
const AGAIN: Duration = Duration::from_secs(3600);

/// Posts what is worth telling, in a task of its own: a receiver that is away holds nobody up.
pub(super) struct Teller {
    posts: mpsc::Sender<Vec<u8>>,
    every: Duration,
    told: Option<(Condition, String, Instant)>,
}

impl Teller {
    /// A teller; its task ends with it.
    pub(super) fn new(settings: &Settings) -> Self {
        // A receiver that was away for long is told the newest things only.
        let (posts, mut waiting) = mpsc::channel::<Vec<u8>>(16);
        let Settings { webhook_file, key_file, every } = settings.clone();
        tokio::spawn(async move {
            while let Some(body) = waiting.recv().await {
                deliver(&webhook_file, key_file.as_deref(), body).await;
            }
        });
        Self { posts, every: every.unwrap_or(AGAIN), told: None }
    }

    /// Posts the status if it is news: a failure, another failure, or that all is well again.
    pub(super) fn tell(&mut self, status: &Status) {
        if status.condition == Condition::Trying {
            // Neither well nor not: soon it is known.
            return;
        }
        let is_well = matches!(status.condition, Condition::InSync | Condition::Starting);
        let news = match &self.told {
            None => !is_well,
            Some((condition, message, at)) => {
                let is_same = *condition == status.condition && *message == status.message;
                !is_same || (!is_well && at.elapsed() >= self.every)
            }
        };
        if !news {
            return;
        }
        self.told = (!is_well).then(|| (status.condition, status.message.clone(), Instant::now()));
        if self.posts.try_send(body(status)).is_err() {
            warn!("the webhook's receiver is away: this is not told");
        }
    }
}

fn body(status: &Status) -> Vec<u8> {
    let text = format!("bulla on {}: {}", status.host, status.message);
    let bad = status.bad.last().filter(|_| status.condition == Condition::RolledBack);
    let said = json!({
        "text": text,
        "host": status.host,
        "condition": status.condition,
        "message": status.message,
        "commit": status.good.as_ref().map(|good| &good.commit),
        "tip": status.tip,
        "badCommit": bad.map(|bad| &bad.commit),
        "problems": status.problems,
        "at": status.at,
    });
    said.to_string().into_bytes()
}

async fn deliver(webhook: &Path, key: Option<&Path>, body: Vec<u8>) {
    let mut pause = Duration::from_secs(1);
    for tried in 1..=TRIES {
        match post(webhook, key, &body).await {
            Ok(()) => return,
            Err(why) if tried == TRIES => warn!(why, "the webhook was not told"),
            Err(_) => {
                tokio::time::sleep(pause).await;
                pause *= 4;
            }
        }
    }
}

/// Posts once. The address is a secret: it is in no error.
async fn post(webhook: &Path, key: Option<&Path>, body: &[u8]) -> Result<(), String> {
    let address = secret(webhook).map_err(|error| format!("cannot read {}: {error}", webhook.display()))?;
    let url = Url::parse(&address).map_err(|_| format!("{} holds no URL", webhook.display()))?;
    let mut builder = Client::builder().timeout(PATIENCE).redirect(redirect::Policy::none());
    if url.scheme() == "http" {
        // A machine without certificates of authorities is no reason to be silent.
        builder = builder.tls_certs_only(Vec::new());
    }
    let client = builder.build();
    let client = client.map_err(|_| "no HTTP client can be made".to_owned())?;
    let mut request = client.post(url).header("content-type", "application/json").body(body.to_vec());
    if let Some(key) = key {
        let key = secret(key).map_err(|error| format!("cannot read {}: {error}", key.display()))?;
        let mut signature = Hmac::<Sha256>::new_from_slice(key.as_bytes()).map_err(|_| "no key".to_owned())?;
        signature.update(body);
        let hex: String = signature.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        request = request.header("x-bulla-signature-256", format!("sha256={hex}"));
    }
    let answer = request.send().await.map_err(|error| error.without_url().to_string())?;
    if answer.status().is_success() { Ok(()) } else { Err(format!("the receiver answered {}", answer.status())) }
}
