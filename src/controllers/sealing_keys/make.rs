//! Making keys.
//!
//! The Secret of a new key has a name that follows from those that are there, `<prefix>-<number>`, and is created under
//! that name. Two controllers that both find a new key due therefore ask for the same name, and the API server gives
//! it to one of them: there is one key, lease or no lease. The other one reads again and finds that nothing is due.

use std::collections::BTreeMap;

use bulla_crds::names;
use jiff::Timestamp;
use tracing::info;

use super::renewal::Why;
use super::{Parts, load};
use crate::audit;
use crate::controllers::api::ApiError;
use crate::controllers::apply;
use crate::seal::{self, Identity, KeyId, RsaBits};
use crate::secret::{OPAQUE, Plaintext, Values};
use crate::sync::Head;

/// How the names of our key Secrets begin.
const PREFIX: &str = "bulla-sealing-key";
/// The type of upstream's key Secrets.
const TLS: &str = "kubernetes.io/tls";

/// What is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Line {
    /// A native key.
    Native,
    /// An RSA key with a certificate, in upstream's form.
    Certificate,
}

impl Line {
    pub(super) const ALL: [Self; 2] = [Self::Native, Self::Certificate];

    pub(super) const fn is_of(self, kind: seal::KeyKind) -> bool {
        matches!((self, kind), (Self::Certificate, seal::KeyKind::Rsa))
            || matches!((self, kind), (Self::Native, seal::KeyKind::Hybrid | seal::KeyKind::X25519))
    }

    /// How the names of its Secrets begin.
    pub(super) fn prefix(self, upstream: &str) -> &str {
        match self {
            Self::Native => PREFIX,
            Self::Certificate => upstream,
        }
    }
}

/// A key to make.
pub(super) struct Order {
    pub(super) line: Line,
    pub(super) why: Why,
    /// The number in its name.
    pub(super) number: u32,
    /// The request that it answers.
    pub(super) request: Option<Timestamp>,
}

/// What is written for a key.
struct Pair {
    id: KeyId,
    kind: &'static str,
    label: &'static str,
    data: Values,
}

/// Makes a key and stores it; the name of its Secret and its id.
///
/// # Errors
/// [`ApiError::AlreadyExists`] if somebody was faster.
pub(super) async fn key(parts: &Parts, order: &Order) -> Result<(String, KeyId), ApiError> {
    let config = &parts.config;
    let now = config.clock.now();
    let mut annotations = config.annotations.clone();
    let pair = match order.line {
        Line::Native => native(parts, now, &mut annotations).await?,
        Line::Certificate => certificate(parts, now).await?,
    };
    let name = format!("{}-{:04}", order.line.prefix(&config.upstream_prefix), order.number);
    annotations.insert(names::KEY_CREATED_AT.to_owned(), now.to_string());
    if let Some(request) = order.request {
        annotations.insert(names::KEY_REQUESTED_AT.to_owned(), request.to_string());
    }
    let mut labels = config.labels.clone();
    labels.insert(pair.label.to_owned(), names::KEY_ACTIVE.to_owned());
    let head = Head { kind: pair.kind.to_owned(), labels, annotations, ..Head::default() };
    apply::create(&parts.api, &parts.namespace, &name, &head, &pair.data).await?;
    let why = order.why.as_str();
    info!(key = %pair.id, secret = name, why, "made a sealing key");
    audit::record(audit::Entry {
        action: audit::Action::MakeKey,
        actor: "controller",
        kind: "Secret",
        namespace: &parts.namespace,
        name: &name,
        keys: &[pair.id.to_string()],
        outcome: "ok",
    });
    Ok((name, pair.id))
}

async fn native(_parts: &Parts, now: Timestamp, _annotations: &mut BTreeMap<String, String>) -> Result<Pair, ApiError> {
    let identity = Identity::generate_hybrid().map_err(|_| ApiError::Unreadable)?;
    let text = identity.to_file_text(now).ok_or(ApiError::Unreadable)?;
    let mut data = Values::new();
    data.insert(load::IDENTITY.to_owned(), Plaintext::copy_of(text.as_bytes()));
    data.insert(load::RECIPIENT.to_owned(), Plaintext::from(identity.recipient().to_string()));
    Ok(Pair { id: identity.key_id(), kind: OPAQUE, label: names::SEALING_KEY, data })
}

async fn certificate(parts: &Parts, now: Timestamp) -> Result<Pair, ApiError> {
    let (bits, life, name): (RsaBits, _, _) =
        (parts.config.rsa_bits, parts.config.certificate_life, parts.config.common_name.clone());
    let issued = tokio::task::spawn_blocking(move || seal::issue(bits, &name, now, life)).await;
    let issued = issued.ok().and_then(Result::ok).ok_or(ApiError::Unreadable)?;
    let certificate = seal::Certificate::from_pem(issued.certificate.as_bytes()).map_err(|_| ApiError::Unreadable)?;
    let mut data = Values::new();
    data.insert("tls.key".to_owned(), Plaintext::copy_of(issued.key.as_bytes()));
    data.insert("tls.crt".to_owned(), Plaintext::from(issued.certificate));
    let id = seal::Recipient::from(certificate).key_id();
    Ok(Pair { id, kind: TLS, label: names::UPSTREAM_SEALING_KEY, data })
}
