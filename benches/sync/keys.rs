//! Sealing keys, and the Secrets that give them to a controller.

use anyhow::Context as _;
use bulla::seal::{Certificate, Identity, Recipient};
use bulla_crds::names;
use k8s_openapi::api::core::v1::Secret;
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::json;

use crate::support::tools;

/// What is sealed to, and the Secret that lets a controller open it.
pub(crate) struct SealingKey {
    pub(crate) recipient: Recipient,
    pub(crate) secret: Secret,
}

/// An age key, made by age itself: `hybrid` or X25519.
pub(crate) fn native(hybrid: bool) -> anyhow::Result<SealingKey> {
    let arguments: &[&str] = if hybrid { &["-pq"] } else { &[] };
    let text = String::from_utf8(tools::stdout_of(tools::age_keygen(arguments, b"")))?;
    let identity = Identity::parse_all(&text)?.into_iter().next().context("an identity")?;
    let recipient = identity.recipient().clone();
    let secret = serde_json::from_value(json!({
        "metadata": {"name": "bulla-sealing-key-bench", "labels": {names::SEALING_KEY: names::KEY_ACTIVE}},
        "type": "Opaque",
        "stringData": {"identity": text, "recipient": recipient.to_string()},
    }))?;
    Ok(SealingKey { recipient, secret })
}

/// A 4096-bit RSA key as upstream's controller makes them.
pub(crate) fn rsa() -> anyhow::Result<SealingKey> {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_4096)?;
    let certificate = CertificateParams::new(Vec::new())?.self_signed(&key)?.pem();
    let recipient = Certificate::from_pem(certificate.as_bytes())?.into();
    let secret = serde_json::from_value(json!({
        "metadata": {
            "name": "sealed-secrets-key-bench",
            "labels": {names::UPSTREAM_SEALING_KEY: names::UPSTREAM_SEALING_KEY_ACTIVE},
        },
        "type": "kubernetes.io/tls",
        "stringData": {"tls.key": key.serialize_pem(), "tls.crt": certificate},
    }))?;
    Ok(SealingKey { recipient, secret })
}
