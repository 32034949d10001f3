//! What is known of a key besides its private half.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::config::KeyOrder;
use super::renewal::{Age, is_ahead};
use crate::seal::{KeyId, KeyKind, KeyState};

/// The Secret that a key is in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeySecret {
    pub(super) name: String,
    pub(super) resource_version: String,
    /// When it was made, by the API server's clock.
    pub(super) stored: Timestamp,
    pub(super) annotations: BTreeMap<String, String>,
}

impl KeySecret {
    pub(super) fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.get(name).map(String::as_str)
    }

    /// When the controller made it, by the controller's clock; `None` of a key that somebody brought.
    pub(super) fn made(&self) -> Option<Timestamp> {
        self.annotation(bulla_crds::names::KEY_CREATED_AT)?.parse().ok()
    }
}

/// What is known of a key besides its private half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) id: KeyId,
    pub(super) kind: KeyKind,
    pub(super) state: KeyState,
    pub(super) secret: Arc<KeySecret>,
    /// The public half of a native key.
    pub(super) recipient: Option<String>,
    /// The certificate that came with an RSA key.
    pub(super) certificate: Option<String>,
    /// From when until when the certificate says that it is good.
    pub(super) validity: Option<(Timestamp, Timestamp)>,
}

impl Facts {
    /// When it was made, as far as anybody knows.
    pub(super) fn created(&self) -> Timestamp {
        self.secret.made().unwrap_or(self.secret.stored)
    }

    /// The date that orders keys by age.
    pub(super) fn dated(&self, order: KeyOrder) -> Timestamp {
        match (self.validity, order) {
            (Some((from, _)), KeyOrder::CertNotBefore) => from,
            (Some(_), KeyOrder::SecretCreationTimestamp) => self.secret.stored,
            (None, _) => self.created(),
        }
    }

    /// Where it stands among the others: one dated in the future is the oldest of all, or a wrong clock would have the
    /// last word for years.
    pub(super) fn rank(&self, order: KeyOrder, now: Timestamp) -> (Timestamp, Timestamp) {
        let dated = self.dated(order);
        (if is_ahead(dated, now) { Timestamp::MIN } else { dated }, self.secret.stored)
    }

    /// Its age for renewal. A certificate that somebody brought is as old as its stay here.
    pub(super) fn age(&self, order: KeyOrder) -> Age {
        let dated = self.dated(order);
        let since = match self.validity {
            Some(_) => self.secret.made().unwrap_or_else(|| dated.max(self.secret.stored)),
            None => dated,
        };
        Age { since, dated }
    }

    pub(super) fn is_native(&self) -> bool {
        self.kind != KeyKind::Rsa
    }
}
