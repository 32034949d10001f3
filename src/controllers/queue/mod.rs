//! What the queues of all kinds of objects are made of: names, versions, lists and timers.

mod key;
mod known;
mod timers;

pub(super) use self::key::{Key, Version};
pub(super) use self::known::Known;
pub(super) use self::timers::{Timer, Timers, sleep_until};
