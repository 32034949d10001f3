//! Somebody who asks the proxy all the time, over HTTPS, with a password, on a new connection each time.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

/// What the proxy answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The header `X-Version`.
    pub(crate) version: Option<String>,
    pub(crate) body: String,
}

/// Asks until it is dropped.
pub(crate) struct Visitor {
    client: reqwest::Client,
    url: String,
    password: String,
    seen: Arc<Seen>,
    asking: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    stop: AtomicBool,
    answered: AtomicUsize,
    failures: Mutex<Vec<String>>,
}

impl Visitor {
    /// Knows the certificate `ca`, PEM, and the password of the user `sam`.
    pub(crate) fn new(port: u16, ca: &str, password: &str) -> Self {
        let client = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(ca.as_bytes()).unwrap()])
            .resolve("proxy.example.com", ([127, 0, 0, 1], port).into())
            .no_proxy()
            .pool_max_idle_per_host(0)
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        let url = format!("https://proxy.example.com:{port}/");
        Self { client, url, password: password.to_owned(), seen: Arc::default(), asking: None }
    }

    pub(crate) async fn ask(&self) -> Result<Answer, String> {
        ask(&self.client, &self.url, &self.password).await
    }

    /// Begins to ask all the time.
    pub(crate) fn begin(&mut self) {
        let (client, url, password) = (self.client.clone(), self.url.clone(), self.password.clone());
        let seen = Arc::clone(&self.seen);
        self.asking = Some(tokio::spawn(async move {
            while !seen.stop.load(Ordering::Relaxed) {
                match ask(&client, &url, &password).await {
                    Ok(Answer { status: 200, .. }) => drop(seen.answered.fetch_add(1, Ordering::Relaxed)),
                    other => seen.failures.lock().unwrap().push(format!("{other:?}")),
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }));
    }

    /// How many requests were answered well since the last call, and what came of the others.
    pub(crate) fn seen(&self) -> (usize, Vec<String>) {
        let failures = std::mem::take(&mut *self.seen.failures.lock().unwrap());
        (self.seen.answered.swap(0, Ordering::Relaxed), failures)
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.seen.stop.store(true, Ordering::Relaxed);
        if let Some(asking) = &self.asking {
            asking.abort();
        }
    }
}

async fn ask(client: &reqwest::Client, url: &str, password: &str) -> Result<Answer, String> {
    let said = |error: reqwest::Error| format!("{error:?}");
    let answer = client.get(url).basic_auth("sam", Some(password)).send().await.map_err(said)?;
    let version = answer.headers().get("x-version").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let status = answer.status().as_u16();
    Ok(Answer { status, version, body: answer.text().await.map_err(said)? })
}
