//! Changes by hand: found, told, and put back.

use tracing::warn;

use super::Agent;
use super::take::Why;
use crate::host::sink::Drift;

impl Agent {
    /// Compares every file with what it should be, and puts back what is not. Returns whether anything was found.
    pub(super) async fn look_for_drift(&mut self) -> bool {
        let repair = self.config.drift.repair;
        let found = self.with_sink(move |sink| if repair { sink.repair() } else { sink.drift() }).await;
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                warn!(%error, "files cannot be compared");
                return false;
            }
        };
        let Some(first) = found.first() else { return false };
        for drift in &found {
            warn!(%drift, repaired = repair, "changed by hand");
        }
        self.status.drifts += found.len() as u64;
        self.status.last_drift = Some(first.to_string());
        // What stood in the generation itself is gone: it is made anew from the commit.
        if repair
            && found.iter().any(Drift::is_of_generation)
            && let Some(good) = self.good()
        {
            self.take_again(&good, Why::Drift).await;
        }
        self.settle_condition();
        self.publish();
        true
    }
}
