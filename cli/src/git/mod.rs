//! A Git repository: its objects, its index, its history.

mod commit;

pub(crate) use self::commit::{Checkout, Tracked, TrackedKind};
