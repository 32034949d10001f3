//! Why a SealedSecret is not in sync, and what that means for the next try.

use bulla_crds::Oddity;

use crate::controllers::api::ApiError;
use crate::seal::OpenErrors;
use crate::secret::TargetErrors;
use crate::sync::Refusal;
use crate::sync::schedule::Class;

/// Why a SealedSecret could not be brought into sync. Its text is short and free of values: it goes into the status.
#[derive(Debug, thiserror::Error)]
pub(in crate::controllers) enum SyncError {
    /// Fields of a wrong type.
    #[error("{}", oddities(.0))]
    Malformed(Vec<Oddity>),
    /// Values that do not open.
    #[error("{0}")]
    Open(OpenErrors),
    /// Values that do not make a Secret.
    #[error("{0}")]
    Target(TargetErrors),
    /// A Secret that must not or cannot be written.
    #[error("{0}")]
    Refused(Refusal),
    /// The Secret could not be read.
    #[error("cannot read the Secret: {0}")]
    Read(#[source] ApiError),
    /// The Secret could not be written.
    #[error("cannot write the Secret: {0}")]
    Write(#[source] ApiError),
    /// The opening was cut short by a fault of ours.
    #[error("the controller failed to open it; this is a bug")]
    Panicked,
}

impl SyncError {
    /// The reason in `CamelCase`.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "Malformed",
            Self::Open(errors) => errors.reason(),
            Self::Target(errors) => errors.reason(),
            Self::Refused(refusal) => refusal.reason(),
            Self::Read(error) | Self::Write(error) => error.reason(),
            Self::Panicked => "InternalError",
        }
    }

    /// How soon another try makes sense.
    pub(super) const fn class(&self) -> Class {
        match self {
            Self::Malformed(_) | Self::Open(_) | Self::Target(_) | Self::Panicked => Class::Terminal,
            Self::Refused(_) => Class::Blocked,
            Self::Read(error) | Self::Write(error) => error.class(),
        }
    }

    /// Whether nothing will change until somebody acts: kstatus' `Stalled`.
    pub(super) fn is_stalled(&self) -> bool {
        match self {
            // Retried often, since the blocker may go, but only a person makes it go.
            Self::Refused(refusal) => *refusal != Refusal::Terminating,
            Self::Malformed(_) | Self::Open(_) | Self::Target(_) | Self::Panicked | Self::Read(_) | Self::Write(_) => {
                self.class().is_terminal()
            }
        }
    }

    /// Whether a key that arrives might mend it.
    pub(super) fn wants_key(&self) -> bool {
        match self {
            Self::Open(errors) => errors.wants_key(),
            Self::Malformed(_)
            | Self::Target(_)
            | Self::Refused(_)
            | Self::Read(_)
            | Self::Write(_)
            | Self::Panicked => false,
        }
    }

    /// Upstream's word for the kind of failure, a label of its error metric.
    pub(super) const fn metric(&self) -> &'static str {
        match self {
            Self::Malformed(_) | Self::Open(_) | Self::Target(_) | Self::Panicked => "unseal",
            Self::Refused(Refusal::NotOwned { .. }) => "unmanaged",
            Self::Read(_) => "fetch",
            Self::Refused(_) | Self::Write(_) => "update",
        }
    }

    /// Upstream's reason of the event.
    pub(super) const fn event(&self) -> &'static str {
        match self {
            Self::Malformed(_) | Self::Open(_) | Self::Target(_) | Self::Panicked => "ErrUnsealFailed",
            Self::Refused(_) | Self::Read(_) | Self::Write(_) => "ErrUpdateFailed",
        }
    }
}

fn oddities(oddities: &[Oddity]) -> String {
    let mut words: Vec<_> = oddities.iter().take(8).map(ToString::to_string).collect();
    if oddities.len() > words.len() {
        words.push(format!("and {} more", oddities.len() - words.len()));
    }
    words.join("; ")
}
