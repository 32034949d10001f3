//! What is remembered of one object: a few dozen bytes, never the object.

use crate::controllers::queue::{Timer, Version};
use crate::controllers::sealed_secret::reconcile::Seen;

/// Where an object stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing to do.
    #[default]
    Idle,
    /// Waits for its turn to be read again.
    Queued,
    /// In work; `dirty` if something happened meanwhile that the pass may not have seen.
    InWork {
        /// Read again afterwards.
        dirty: bool,
    },
    /// Failed; waits for another try.
    Waiting(Timer),
}

/// One object and its target.
#[derive(Default)]
pub(super) struct Entry {
    /// Where it stands.
    pub(super) phase: Phase,
    /// The list in which the SealedSecret was last seen, if it exists.
    pub(super) sealed: Option<u32>,
    /// What of it was last acted on.
    pub(super) fingerprint: u64,
    /// The version that our last status write made.
    pub(super) status: Option<Version>,
    /// The target as the watch has it.
    pub(super) target: Option<Target>,
    /// The version of the target that is known to be right.
    pub(super) right: Option<Version>,
    /// The version at which the target was deleted while a pass was under way, which may have written it before.
    pub(super) gone: Option<Version>,
    /// Failures in a row.
    pub(super) attempts: u32,
    /// Whether a new key might help.
    pub(super) wants_key: bool,
    /// Whether the last failure looked like an outage.
    pub(super) outage: bool,
}

/// A target as the watch has it.
#[derive(Clone, Copy)]
pub(super) struct Target {
    /// Its version.
    pub(super) version: Version,
    /// The list in which it was last seen.
    pub(super) list: u32,
    /// Whether it lacks a label that every target gets.
    pub(super) is_bare: bool,
}

impl Entry {
    /// Whether nothing of it is worth remembering.
    pub(super) fn is_empty(&self) -> bool {
        self.sealed.is_none() && self.target.is_none() && self.phase == Phase::Idle
    }

    /// The version of the target if there is one.
    pub(super) fn known(&self) -> Option<Version> {
        self.target.map(|target| target.version)
    }

    /// What a pass is told of the target.
    pub(super) fn seen(&self) -> Seen {
        let version = self.target.filter(|target| !target.is_bare).map(|target| target.version);
        Seen { exists: self.target.is_some(), version }
    }

    /// Notes that `version` of the target is right; false if the watch has already seen a later one, or its end.
    pub(super) fn is_right_at(&mut self, version: Version, list: u32) -> bool {
        if self.gone.take().is_some_and(|gone| gone > version) {
            (self.target, self.right) = (None, None);
            return false;
        }
        self.right = Some(version);
        match self.target {
            Some(target) if target.version > version => false,
            _ => {
                self.target = Some(Target { version, list, is_bare: false });
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, Target, Version};

    #[test]
    fn a_deletion_that_came_after_the_write_of_a_pass_is_not_forgotten() {
        let version = |text| Version::parse(text);
        let mut entry = Entry { gone: Some(version("12")), ..Entry::default() };
        assert!(!entry.is_right_at(version("10"), 1), "written at 10, deleted at 12");
        assert!(entry.target.is_none() && entry.right.is_none());
        assert!(entry.is_right_at(version("15"), 1), "written again");

        let mut entry = Entry { gone: Some(version("8")), ..Entry::default() };
        assert!(entry.is_right_at(version("10"), 1), "the deletion was what the pass made good");
    }

    #[test]
    fn an_edit_that_came_after_the_write_of_a_pass_is_not_forgotten() {
        let target = Target { version: Version::parse("12"), list: 1, is_bare: false };
        let mut entry = Entry { target: Some(target), ..Entry::default() };
        assert!(!entry.is_right_at(Version::parse("10"), 1));
        assert!(entry.is_right_at(Version::parse("12"), 1));
    }
}
