//! Who asks, as far as that can be known: nobody is authenticated here.

use std::fmt::Write as _;
use std::net::IpAddr;

use axum::http::HeaderMap;

/// The address at the other end of a connection; the connection puts it into each of its requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) IpAddr);

/// Whoever sent a request.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    peer: Option<IpAddr>,
    forwarded: Option<IpAddr>,
    actor: String,
}

/// Whom a limit counts: a peer, and whom it speaks for.
pub(super) type Counted = (Option<IpAddr>, Option<IpAddr>);

/// How much of a claim goes into the log.
const CLAIM: usize = 128;

impl Caller {
    pub(super) fn new(peer: Option<Peer>, headers: &HeaderMap) -> Self {
        let peer = peer.map(|Peer(address)| address);
        let last = |name: &str| headers.get_all(name).iter().next_back().and_then(|value| value.to_str().ok());
        // A proxy appends the address that it saw: what stands before it is the client's own word.
        let forwarded = last("x-forwarded-for")
            .and_then(|list| list.rsplit(',').next())
            .and_then(|address| address.trim().parse().ok());
        let mut actor = String::from("unknown");
        if let Some(peer) = peer {
            actor = peer.to_string();
        }
        for (name, word) in [("x-forwarded-for", "for"), ("x-remote-user", "user")] {
            if let Some(value) = last(name) {
                // Writing to a String does not fail.
                let _infallible = write!(actor, " unauthenticated-{word}={}", claim(value));
            }
        }
        Self { peer, forwarded, actor }
    }

    /// The caller as the audit log has it: the peer's address is a fact, the rest is marked as a claim.
    pub(super) fn actor(&self) -> &str {
        &self.actor
    }

    /// Whom the limit for one caller counts.
    pub(super) const fn counted(&self) -> Counted {
        (self.peer, self.forwarded)
    }

    /// Whom the wider limit counts that holds whatever a peer claims.
    pub(super) const fn counted_as_peer(&self) -> Counted {
        (self.peer, None)
    }
}

/// A claim that cannot break a line of a log or make one long.
fn claim(value: &str) -> String {
    let kept = value.chars().filter(|letter| letter.is_ascii_graphic()).take(CLAIM);
    kept.map(|letter| if matches!(letter, '"' | '\\' | '=') { '?' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(headers: &[(&'static str, &str)]) -> Caller {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        Caller::new(Some(Peer([10, 0, 0, 1].into())), &map)
    }

    #[test]
    fn only_what_the_last_proxy_appended_counts() {
        let peer = Some(IpAddr::from([10, 0, 0, 1]));
        for (headers, forwarded) in [
            (vec![], None),
            (vec![("x-forwarded-for", "192.0.2.7")], Some("192.0.2.7")),
            (vec![("x-forwarded-for", "198.51.100.1, 192.0.2.7")], Some("192.0.2.7")),
            (vec![("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "2001:db8::1")], Some("2001:db8::1")),
            (vec![("x-forwarded-for", "somebody")], None),
            (vec![("x-forwarded-for", "")], None),
        ] {
            let caller = caller(&headers);
            assert_eq!(caller.counted(), (peer, forwarded.map(|address| address.parse().unwrap())), "{headers:?}");
            assert_eq!(caller.counted_as_peer(), (peer, None));
        }
    }

    #[test]
    fn claims_are_marked_and_kept_short() {
        let long = "x".repeat(4000);
        let caller = caller(&[("x-remote-user", "alice \"root\" user=bob"), ("x-forwarded-for", &long)]);
        let expected =
            format!("10.0.0.1 unauthenticated-for={} unauthenticated-user=alice?root?user?bob", "x".repeat(CLAIM));
        assert_eq!(caller.actor(), expected);
    }
}
