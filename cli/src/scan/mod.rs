//! Secrets in the clear, found by structure and by shape.
