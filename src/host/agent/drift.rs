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
        let before = std::mem::take(&mut self.status.drifted);
        if found.is_empty() {
            if !before.is_empty() {
                self.publish();
            }
            return;
        }
        let sentences: Vec<String> = found.iter().map(sentence).collect();
        // What is not put back is found each time, and told once.
        let new: Vec<&String> = sentences.iter().filter(|sentence| !before.contains(sentence)).collect();
        for sentence in &new {
            warn!(repaired = repair, "changed by hand: {sentence}");
        }
        self.status.drifts += new.len() as u64;
        self.status.last_drift = sentences.first().cloned();
        if !repair {
            self.status.drifted = sentences;
        }
        if let Some(Repaired { settled, stage_again }) = repaired {
            self.status.drifted = settled.problems.iter().map(ToString::to_string).collect();
            for problem in &settled.problems {
                warn!("{problem}");
            }
            // What stood in the generation itself is gone: it is made anew from the commit.
            if stage_again && let Some(good) = self.good() {
                self.take_again(&good, Why::Again).await;
            }
        }
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
