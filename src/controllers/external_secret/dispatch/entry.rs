//! What is remembered of one ExternalSecret: its text and a few dozen bytes.

use bulla_crds::{ExternalSecret, Unreadable};
use jiff::Timestamp;
use tokio::time::Instant;

use super::key::fingerprint;
use crate::controllers::external_secret::error::Away;
use crate::controllers::external_secret::reconcile::{DataHash, Standing};
use crate::controllers::external_secret::status::SyncReason;
use crate::controllers::external_secret::stores::StoreId;
use crate::controllers::queue::{Key, Timer, Version};
use crate::sync::external::refresh::Reason;

/// Where an object stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing to do.
    #[default]
    Idle,
    /// Waits for its turn.
    Queued(Work),
    /// In work; what happened meanwhile that the pass may not have seen.
    InWork(Option<Work>),
    /// Waits for a moment: the next refresh, or another try.
    Waiting(Timer, Work),
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Fetch and write.
    Sync(SyncReason),
    /// See whether a Secret that was there before us is right.
    Verify,
    /// It is being deleted and waits for us.
    Finalize,
}

impl Work {
    /// How much it matters that it is done, the least number most: what comes while an object is in work is one thing.
    pub(super) const fn weight(self) -> u8 {
        match self {
            Self::Finalize => 0,
            Self::Sync(SyncReason::Due(Reason::First | Reason::Spec | Reason::Metadata)) => 1,
            Self::Sync(SyncReason::Retry) | Self::Verify => 2,
            Self::Sync(SyncReason::Due(Reason::Interval | Reason::Clock)) => 3,
            Self::Sync(SyncReason::Drift) => 4,
        }
    }

    /// Which queue: new and changed objects, drifted ones and retries, refreshes.
    pub(super) const fn lane(self) -> usize {
        match self {
            Self::Sync(SyncReason::Drift | SyncReason::Retry) | Self::Verify | Self::Finalize => 1,
            Self::Sync(reason) => {
                if reason.is_urgent() {
                    0
                } else {
                    2
                }
            }
        }
    }
}

/// One object.
pub(super) struct Entry {
    /// The object in JSON: a tenth of what it takes when read.
    object: Box<[u8]>,
    /// Why its spec cannot be read, if so: such a spec is not in `object`.
    unreadable: Option<Box<Unreadable>>,
    pub(super) phase: Phase,
    /// The number of its last pass.
    pub(super) pass: u64,
    /// Whether its target was deleted while that pass was under way.
    pub(super) gone: bool,
    /// Whether it is being deleted.
    pub(super) is_going: bool,
    /// What about the target stood in the way of the last pass, and in which version.
    pub(super) refused: Option<Box<Standing>>,
    /// Repairs of its target lately, and when the last one was.
    pub(super) repairs: (u32, Option<Instant>),
    /// The list in which it was last seen.
    pub(super) list: u32,
    /// What of it was last acted on.
    pub(super) fingerprint: u64,
    /// Its target.
    pub(super) target: Key,
    /// Whether it writes a target at all.
    pub(super) writes: bool,
    /// The version of the target that is known to be right.
    pub(super) right: Option<Version>,
    /// What the target holds, as a number of this process.
    pub(super) digest: Option<u64>,
    /// When it is due again.
    pub(super) next: Option<Timestamp>,
    /// Failures in a row.
    pub(super) attempts: u32,
    /// The stores that have to get better before another try makes sense.
    pub(super) waits_for: Vec<StoreId>,
    /// Who seemed to be away when it failed last.
    pub(super) away: Away,
}

impl Entry {
    pub(super) fn new(list: u32, target: Key) -> Self {
        Self {
            object: Box::default(),
            unreadable: None,
            phase: Phase::Idle,
            pass: 0,
            gone: false,
            is_going: false,
            refused: None,
            repairs: (0, None),
            list,
            fingerprint: 0,
            target,
            writes: true,
            right: None,
            digest: None,
            next: None,
            attempts: 0,
            waits_for: Vec::new(),
            away: Away::Nobody,
        }
    }

    /// The object as it was last seen.
    pub(super) fn read(&self) -> Option<Box<ExternalSecret>> {
        let mut object: Box<ExternalSecret> = serde_json::from_slice(&self.object).ok()?;
        if let Some(unreadable) = &self.unreadable {
            object.spec = Err(Unreadable::clone(unreadable));
        }
        Some(object)
    }

    /// Remembers the object that a pass reports. One that was edited meanwhile stays as it is now, with that status.
    pub(super) fn keep_status(&mut self, reported: ExternalSecret) {
        if fingerprint(&reported) == self.fingerprint {
            self.keep(&reported);
        } else if let Some(mut current) = self.read() {
            current.status = reported.status;
            self.keep(&current);
        }
    }

    /// Remembers the object.
    pub(super) fn keep(&mut self, object: &ExternalSecret) {
        self.object = packed(object);
        self.unreadable = object.spec.as_ref().err().map(|unreadable| Box::new(unreadable.clone()));
    }
}

/// An object in its smallest form. Whoever wrote which field is of no interest, nor what kubectl keeps for itself.
fn packed(object: &ExternalSecret) -> Box<[u8]> {
    serde_json::to_vec(object).unwrap_or_default().into()
}

/// A target as the watch has it.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) version: Version,
    /// The list in which it was last seen.
    pub(super) list: u32,
    pub(super) hash: Option<DataHash>,
}
