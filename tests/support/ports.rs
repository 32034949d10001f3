//! Free ports for servers of the tests.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{Ipv4Addr, TcpListener};

/// A port that is free now, below the range that outgoing connections take theirs from, so that
/// it is also still free after a restart.
pub(crate) fn free_port() -> u16 {
    for attempt in 0..1000_u32 {
        let random = RandomState::new().hash_one(attempt);
        let port = 18_000 + u16::try_from(random % 14_000).expect("below 14000");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port on 127.0.0.1 in 1000 attempts");
}
