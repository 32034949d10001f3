//! Domain 2, pure: state in, plan out.
//!
//! [`plan()`] decides what to do with one target, [`schedule`] when to try again, [`digest`] recognises a target that
//! still is what was written without opening anything. None of them knows Kubernetes' types, a runtime, a clock or a
//! source of random numbers: those are passed in.

pub mod digest;
mod live;
mod ownership;
mod plan;
pub mod schedule;

pub use live::{Live, OwnerRef, WrittenBy};
pub use ownership::{Annotations, Mode, Owner};
pub use plan::{Content, Data, Desired, Head, Plan, Refusal, Update, plan};
