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
        self.pressure().1.admit(now).map_err(|_| {
            // No word of when it is asked again: that would be another message each time, and each a write.
            let message = format!("{} does not answer, and is asked less often until it does", self.inner.provider);
            ProviderError { is_held_back: true, ..ProviderError::new(Cause::Unavailable, message) }
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

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::FutureExt as _;
    use futures::future::join_all;

    use super::*;

    /// What the gate told, a call each.
    #[derive(Default)]
    struct Told(Mutex<Vec<(&'static str, &'static str, bool, u128)>>);

    impl Meter for Told {
        fn called(&self, provider: &'static str, call: &'static str, is_ok: bool, took: Duration) {
            self.0.lock().unwrap().push((provider, call, is_ok, took.as_millis()));
        }
    }

    fn unlimited() -> Gate {
        Gate::new("Test", Budget::new(1e6, 1e6), Arc::new(Unmetered))
    }

    fn failure(cause: Cause) -> Result<(), ProviderError> {
        Err(ProviderError::new(cause, "of the test"))
    }

    /// Makes calls that fail until the breaker opens.
    async fn shut(gate: &Gate) {
        for _ in 0..5 {
            assert!(!gate.is_closed());
            gate.call("Get", ready(failure(Cause::Unavailable))).await.unwrap_err();
        }
        assert!(gate.is_closed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_budget_makes_calls_wait_for_their_turn() {
        let gate = Gate::new("Test", Budget::new(10.0, 2.0), Arc::new(Unmetered));
        let began = Instant::now();
        let call = |_| gate.call("Get", async { Ok(began.elapsed().as_millis()) });
        let times: Vec<_> = join_all((0..5).map(call)).await.into_iter().map(Result::unwrap).collect();
        // The clock of the runtime ticks in milliseconds.
        for (time, expected) in times.iter().zip([0, 0, 100, 200, 300]) {
            assert!(time.abs_diff(expected) <= 2, "{times:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_clone_shares_budget_and_breaker() {
        let gate = Gate::new("Test", Budget::new(10.0, 1.0), Arc::new(Unmetered));
        let began = Instant::now();
        gate.call("Get", ready(Ok(()))).await.unwrap();
        gate.clone().call("Get", ready(Ok(()))).await.unwrap();
        assert!(began.elapsed() >= Duration::from_millis(99));
        let gate = unlimited();
        shut(&gate.clone()).await;
        assert!(gate.is_closed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_does_not_answer_is_left_alone_and_then_tried_by_one() {
        let gate = unlimited();
        shut(&gate).await;
        let runs = AtomicUsize::new(0);
        let counted = || async {
            runs.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        let refused = gate.call("Get", counted()).await.unwrap_err();
        assert_eq!((refused.cause, runs.load(Ordering::Relaxed)), (Cause::Unavailable, 0));
        assert!(refused.message.starts_with("Test does not answer") && refused.is_held_back, "{refused}");
        tokio::time::advance(Duration::from_millis(3)).await;
        assert_eq!(gate.call("Get", counted()).await.unwrap_err(), refused, "the same words each time");

        tokio::time::advance(Duration::from_secs(1)).await;
        let (one, other) = tokio::join!(
            gate.call("Get", async {
                tokio::time::sleep(Duration::from_millis(10)).await;
                counted().await
            }),
            gate.call("Get", counted()),
        );
        assert_eq!((one, other.unwrap_err().cause, runs.load(Ordering::Relaxed)), (Ok(()), Cause::Unavailable, 1));
        assert!(!gate.is_closed());
        gate.call("Get", counted()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_that_fails_keeps_the_breaker_open_for_longer() {
        let gate = unlimited();
        shut(&gate).await;
        tokio::time::advance(Duration::from_secs(1)).await;
        let error = gate.call("Get", ready(failure(Cause::Unavailable))).await.unwrap_err();
        assert_eq!(error.message, "of the test", "it was tried");
        // From 1 to 2 s now, by the jitter.
        tokio::time::advance(Duration::from_millis(990)).await;
        assert_ne!(gate.call("Get", ready(failure(Cause::Missing))).await.unwrap_err().message, "of the test");
        tokio::time::advance(Duration::from_millis(1010)).await;
        gate.call("Get", ready(Ok(()))).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_an_answer() {
        for cause in [Cause::Missing, Cause::Invalid, Cause::Denied, Cause::Unauthenticated, Cause::Misconfigured] {
            let gate = unlimited();
            for _ in 0..20 {
                assert_eq!(gate.call("Get", ready(failure(cause))).await.unwrap_err().message, "of the test");
            }
            assert!(!gate.is_closed(), "{cause:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn throttling_shuts_the_gate_too_and_an_answer_in_between_counts() {
        let gate = unlimited();
        for _ in 0..3 {
            for _ in 0..4 {
                gate.call("Get", ready(failure(Cause::Throttled { after: None }))).await.unwrap_err();
            }
            gate.call("Get", ready(Ok(()))).await.unwrap();
        }
        assert!(!gate.is_closed(), "never five in a row");
        for _ in 0..5 {
            gate.call("Get", ready(failure(Cause::Throttled { after: None }))).await.unwrap_err();
        }
        assert!(gate.is_closed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_takes_too_long_is_an_outage() {
        let gate = unlimited();
        let began = Instant::now();
        let error = gate.call("Get", pending::<Result<(), _>>()).await.unwrap_err();
        assert_eq!(error, ProviderError::new(Cause::Unavailable, "Test: no answer to Get within 30 s"));
        assert_eq!(began.elapsed().as_secs(), 30);
        for _ in 0..4 {
            gate.call("Get", pending::<Result<(), _>>()).await.unwrap_err();
        }
        assert!(gate.is_closed());
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_for_the_budget_is_not_part_of_a_calls_time() {
        let gate = Gate::new("Test", Budget::new(0.02, 1.0), Arc::new(Unmetered));
        let began = Instant::now();
        gate.call("Get", ready(Ok(()))).await.unwrap();
        gate.call("Get", ready(Ok(()))).await.unwrap();
        assert!(began.elapsed() > PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_that_is_given_up_lets_the_next_one_try() {
        let gate = unlimited();
        shut(&gate).await;
        tokio::time::advance(Duration::from_secs(1)).await;
        let mut tried = Box::pin(gate.call("Get", pending::<Result<(), _>>()));
        assert!(tried.as_mut().now_or_never().is_none());
        gate.call("Get", ready(Ok(()))).await.unwrap_err();
        drop(tried);
        gate.call("Get", ready(Ok(()))).await.unwrap();
        assert!(!gate.is_closed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_given_up_is_no_failure() {
        let gate = unlimited();
        for _ in 0..20 {
            assert!(gate.call("Get", pending::<Result<(), _>>()).now_or_never().is_none());
        }
        assert!(!gate.is_closed());
    }

    #[tokio::test(start_paused = true)]
    async fn the_meter_is_told_of_calls_that_were_made_and_of_no_others() {
        let told = Arc::new(Told::default());
        let gate = Gate::new("Test", Budget::new(1e6, 1e6), told.clone());
        gate.call("Get", ready(Ok(()))).await.unwrap();
        gate.call("List", ready(failure(Cause::Missing))).await.unwrap_err();
        gate.call("Get", pending::<Result<(), _>>()).await.unwrap_err();
        let expected = [("Test", "Get", true, 0), ("Test", "List", false, 0), ("Test", "Get", false, 30_000)];
        assert_eq!(*told.0.lock().unwrap(), expected);
        for _ in 0..4 {
            gate.call("Get", ready(failure(Cause::Unavailable))).await.unwrap_err();
        }
        assert!(gate.is_closed());
        gate.call("Get", ready(Ok(()))).await.unwrap_err();
        assert_eq!(told.0.lock().unwrap().len(), 7);
    }
}
