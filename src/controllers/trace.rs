//! Spans for traces: a pass, and the steps of it. They cost nothing unless traces are sent somewhere.
//!
//! A span names an object and what is done with it, never what is in it.

/// The target of these spans: it keeps them apart from the log, whose lines they would only lengthen.
pub const TARGET: &str = "bulla::trace";

/// A pass over one object.
macro_rules! pass {
    ($kind:expr, $key:expr) => {
        tracing::info_span!(
            target: crate::controllers::trace::TARGET,
            "reconcile",
            kind = $kind.as_str(),
            namespace = $key.namespace(),
            name = $key.name(),
        )
    };
}

/// A step of a pass.
macro_rules! step {
    ($name:literal) => {
        tracing::info_span!(target: crate::controllers::trace::TARGET, $name)
    };
}

pub(in crate::controllers) use {pass, step};
