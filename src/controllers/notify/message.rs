//! What a post says.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;

use super::Occasion;
use super::board::{Digest, Item};

/// The body that Slack's incoming webhooks take, and those of Mattermost, Rocket.Chat and many others.
pub(super) fn slack(digest: &Digest) -> Vec<u8> {
    let mut text = String::new();
    for item in &digest.items {
        if !text.is_empty() {
            text.push('\n');
        }
        let Item { kind, key, reason, message, .. } = item;
        let (sign, word) = match item.occasion {
            Occasion::Failed => (":red_circle:", "failed"),
            Occasion::Recovered => (":large_green_circle:", "recovered"),
            Occasion::Rotated => (":key:", "rotated"),
        };
        // Writing to a String does not fail.
        write!(text, "{sign} {kind} *{}* {word}", escaped(&place(key))).ok();
        if item.occasion != Occasion::Recovered {
            write!(text, ": {reason}: {}", escaped(message)).ok();
        }
    }
    if digest.more > 0 {
        write!(text, "\n… and {} more", digest.more).ok();
    }
    json!({ "text": text }).to_string().into_bytes()
}

/// Our own body.
pub(super) fn plain(digest: &Digest) -> Vec<u8> {
    let notices: Vec<_> = digest
        .items
        .iter()
        .map(|item| {
            json!({
                "occasion": item.occasion.as_str(),
                "kind": item.kind,
                "namespace": item.key.namespace(),
                "name": item.key.name(),
                "reason": item.reason,
                "message": item.message,
                "since": item.since.to_string(),
            })
        })
        .collect();
    json!({ "source": "bulla", "version": 1, "notices": notices, "more": digest.more }).to_string().into_bytes()
}

/// `sha256=` and the HMAC-SHA256 in hex of the time, a full stop and the body: a post cannot be made up, nor sent again
/// later.
pub(super) fn signature(key: &[u8], time: &str, body: &[u8]) -> String {
    let mut signature = "sha256=".to_owned();
    // A key of any length is taken.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return signature };
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(body);
    for byte in mac.finalize().into_bytes() {
        write!(signature, "{byte:02x}").ok();
    }
    signature
}

fn place(key: &crate::controllers::queue::Key) -> String {
    if key.namespace().is_empty() { key.name().to_owned() } else { key.to_string() }
}

/// In Slack's texts three characters mean something, and could mention people.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::queue::Key;

    #[test]
    fn a_message_cannot_mention_anybody() {
        let id = ("SealedSecret", Key::new("prod", "db"));
        let item = Item::new(Occasion::Failed, id, "UnknownKey", "<!channel> & co");
        let body = slack(&Digest { items: vec![item], more: 231 });
        let text = String::from_utf8(body).unwrap();
        let expected = ":red_circle: SealedSecret *prod/db* failed: UnknownKey: &lt;!channel&gt; &amp; co";
        assert_eq!(text, format!(r#"{{"text":"{expected}\n… and 231 more"}}"#));
    }

    #[test]
    fn the_signature_is_hmac_sha256() {
        // RFC 4231, test case 2: the key "Jefe" and the data "what do ya want for nothing?".
        let expected = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let mut mac = Hmac::<Sha256>::new_from_slice(b"Jefe").unwrap();
        mac.update(b"what do ya want for nothing?");
        let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(format!("sha256={hex}"), expected);
        assert_ne!(signature(b"k", "1", b"2"), signature(b"k", "12", b""));
        assert_eq!(signature(b"k", "1", b"2").len(), expected.len());
    }
}
