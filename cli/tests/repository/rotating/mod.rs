//! `bulla rotate`: the whole run, with real Git; killed, refused, given up, merged and reverted.

mod cluster;
mod kills;
mod offline;
mod refusals;
mod team;
mod terminal;
