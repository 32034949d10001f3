//! Recipient files: lists of recipients, or certificates. What a recipient means is for `bulla::seal` to say; here is
//! only what can be told by sight, foremost that a private key was not put where public ones belong.

use std::path::{Path, PathBuf};

use super::error::RepositoryError;
use super::read_limited;

/// The longest recipient file, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// One who can open what is sealed for a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RecipientSource {
    /// A recipient as text, such as `age1...`.
    Text(String),
    /// A file with a certificate in PEM.
    Certificate(PathBuf),
}

/// Is it one line of printable text, and not an identity? The message says what else it is.
pub(super) fn check(recipient: &str) -> Result<(), &'static str> {
    let recipient = recipient.trim();
    if recipient.is_empty() {
        return Err("this recipient is empty; remove it");
    }
    if recipient
        .to_ascii_uppercase()
        .starts_with("AGE-SECRET-KEY-")
        || recipient.contains("PRIVATE KEY")
    {
        return Err(
            "this is a private key: it must not be in the repository; replace it, and write its public half (age-keygen -y) here",
        );
    }
    if !recipient.chars().all(|c| c.is_ascii_graphic()) {
        return Err("a recipient is one word such as age1...");
    }
    Ok(())
}

/// The recipients in a file: certificates by their ending, else one recipient a line and comments behind `#`.
pub(super) fn read(path: &Path) -> Result<Vec<RecipientSource>, RepositoryError> {
    let is_certificate = path.extension().is_some_and(|ending| {
        ["pem", "crt", "cert"]
            .iter()
            .any(|known| ending.eq_ignore_ascii_case(known))
    });
    let text = read_limited(path, MAX_BYTES)?;
    if is_certificate {
        let refused = |message| RepositoryError::RecipientFile {
            path: path.to_owned(),
            line: 1,
            message,
        };
        if text.contains("PRIVATE KEY") {
            return Err(refused(
                "this holds a private key: it must not be in the repository; keep only the certificate",
            ));
        }
        if !text.contains("BEGIN CERTIFICATE") {
            return Err(refused(
                "this holds no certificate (-----BEGIN CERTIFICATE-----)",
            ));
        }
        return Ok(vec![RecipientSource::Certificate(path.to_owned())]);
    }
    let mut recipients = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        check(line).map_err(|message| RepositoryError::RecipientFile {
            path: path.to_owned(),
            line: index + 1,
            message,
        })?;
        recipients.push(RecipientSource::Text(line.to_owned()));
    }
    if recipients.is_empty() {
        let message = "this holds no recipient; write one a line";
        return Err(RepositoryError::RecipientFile {
            path: path.to_owned(),
            line: 1,
            message,
        });
    }
    Ok(recipients)
}
