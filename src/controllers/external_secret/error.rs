//! Why an ExternalSecret is not in sync, and what that means for the next try.

use super::reconcile::Standing;
use super::stores::StoreId;
use crate::controllers::api::ApiError;
use crate::providers::{Cause, ProviderError};
use crate::resource::external_secret::SpecError;
use crate::secret::TargetErrors;
use crate::stores::{Asked, FetchError};
use crate::sync::external::ItemCause;
use crate::sync::schedule::Class;
use crate::sync::target::TargetRefusal;

/// Why an ExternalSecret could not be brought into sync. Its text is short and free of values: it goes into the status.
#[derive(Debug, thiserror::Error)]
pub(super) enum SyncError {
    /// The object itself cannot work.
    #[error("{0}")]
    Spec(SpecError),
    /// The stores did not give the values.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// What the template reads could not be read.
    #[error("could not apply template: error fetching templateFrom data: {0}")]
    TemplateFrom(String, Class),
    /// The values do not make a Secret.
    #[error("could not apply template: {0}")]
    Target(TargetErrors),
    /// A Secret that must not or cannot be written.
    #[error("{}", .0.refusal)]
    Refused(Standing),
    /// The Secret could not be read.
    #[error("could not get the target secret: {0}")]
    Read(#[source] ApiError),
    /// The Secret could not be written.
    #[error("could not update secret: {0}")]
    Write(#[source] ApiError),
    /// The Secret could not be deleted.
    #[error("could not delete secret: {0}")]
    Delete(#[source] ApiError),
    /// The work was cut short by a fault of ours.
    #[error("the controller failed to sync it; this is a bug")]
    Panicked,
}

/// Who has to come back before what failed can go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Away {
    /// Nobody: it failed for a reason of its own.
    #[default]
    Nobody,
    /// The API server.
    ApiServer,
    /// A store: it does not answer anybody.
    Store,
}

impl Away {
    /// Whether the API server is, going by an error of it.
    pub(super) const fn of(error: &ApiError) -> Self {
        if error.is_outage() { Self::ApiServer } else { Self::Nobody }
    }
}

fn provider_error(cause: &ItemCause<Asked>) -> Option<&ProviderError> {
    match cause {
        ItemCause::Provider(asked) => Some(&asked.error),
        ItemCause::Projection(_) | ItemCause::WrongAnswer => None,
    }
}

impl SyncError {
    /// How soon another try makes sense.
    pub(super) fn class(&self) -> Class {
        match self {
            Self::Spec(_) | Self::Panicked => Class::Terminal,
            Self::Fetch(error) => error.class(),
            Self::TemplateFrom(_, class) => *class,
            // The provider may hold something better next time.
            Self::Target(_) => Class::Refused,
            Self::Refused(_) => Class::Blocked,
            Self::Read(error) | Self::Write(error) | Self::Delete(error) => error.class(),
        }
    }

    /// Whether nothing will change until somebody acts: kstatus' `Stalled`.
    pub(super) fn is_stalled(&self) -> bool {
        match self {
            Self::Spec(_) | Self::Panicked | Self::Target(_) => true,
            Self::Fetch(FetchError::Store { error, .. }) => error.is_stalled(),
            Self::Fetch(FetchError::Items(errors)) => errors.0.iter().any(|error| match &error.cause {
                ItemCause::Provider(asked) => matches!(asked.error.cause, Cause::Misconfigured | Cause::Invalid),
                ItemCause::Projection(_) => true,
                ItemCause::WrongAnswer => false,
            }),
            Self::Refused(standing) => standing.refusal != TargetRefusal::Terminating,
            Self::TemplateFrom(_, class) => class.is_terminal(),
            Self::Read(error) | Self::Write(error) | Self::Delete(error) => error.class().is_terminal(),
        }
    }

    /// The reason in `CamelCase`, for metrics and notices; conditions have the External Secrets Operator's only one.
    pub(super) fn metric(&self) -> &'static str {
        match self {
            Self::Spec(_) => "InvalidSpec",
            Self::Fetch(FetchError::Store { .. }) => "StoreNotUsable",
            Self::Fetch(FetchError::Items(errors)) => match errors.0.first().map(|error| &error.cause) {
                Some(ItemCause::Provider(asked)) => match asked.error.cause {
                    Cause::Missing => "ProviderMissing",
                    Cause::Invalid => "ProviderInvalid",
                    Cause::Denied => "ProviderDenied",
                    Cause::Unauthenticated => "ProviderUnauthenticated",
                    Cause::Throttled { .. } => "ProviderThrottled",
                    Cause::Unavailable => "ProviderUnavailable",
                    Cause::Misconfigured => "StoreMisconfigured",
                },
                Some(ItemCause::Projection(_)) => "ProjectionFailed",
                Some(ItemCause::WrongAnswer) | None => "InternalError",
            },
            Self::TemplateFrom(..) | Self::Target(_) => "TemplateFailed",
            Self::Refused(_) => "TargetRefused",
            Self::Read(error) | Self::Write(error) | Self::Delete(error) => error.reason(),
            Self::Panicked => "InternalError",
        }
    }

    /// The stores that have to get better before another try makes sense.
    pub(super) fn waits_for(&self) -> Vec<StoreId> {
        match self {
            Self::Fetch(FetchError::Store { store, .. }) => vec![store.clone()],
            Self::Fetch(FetchError::Items(errors)) => {
                let away = |cause: &ItemCause<Asked>| match cause {
                    ItemCause::Provider(asked)
                        // One that wants fewer calls is not asked sooner because others got through.
                        if matches!(asked.error.cause, Cause::Unavailable | Cause::Unauthenticated) =>
                    {
                        Some(asked.store.clone())
                    }
                    ItemCause::Provider(_) | ItemCause::Projection(_) | ItemCause::WrongAnswer => None,
                };
                let mut stores: Vec<_> = errors.0.iter().filter_map(|error| away(&error.cause)).collect();
                stores.sort();
                stores.dedup();
                stores
            }
            Self::Spec(_)
            | Self::TemplateFrom(..)
            | Self::Target(_)
            | Self::Refused(_)
            | Self::Read(_)
            | Self::Write(_)
            | Self::Delete(_)
            | Self::Panicked => Vec::new(),
        }
    }

    /// Who seems to be away.
    pub(super) fn away(&self) -> Away {
        match self {
            Self::Read(error) | Self::Write(error) | Self::Delete(error) => Away::of(error),
            Self::Fetch(FetchError::Items(errors)) => {
                let mut asked = errors.0.iter().filter_map(|error| provider_error(&error.cause));
                if asked.any(|error| error.is_held_back) { Away::Store } else { Away::Nobody }
            }
            Self::Spec(_)
            | Self::Fetch(FetchError::Store { .. })
            | Self::TemplateFrom(..)
            | Self::Target(_)
            | Self::Refused(_)
            | Self::Panicked => Away::Nobody,
        }
    }

    /// Whether nothing was asked, so that there is nothing new to say about an object that failed before.
    pub(super) fn is_held_back(&self) -> bool {
        let is_held_back = |cause: &ItemCause<Asked>| provider_error(cause).is_some_and(|error| error.is_held_back);
        matches!(self, Self::Fetch(FetchError::Items(errors)) if errors.0.iter().all(|error| is_held_back(&error.cause)))
    }
}
