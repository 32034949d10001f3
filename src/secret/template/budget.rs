//! How much a template may do.
//!
//! Templates come from people who may write Secrets but must not be able to stop the controller for everybody. One
//! number, the budget of work, stands for both time and memory: every step, every byte made and every element copied is
//! charged to it, so nothing that a template does is free and nothing grows without end.

use std::cell::Cell;

use super::error::{Fault, Limit};

/// Longest accepted template, in bytes.
pub const TEMPLATE: usize = 256 * 1024;
/// Longest output, in bytes: a Secret holds at most 1 MiB, and a little more lets its check give the better message.
pub const OUTPUT: usize = 1024 * 1024 + 64 * 1024;
/// Longest single value on the way, in bytes; half as much again because an encoding may be undone later.
pub(crate) const VALUE: usize = 2 * 1024 * 1024;
/// Units of work for one rendering; one unit is about one byte touched. Reached after 0.1 to 1 s.
pub(crate) const WORK: usize = 64 * 1024 * 1024;
/// Deepest nesting of blocks and template calls. Bounded by the 2 MiB stack of a worker thread.
pub(crate) const DEPTH: usize = 100;
/// Deepest nesting of values when they are printed, compared or copied.
pub(crate) const VALUE_DEPTH: usize = 100;
/// Units charged for a step or for an element of a collection.
pub(crate) const STEP: usize = 32;

/// What is left of the allowance.
pub(crate) struct Budget {
    left: Cell<usize>,
}

/// What several renderings may do together. One rendering takes at most its own share of it.
pub struct Allowance(Cell<usize>);

impl Allowance {
    /// As much as so many renderings may do that use up their shares.
    #[must_use]
    pub const fn of(renderings: usize) -> Self {
        Self(Cell::new(WORK.saturating_mul(renderings)))
    }

    /// The share of one rendering, or what is left.
    pub(crate) fn share(&self) -> Budget {
        Budget { left: Cell::new(self.0.get().min(WORK)) }
    }

    /// Takes what a rendering has used of its share.
    pub(crate) fn settle(&self, share: &Budget) {
        let used = self.0.get().min(WORK).saturating_sub(share.left.get());
        self.0.set(self.0.get().saturating_sub(used));
    }
}

impl Budget {
    /// A full allowance.
    pub(crate) const fn new() -> Self {
        Self { left: Cell::new(WORK) }
    }

    /// Pays for `units`; fails once the allowance is used up.
    pub(crate) fn charge(&self, units: usize) -> Result<(), Fault> {
        let left = self.left.get().checked_sub(units).ok_or(Limit::Work)?;
        self.left.set(left);
        Ok(())
    }

    /// Pays for a collection of `count` elements before it is made.
    pub(crate) fn elements(&self, count: usize) -> Result<(), Fault> {
        self.charge(count.saturating_mul(STEP))
    }

    /// Asks whether a text of `size` bytes may be made; to be called before memory is taken.
    pub(crate) fn text(&self, size: usize) -> Result<(), Fault> {
        if size > VALUE {
            return Err(Limit::Value.into());
        }
        self.charge(size)
    }
}

/// Goes one level down into a value; values that nest too deeply would overflow the stack.
pub(crate) fn deeper(depth: usize) -> Result<usize, Fault> {
    if depth >= VALUE_DEPTH { Err(Limit::Depth.into()) } else { Ok(depth + 1) }
}
