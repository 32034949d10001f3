//! How a call is made: with credentials that are good, through the gate, as often as the store says.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};

use super::credentials::Identity;
use super::error::explain;
use crate::providers::{Cause, Gate, ProviderError};

/// The first wait between two tries where the store names none; it doubles.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest such wait.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// Makes the calls of one store.
pub(super) struct Calls {
    gate: Gate,
    identity: Arc<Identity>,
    attempts: u32,
    interval: Option<Duration>,
}

impl Calls {
    pub(super) fn new(gate: Gate, identity: Arc<Identity>, attempts: Option<u32>, interval: Option<Duration>) -> Self {
        Self { gate, identity, attempts: attempts.unwrap_or(1).max(1), interval }
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Makes the call `name` about `what`. A try that meets a fault that passes is repeated as often as the store asks
    /// for: by us and not by the SDK, so that the gate sees every one.
    pub(super) async fn make<T, E, F>(
        &self,
        name: &'static str,
        what: &str,
        send: impl Fn() -> F + Send + Sync,
    ) -> Result<T, ProviderError>
    where
        T: Send,
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
        F: Future<Output = Result<T, SdkError<E>>> + Send,
    {
        let mut tried = 0;
        let mut has_renewed = false;
        loop {
            let held = self.identity.ready().await?;
            let answer = async { send().await.map_err(|error| explain(what, &error)) };
            let error = match self.gate.call(name, answer).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            tried += 1;
            match error.cause {
                // Credentials may be taken back before their time.
                Cause::Unauthenticated if self.identity.forget(held) && !has_renewed => has_renewed = true,
                Cause::Throttled { after } if tried < self.attempts => {
                    tokio::time::sleep(after.unwrap_or_else(|| self.wait(tried)).min(LONGEST_WAIT)).await;
                }
                Cause::Unavailable if tried < self.attempts => tokio::time::sleep(self.wait(tried)).await,
                Cause::Unauthenticated
                | Cause::Throttled { .. }
                | Cause::Unavailable
                | Cause::Missing
                | Cause::Invalid
                | Cause::Denied
                | Cause::Misconfigured => return Err(error),
            }
        }
    }

    fn wait(&self, tried: u32) -> Duration {
        self.interval.unwrap_or_else(|| {
            let longest = FIRST_WAIT.saturating_mul(1 << tried.saturating_sub(1).min(5)).min(LONGEST_WAIT);
            // Between a half and the whole of it, so that many do not come back together.
            let share = u32::try_from(crate::providers::random() % 1000).unwrap_or(0);
            longest / 2 + longest * share / 2000
        })
    }
}
