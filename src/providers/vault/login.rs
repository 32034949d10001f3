//! What each auth method sends.

use bytes::Bytes;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{Auth, invalid, misconfigured};
use crate::providers::ProviderError;
use crate::secret::Plaintext;

/// One login.
pub(super) struct Login {
    /// Below `/v1/`.
    pub(super) path: String,
    pub(super) body: Bytes,
}

#[derive(Serialize)]
struct AppRole<'a> {
    role_id: &'a str,
    secret_id: &'a str,
}

#[derive(Serialize)]
struct Jwt<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    jwt: &'a str,
}

#[derive(Serialize)]
struct Password<'a> {
    password: &'a str,
}

#[derive(Serialize)]
struct Certificate<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

/// The login of the method; `None` where a token was given.
///
/// # Errors
/// Where a credential is no text, or there is no service account token to be had.
pub(super) async fn prepare(auth: &Auth) -> Result<Option<Login>, ProviderError> {
    let login = match auth {
        Auth::Token(_) => return Ok(None),
        Auth::AppRole { mount, role_id, secret_id } => {
            let body = AppRole { role_id: word(role_id, "role id")?, secret_id: word(secret_id, "secret id")? };
            login(mount, "login", &body, role_id.len() + secret_id.len())?
        }
        Auth::Kubernetes { mount, role, token } => {
            let token = token.token().await?;
            login(mount, "login", &Jwt { role: Some(role), jwt: word(&token, "token")? }, token.len() + role.len())?
        }
        Auth::Jwt { mount, role, token } => {
            let token = token.token().await?;
            let length = token.len() + role.as_deref().map_or(0, str::len);
            login(mount, "login", &Jwt { role: role.as_deref(), jwt: word(&token, "token")? }, length)?
        }
        Auth::UserPass { mount, username, password } | Auth::Ldap { mount, username, password } => {
            if username.is_empty() || matches!(username.as_str(), "." | "..") || username.contains('/') {
                return Err(misconfigured(format!("{username:?} is not a user name of Vault")));
            }
            let body = Password { password: text(password, "password")? };
            login(mount, &format!("login/{username}"), &body, password.len())?
        }
        Auth::Certificate { mount, role, .. } => {
            let name = role.as_deref();
            login(mount, "login", &Certificate { name }, name.map_or(0, str::len))?
        }
    };
    Ok(Some(login))
}

fn login(mount: &str, end: &str, body: &impl Serialize, length: usize) -> Result<Login, ProviderError> {
    let mount = mount.trim_matches('/');
    if mount.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err(misconfigured(format!("{mount:?} is not the mount of an auth method")));
    }
    // A character takes six bytes at most, so the buffer does not grow and leaves no copies.
    let mut buffer = Zeroizing::new(Vec::with_capacity(length * 6 + 64));
    serde_json::to_writer(&mut *buffer, body).map_err(|_| invalid("the login cannot be written as JSON"))?;
    Ok(Login { path: format!("auth/{mount}/{end}"), body: Bytes::from_owner(buffer) })
}

/// A credential without the line break that files end with: none of these has white space.
pub(super) fn word<'a>(secret: &'a Plaintext, what: &str) -> Result<&'a str, ProviderError> {
    let word = text(secret, what)?.trim_ascii();
    if word.is_empty() { Err(misconfigured(format!("the {what} for Vault is empty"))) } else { Ok(word) }
}

fn text<'a>(secret: &'a Plaintext, what: &str) -> Result<&'a str, ProviderError> {
    std::str::from_utf8(secret.expose()).map_err(|_| misconfigured(format!("the {what} for Vault is not text")))
}
