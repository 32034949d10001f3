//! Domain 2, pure: state in, plan out.
//!
//! [`plan()`] decides what to do with one target, [`schedule`] when to try again. [`external`] has the rules of an
//! ExternalSecret, [`remote`] what is asked of a provider, [`projection`] what becomes of its answer. None knows
//! Kubernetes' types, a runtime, a clock or a source of random numbers: those are passed in.

pub mod external;
mod live;
mod ownership;
mod plan;
pub mod pressure;
pub mod projection;
pub mod remote;
pub mod schedule;

pub use live::{Live, OwnerRef, WrittenBy};
pub use ownership::{Annotations, Mode, Owner};
pub use plan::external as target;
pub use plan::{Content, Data, Desired, Head, Plan, Refusal, Update, plan};
