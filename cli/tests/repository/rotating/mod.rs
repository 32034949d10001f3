//! `bulla rotate`: the whole run, with real Git; killed, refused, given up, merged and reverted.

pub(crate) mod cluster;
mod kills;
mod offline;
mod refusals;
mod team;
mod terminal;
