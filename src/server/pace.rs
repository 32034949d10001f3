//! When an answer goes out: at one of a few moments, so that its time says as little as its text.

use std::time::Duration;

/// The moments lie this far apart.
pub(super) const QUANTUM: Duration = Duration::from_millis(20);

/// How long after its begin the answer to work goes out that took `took`: the next whole number of quanta, at least
/// one.
pub(super) fn padded(took: Duration) -> Duration {
    let quanta = took.as_nanos().div_ceil(QUANTUM.as_nanos()).max(1);
    u32::try_from(quanta).map_or(took, |quanta| QUANTUM.saturating_mul(quanta))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn answers_go_out_at_whole_quanta() {
        for (took, at) in [(0, 20), (1, 20), (19, 20), (20, 20), (21, 40), (6_000, 6_000), (6_001, 6_020)] {
            assert_eq!(padded(Duration::from_millis(took)), Duration::from_millis(at), "{took}");
        }
        assert_eq!(padded(Duration::from_nanos(1)), QUANTUM);
        assert_eq!(padded(QUANTUM + Duration::from_nanos(1)), QUANTUM * 2);
        assert_eq!(padded(Duration::MAX), Duration::MAX, "no overflow");
    }

    proptest! {
        #[test]
        fn an_answer_is_never_early_and_less_than_a_quantum_late(nanos in 0_u64..1_000_000_000_000) {
            let took = Duration::from_nanos(nanos);
            let at = padded(took);
            prop_assert!(at >= took && at >= QUANTUM);
            prop_assert!(at == QUANTUM || at - took < QUANTUM);
            prop_assert_eq!(at.as_nanos() % QUANTUM.as_nanos(), 0);
        }
    }
}
