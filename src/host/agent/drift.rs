//! Changes by hand: found, told, and put back.

use tracing::warn;

use super::Agent;
use super::take::Why;
use crate::host::sink::{Drift, Repaired};

impl Agent {
    /// Compares every file with what it should be, and puts back what is not.
    pub(super) async fn look_for_drift(&mut self) {
        let repair = self.config.drift.repair;
        let looked = self.with_sink(move |sink| {
            let found = sink.drift()?;
            let repaired = if repair && !found.is_empty() { Some(sink.repair()?) } else { None };
            Ok::<_, crate::host::sink::Error>((found, repaired))
        });
        let (found, repaired) = match looked.await {
            Ok(looked) => looked,
            Err(error) => {
                warn!(error = super::chain(&error), "files cannot be compared");
                return;
            }
        };
        let Some(first) = found.first() else { return };
        for drift in &found {
            warn!(repaired = repair, "changed by hand: {}", sentence(drift));
        }
        self.status.drifts += found.len() as u64;
        self.status.last_drift = Some(sentence(first));
        if let Some(Repaired { settled, stage_again }) = repaired {
            for problem in &settled.problems {
                warn!("{problem}");
            }
            // What stood in the generation itself is gone: it is made anew from the commit.
            if stage_again && let Some(good) = self.good() {
                self.take_again(&good, Why::Again).await;
            }
        }
        self.settle_condition();
        self.publish();
    }
}

fn sentence(drift: &Drift) -> String {
    match drift {
        Drift::Current => "the link to the generation in use".to_owned(),
        Drift::Path { path, found, .. } => format!("{}: {found}", path.display()),
        Drift::Generation { path, what, .. } => {
            let what: Vec<String> = what.iter().map(|aspect| format!("{aspect:?}").to_lowercase()).collect();
            format!("{}: its {} changed in place", path.display(), what.join(", "))
        }
    }
}
