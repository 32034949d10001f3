//! Why a SealedSecret is not in sync, and what that means for the next try.

use crate::controllers::api::ApiError;
use crate::resource::ResourceError;
use crate::sync::Refusal;
use crate::sync::schedule::Class;

/// Why a SealedSecret could not be brought into sync. Its text is short and free of values: it goes into the status.
#[derive(Debug, thiserror::Error)]
pub(in crate::controllers) enum SyncError {
    /// The object does not make a Secret.
    #[error("{0}")]
    Resource(#[from] ResourceError),
    /// A Secret that must not or cannot be written.
    #[error("{0}")]
    Refused(Refusal),
    /// The Secret could not be read.
    #[error("cannot read the Secret: {0}")]
    Read(#[source] ApiError),
    /// The Secret could not be written.
    #[error("cannot write the Secret: {0}")]
    Write(#[source] ApiError),
    /// `spec.data` where it is not accepted.
    #[error(
        "spec.data, the deprecated form of a whole Secret in one value, is not accepted by this controller: seal the values again, into spec.encryptedData"
    )]
    Deprecated,
    /// The opening was cut short by a fault of ours.
    #[error("the controller failed to open it; this is a bug")]
    Panicked,
}

impl SyncError {
    /// The reason in `CamelCase`.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Resource(error) => error.reason(),
            Self::Refused(refusal) => refusal.reason(),
            Self::Read(error) | Self::Write(error) => error.reason(),
            Self::Deprecated => "DeprecatedData",
            Self::Panicked => "InternalError",
        }
    }

    /// How soon another try makes sense.
    pub(super) fn class(&self) -> Class {
        match self {
            Self::Resource(error) if error.waits_for_unwrapping() => Class::Transient,
            Self::Resource(_) | Self::Deprecated | Self::Panicked => Class::Terminal,
            Self::Refused(_) => Class::Blocked,
            Self::Read(error) | Self::Write(error) => error.class(),
        }
    }

    /// Whether nothing will change until somebody acts: kstatus' `Stalled`.
    pub(super) fn is_stalled(&self) -> bool {
        match self {
            // Retried often, since the blocker may go, but only a person makes it go.
            Self::Refused(refusal) => *refusal != Refusal::Terminating,
            Self::Resource(_) | Self::Deprecated | Self::Panicked | Self::Read(_) | Self::Write(_) => {
                self.class().is_terminal()
            }
        }
    }

    /// Whether it is that what was merged into is gone.
    pub(super) fn is_merge_target_gone(&self) -> bool {
        matches!(self, Self::Refused(Refusal::MergeTargetGone))
    }

    /// Whether a key that arrives might mend it.
    pub(super) fn wants_key(&self) -> bool {
        match self {
            Self::Resource(error) => error.wants_key(),
            Self::Refused(_) | Self::Read(_) | Self::Write(_) | Self::Deprecated | Self::Panicked => false,
        }
    }

    /// Upstream's word for the kind of failure, a label of its error metric.
    pub(super) const fn metric(&self) -> &'static str {
        match self {
            Self::Resource(_) | Self::Deprecated | Self::Panicked => "unseal",
            Self::Refused(Refusal::NotOwned { .. }) => "unmanaged",
            Self::Read(_) => "fetch",
            Self::Refused(_) | Self::Write(_) => "update",
        }
    }

    /// Upstream's reason of the event.
    pub(super) const fn event(&self) -> &'static str {
        match self {
            Self::Resource(_) | Self::Deprecated | Self::Panicked => "ErrUnsealFailed",
            Self::Refused(_) | Self::Read(_) | Self::Write(_) => "ErrUpdateFailed",
        }
    }
}
