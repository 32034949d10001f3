//! The sink on a real tmpfs in a mount namespace of its own, with real users, as root.

mod attacks;
mod drift;
mod faults;
mod generations;
mod kill;
mod many;
mod paths;
mod plain_user;
mod world;
