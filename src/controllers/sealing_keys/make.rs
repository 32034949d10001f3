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
use super::trouble::Trouble;
use super::wrap::{self, Wrappers};
use super::{KeyConfig, Parts, load};
use crate::audit;
use crate::controllers::apply;
use crate::seal::{self, Identity, KeyId};
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

    /// The annotation on the ConfigMap that remembers the numbers of its Secrets.
    pub(super) const fn mark(self) -> &'static str {
        match self {
            Self::Native => names::HIGHEST_NATIVE_KEY,
            Self::Certificate => names::HIGHEST_CERTIFICATE,
        }
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
/// [`Trouble::Api`] with `AlreadyExists` if somebody was faster.
pub(super) async fn key(parts: &Parts, wrappers: &mut Wrappers, order: &Order) -> Result<(String, KeyId), Trouble> {
    let config = &parts.config;
    let now = config.clock.now();
    let mut annotations = config.annotations.clone();
    let pair = match order.line {
        Line::Native => native(wrappers, now, &mut annotations).await?,
        Line::Certificate => certificate(config, now).await?,
    };
    let name = format!("{}-{:04}", order.line.prefix(&config.upstream_prefix), order.number);
    annotations.insert(names::KEY_IDS.to_owned(), pair.id.to_string());
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

async fn native(
    wrappers: &mut Wrappers,
    now: Timestamp,
    annotations: &mut BTreeMap<String, String>,
) -> Result<Pair, Trouble> {
    let no_random = |_| Trouble::Making("the operating system has no randomness to give");
    let identity = Identity::generate_hybrid().map_err(no_random)?;
    // Wrappers take few bytes: the comments with the public half stay away from them.
    let bare = identity.to_text().ok_or(Trouble::Making("it has no text"))?;
    let mut data = Values::new();
    match wrappers.wrap(&Plaintext::copy_of(bare.as_bytes())).await? {
        Some(stored) => {
            data.insert(stored.form.to_owned(), Plaintext::new(stored.bytes));
            annotations.insert(wrap::BY.to_owned(), stored.by);
        }
        None => {
            let text = identity.to_file_text(now).ok_or(Trouble::Making("it has no text"))?;
            data.insert(load::IDENTITY.to_owned(), Plaintext::copy_of(text.as_bytes()));
        }
    }
    data.insert(load::RECIPIENT.to_owned(), Plaintext::from(identity.recipient().to_string()));
    Ok(Pair { id: identity.key_id(), kind: OPAQUE, label: names::SEALING_KEY, data })
}

async fn certificate(config: &KeyConfig, now: Timestamp) -> Result<Pair, Trouble> {
    let (bits, life, name) = (config.rsa_bits, config.certificate_life, config.common_name.clone());
    // Takes seconds, which nobody else should wait for.
    let issued = tokio::task::spawn_blocking(move || seal::issue(bits, &name, now, life)).await;
    let refused = Trouble::Making("the library refused to make an RSA key or its certificate");
    let issued = issued.ok().and_then(Result::ok).ok_or(refused)?;
    let certificate = seal::Certificate::from_pem(issued.certificate.as_bytes());
    let certificate = certificate.map_err(|_| Trouble::Making("its certificate cannot be read"))?;
    let mut data = Values::new();
    data.insert("tls.key".to_owned(), Plaintext::copy_of(issued.key.as_bytes()));
    data.insert("tls.crt".to_owned(), Plaintext::from(issued.certificate));
    let id = seal::Recipient::from(certificate).key_id();
    Ok(Pair { id, kind: TLS, label: names::UPSTREAM_SEALING_KEY, data })
}
