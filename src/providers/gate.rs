//! Every call to a provider passes its store's gate.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::error::{Cause, ProviderError};
use crate::sync::pressure::{Breaker, Budget};

/// Is told of every call.
pub trait Meter: Send + Sync + 'static {
    /// A call named `call` ended.
    fn called(&self, provider: &'static str, call: &'static str, is_ok: bool, took: Duration);
}

/// A [`Meter`] that counts nothing.
pub struct Unmetered;

impl Meter for Unmetered {
    fn called(&self, _: &'static str, _: &'static str, _: bool, _: Duration) {}
}

/// Calls a second in the long run, unless said otherwise. AWS throttles an account at several thousand reads of
/// Secrets Manager a second and at 40 of Parameter Store.
pub const CALLS_PER_SECOND: f64 = 20.0;
/// Calls at once after a rest.
pub const BURST: f64 = 40.0;
/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The one way to a store's server: keeps to a budget, stops at a breaker, and counts.
#[derive(Clone)]
pub struct Gate {
    inner: Arc<Inner>,
}

struct Inner {
    provider: &'static str,
    began: Instant,
    pressure: Mutex<(Budget, Breaker)>,
    meter: Arc<dyn Meter>,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("provider", &self.inner.provider).finish_non_exhaustive()
    }
}

impl Gate {
    /// A gate to a store of `provider`, with `budget`.
    #[must_use]
    pub fn new(provider: &'static str, budget: Budget, meter: Arc<dyn Meter>) -> Self {
        let pressure = Mutex::new((budget, Breaker::default()));
        Self { inner: Arc::new(Inner { provider, began: Instant::now(), pressure, meter }) }
    }

    /// A gate with the usual budget that nobody watches.
    #[must_use]
    pub fn unmetered(provider: &'static str) -> Self {
        Self::new(provider, Budget::new(CALLS_PER_SECOND, BURST), Arc::new(Unmetered))
    }

    /// Makes one call to the server once the budget has room for it.
    ///
    /// # Errors
    /// Those of `work`; [`Cause::Unavailable`] if the breaker is open or the call takes too long.
    pub async fn call<T>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<T, ProviderError> {
        self.admit()?;
        let mut pass = Pass { gate: self, ended: false };
        let wait = self.pressure().0.take(self.now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        let began = Instant::now();
        let result = tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| {
            let message = format!("{}: no answer to {name} within {} s", self.inner.provider, PATIENCE.as_secs());
            Err(ProviderError::new(Cause::Unavailable, message))
        });
        pass.ended = true;
        let now = self.now();
        match &result {
            Err(error) if error.is_outage() => self.pressure().1.failed(now, crate::providers::random()),
            Ok(_) | Err(_) => self.pressure().1.answered(),
        }
        self.inner.meter.called(self.inner.provider, name, result.is_ok(), began.elapsed());
        result
    }

    /// Whether calls are being held back because the store does not answer.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.pressure().1.is_open()
    }

    fn admit(&self) -> Result<(), ProviderError> {
        let now = self.now();
        self.pressure().1.admit(now).map_err(|wait| {
            let provider = self.inner.provider;
            let message = format!("{provider} does not answer; it is asked again in {} ms", wait.as_millis());
            ProviderError::new(Cause::Unavailable, message)
        })
    }

    fn now(&self) -> Duration {
        self.inner.began.elapsed()
    }

    fn pressure(&self) -> MutexGuard<'_, (Budget, Breaker)> {
        self.inner.pressure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call under way; one that is dropped leaves the breaker's try to another.
struct Pass<'a> {
    gate: &'a Gate,
    ended: bool,
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.gate.pressure().1.abandoned();
        }
    }
}
