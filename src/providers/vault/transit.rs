//! Vault's Transit engine: bytes encrypted by a key that never leaves the server.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::fault::Fault;
use super::http::{Answer, Http};
use super::path::check;
use super::session::Session;
use super::{Settings, invalid, misconfigured};
use crate::providers::{Cause, Gate, ProviderError};
use crate::secret::Plaintext;

/// One key of a Transit engine.
pub struct Transit {
    session: Session,
    mount: String,
    key: String,
}

#[derive(Deserialize)]
struct Encrypted<'a> {
    #[serde(borrow)]
    data: Ciphertext<'a>,
}

#[derive(Deserialize)]
struct Ciphertext<'a> {
    #[serde(borrow)]
    ciphertext: &'a str,
}

#[derive(Deserialize)]
struct Decrypted<'a> {
    #[serde(borrow)]
    data: Clear<'a>,
}

#[derive(Deserialize)]
struct Clear<'a> {
    #[serde(borrow)]
    plaintext: &'a str,
}

impl Transit {
    /// The key `<mount>/<key>` of the server in `settings`, whose mount does not count. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Cause::Misconfigured`] where an address, a certificate, a header or the key's path cannot be used.
    pub fn connect(settings: Settings, gate: Gate, key: &str) -> Result<Self, ProviderError> {
        let (mount, name) = key.trim_matches('/').rsplit_once('/').ok_or_else(|| {
            misconfigured(format!("{key:?} is not the path of a Transit key: write it as <mount>/<key>"))
        })?;
        for part in [mount, name] {
            check(part)
                .map_err(|_| misconfigured(format!("{part:?} cannot be a part of the path of a Transit key")))?;
        }
        let http = Arc::new(Http::new(&settings, gate)?);
        let session = Session::new(http, settings.auth)?;
        Ok(Self { session, mount: mount.to_owned(), key: name.to_owned() })
    }

    /// `<mount>/<key>`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.mount, self.key)
    }

    /// Encrypts, and gives what Vault writes: `vault:v1:…`, which names the version of the key.
    ///
    /// # Errors
    /// Those of the login, and what Vault refuses.
    pub async fn encrypt(&self, plaintext: &Plaintext) -> Result<String, ProviderError> {
        // In one buffer that never grows: a growing one leaves copies behind.
        let mut body = Zeroizing::new(Vec::with_capacity(plaintext.len().div_ceil(3) * 4 + 32));
        body.extend_from_slice(br#"{"plaintext":""#);
        let start = body.len();
        body.resize(start + plaintext.len().div_ceil(3) * 4, 0);
        STANDARD.encode_slice(plaintext.expose(), &mut body[start..]).map_err(|_| invalid("it is too long"))?;
        body.extend_from_slice(br#""}"#);
        let answer = self.post("TransitEncrypt", "encrypt", Bytes::from_owner(body)).await?;
        let sent: Encrypted<'_> = serde_json::from_slice(answer.body.expose()).map_err(|_| self.unreadable())?;
        Ok(sent.data.ciphertext.to_owned())
    }

    /// Decrypts what [`Self::encrypt`] gave.
    ///
    /// # Errors
    /// Those of the login, and what Vault refuses; [`Cause::Invalid`] if it was encrypted with another key or altered.
    pub async fn decrypt(&self, ciphertext: &str) -> Result<Plaintext, ProviderError> {
        if ciphertext.bytes().any(|byte| !byte.is_ascii_graphic() || matches!(byte, b'"' | b'\\')) {
            return Err(invalid("it is not what Transit writes"));
        }
        let body = format!(r#"{{"ciphertext":"{ciphertext}"}}"#);
        let answer = self.post("TransitDecrypt", "decrypt", Bytes::from(body)).await?;
        let sent: Decrypted<'_> = serde_json::from_slice(answer.body.expose()).map_err(|_| self.unreadable())?;
        let mut clear = Zeroizing::new(Vec::with_capacity(sent.data.plaintext.len()));
        STANDARD.decode_vec(sent.data.plaintext, &mut clear).map_err(|_| self.unreadable())?;
        Ok(Plaintext::from_guarded(clear))
    }

    async fn post(&self, name: &'static str, verb: &str, body: Bytes) -> Result<Answer, ProviderError> {
        let path = format!("{}/{verb}/{}", self.mount, self.key);
        let answer = self.session.write(name, &path, body).await?;
        match Fault::of(&answer) {
            Some(fault) => Err(fault.error(&format!("{verb} with the Transit key {}", self.name()))),
            None => Ok(answer),
        }
    }

    fn unreadable(&self) -> ProviderError {
        let name = self.name();
        ProviderError::new(Cause::Unavailable, format!("Vault's answer about {name} does not make sense"))
    }
}
