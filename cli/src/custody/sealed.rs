//! Keys encrypted to people who keep them: to any of several recipients, or to custodians of whom it takes a few.

use std::io::Write as _;

use age::armor::{ArmoredWriter, Format};
use bulla::seal::{Identity, Recipient, seal_file};
use bulla::secret::Plaintext;
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::shares::{self, Fingerprint};
use crate::failure::{OrFail as _, Outcome, usage};

/// An age file, and what goes with it.
pub(crate) struct Sealed {
    /// Binary.
    pub(crate) file: Vec<u8>,
    pub(crate) fingerprint: Fingerprint,
    /// Armored age files, one a custodian, in the order of the custodians.
    pub(crate) shares: Vec<Vec<u8>>,
}

/// Encrypts to recipients, each of whom can open it.
pub(crate) fn to_any(text: &Zeroizing<String>, recipients: &[Recipient]) -> Outcome<Sealed> {
    let file = encrypt(text, recipients)?;
    Ok(Sealed { fingerprint: Fingerprint::of(&file), file, shares: Vec::new() })
}

/// Encrypts to a key made for this file, which is then split: any `threshold` of the custodians open it.
pub(crate) fn to_custodians(
    text: &Zeroizing<String>,
    custodians: &[Vec<Recipient>],
    threshold: u8,
    now: Timestamp,
) -> Outcome<Sealed> {
    let count = u8::try_from(custodians.len()).or_usage("counting the custodians")?;
    let key = Identity::generate_hybrid().or_usage("no randomness from the operating system")?;
    let file = encrypt(text, std::slice::from_ref(key.recipient()))?;
    let fingerprint = Fingerprint::of(&file);
    let shares = shares::split(&key, threshold, count, &fingerprint, &now.to_string())?;
    let sealed = shares.iter().zip(custodians).map(|(share, to)| armored(&encrypt(&share.to_text(), to)?));
    let shares = sealed.collect::<Outcome<Vec<_>>>()?;
    Ok(Sealed { file, fingerprint, shares })
}

/// Encrypts to a binary age file.
pub(crate) fn encrypt(text: &Zeroizing<String>, recipients: &[Recipient]) -> Outcome<Vec<u8>> {
    seal_file(recipients, &Plaintext::copy_of(text.as_bytes())).or_usage("encrypting")
}

/// An age file as text that can be mailed.
pub(crate) fn armored(file: &[u8]) -> Outcome<Vec<u8>> {
    let armor = || {
        let mut writer = ArmoredWriter::wrap_output(Vec::with_capacity(file.len() * 3 / 2), Format::AsciiArmor)?;
        writer.write_all(file)?;
        writer.finish()
    };
    armor().map_err(|error| usage!("writing an age file: {error}"))
}

/// Whether what is encrypted to them stays closed to a later quantum computer.
pub(crate) fn is_post_quantum(recipients: &[Recipient]) -> bool {
    recipients.iter().all(|recipient| recipient.kind().is_post_quantum())
}
