//! SealedSecrets compared and merged by data key.
