//! A private key split among custodians: any few of them have it, one alone has nothing.
//!
//! A share is a document of a few lines, which goes to its custodian as an age file. `docs/recovery.md` says how shares
//! are put together without this program.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use blahaj::Sharks;
use bulla::seal::{Identity, KeyId};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::failure::{Outcome, refuse, usage};

/// The first word of a share.
const FIRST: &str = "bullaShare:";
/// The version of the format.
const VERSION: &str = "v1";
/// The most shares that a key is split into.
pub(crate) const MOST: u8 = 32;

/// SHA-256 of a backup's binary age file, as `sha256sum` prints it: names a backup without opening it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct Fingerprint(String);

impl Fingerprint {
    pub(crate) fn of(file: &[u8]) -> Self {
        Self(Sha256::digest(file).iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// As much of it as a person compares.
    pub(crate) fn short(&self) -> &str {
        self.0.get(..16).unwrap_or(&self.0)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One share.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Share {
    #[serde(rename = "bullaShare")]
    version: String,
    /// The backup that the split key opens.
    pub(crate) backup: Fingerprint,
    pub(crate) made: String,
    pub(crate) number: u8,
    pub(crate) of: u8,
    pub(crate) threshold: u8,
    /// Id of the split key, to know whether it came together again.
    pub(crate) key: String,
    share: Text,
}

/// Text that is wiped.
#[derive(Deserialize)]
struct Text(String);

impl Drop for Text {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Whether a text is a share.
pub(super) fn is_one(text: &str) -> bool {
    text.lines().find(|line| !line.is_empty() && !line.starts_with('#')).is_some_and(|line| line.starts_with(FIRST))
}

impl Share {
    /// Reads a share.
    ///
    /// # Errors
    /// What is wrong with it, without a byte of it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let share: Self =
            serde_saphyr::from_str(text).map_err(|_| "is a share whose fields do not parse".to_owned())?;
        if share.version != VERSION {
            return Err("is a share of a newer format: use a newer `bulla`".to_owned());
        }
        let fits = share.threshold >= 2 && share.threshold <= share.of && share.of <= MOST;
        if !fits || share.number == 0 || share.number > share.of || share.key.parse::<KeyId>().is_err() {
            return Err("is a share whose numbers do not fit together".to_owned());
        }
        let points = share.points().ok_or("is a share that is damaged")?;
        if points.first() != Some(&share.number) || points.len() < 2 {
            return Err("is a share that is damaged".to_owned());
        }
        Ok(share)
    }

    fn copy(&self) -> Self {
        let Self { version, backup, made, number, of, threshold, key, share } = self;
        Self {
            version: version.clone(),
            backup: backup.clone(),
            made: made.clone(),
            number: *number,
            of: *of,
            threshold: *threshold,
            key: key.clone(),
            share: Text(share.0.clone()),
        }
    }

    fn points(&self) -> Option<Zeroizing<Vec<u8>>> {
        STANDARD.decode(&self.share.0).ok().map(Zeroizing::new)
    }

    /// The document, as it is encrypted to its custodian.
    pub(crate) fn to_text(&self) -> Zeroizing<String> {
        let Self { backup, made, number, of, threshold, key, share, .. } = self;
        let mut text = Zeroizing::new(String::with_capacity(1024 + share.0.len()));
        text.push_str(&format!(
            "# Share {number} of {of} of the key to a backup of sealing keys. Any {threshold} shares open it.\n\
             # backup: SHA-256 of the backup's file. key: id of the key that is split.\n\
             {FIRST} {VERSION}\nbackup: {backup}\nmade: {made}\nnumber: {number}\nof: {of}\nthreshold: {threshold}\nkey: \"{key}\"\nshare: \""
        ));
        text.push_str(&share.0);
        text.push_str("\"\n");
        text
    }
}

/// Splits an identity so that any `threshold` of `of` shares have it.
pub(crate) fn split(
    identity: &Identity,
    threshold: u8,
    of: u8,
    backup: &Fingerprint,
    made: &str,
) -> Outcome<Vec<Share>> {
    let secret = identity.to_text().ok_or_else(|| usage!("this kind of key cannot be split"))?;
    let shares = Sharks(threshold).dealer(secret.as_bytes()).take(of.into()).zip(1..=of);
    let shares = shares.map(|(share, number)| {
        let points = Zeroizing::new(Vec::from(&share));
        Share {
            version: VERSION.to_owned(),
            backup: backup.clone(),
            made: made.to_owned(),
            number,
            of,
            threshold,
            key: identity.key_id().to_string(),
            share: Text(STANDARD.encode(&*points)),
        }
    });
    let shares: Vec<Share> = shares.collect();
    // Before anybody relies on them: the last ones have to come to the key again.
    let last = shares.iter().skip(usize::from(of - threshold)).map(Share::copy);
    let named: Vec<(String, Share)> = last.map(|share| (format!("share {}", share.number), share)).collect();
    combine(&named)?;
    Ok(shares)
}

/// The key that shares of one backup come to.
///
/// # Errors
/// Where there are too few, or they do not fit together.
pub(crate) fn combine(shares: &[(String, Share)]) -> Outcome<Identity> {
    // The same share twice is one share, and would spoil the sum.
    let distinct: BTreeMap<u8, &(String, Share)> = shares.iter().rev().map(|named| (named.1.number, named)).collect();
    let Some((_, (_, first))) = distinct.first_key_value() else { return Err(refuse!("no shares")) };
    for (file, share) in distinct.values() {
        if (share.threshold, share.of, &share.key) != (first.threshold, first.of, &first.key) {
            return Err(refuse!("{file} does not belong to the other shares: it says that it is of another key"));
        }
    }
    if distinct.len() < usize::from(first.threshold) {
        let missing: Vec<String> =
            (1..=first.of).filter(|number| !distinct.contains_key(number)).map(|number| number.to_string()).collect();
        let wanted = usize::from(first.threshold) - distinct.len();
        return Err(refuse!(
            "{} shares of the backup of {} are needed, and {} here: give {wanted} more of the shares {}",
            first.threshold,
            first.made,
            if distinct.len() == 1 { "1 is".to_owned() } else { format!("{} are", distinct.len()) },
            missing.join(", ")
        ));
    }
    let chosen: Vec<&&(String, Share)> = distinct.values().take(first.threshold.into()).collect();
    let files: Vec<&str> = chosen.iter().map(|named| named.0.as_str()).collect();
    let damaged =
        || refuse!("the shares {} do not come to the key that they are of: one of them was changed", files.join(", "));
    let mut points = Vec::with_capacity(chosen.len());
    for (_, share) in chosen.iter().map(|named| (&named.0, &named.1)) {
        let bytes = share.points().ok_or_else(damaged)?;
        points.push(blahaj::Share::try_from(bytes.as_slice()).map_err(|_| damaged())?);
    }
    let secret = Zeroizing::new(Sharks(first.threshold).recover(&points).map_err(|_| damaged())?);
    let text = std::str::from_utf8(&secret).map_err(|_| damaged())?;
    let identity = Identity::parse_all(text).ok().and_then(|all| all.into_iter().next()).ok_or_else(damaged)?;
    if identity.key_id().to_string() == first.key { Ok(identity) } else { Err(damaged()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, any, proptest};

    use super::*;

    fn named(shares: Vec<Share>) -> Vec<(String, Share)> {
        shares.into_iter().map(|share| (share.number.to_string(), share)).collect()
    }

    fn split_of(identity: &Identity, threshold: u8, of: u8) -> Vec<Share> {
        split(identity, threshold, of, &Fingerprint::of(b"backup"), "today").unwrap_or_else(|_| panic!("split"))
    }

    #[test]
    fn as_many_as_the_threshold_have_the_key_and_fewer_do_not() {
        let identity = Identity::generate_hybrid().unwrap();
        for (threshold, of) in [(2, 2), (2, 3), (3, 5), (5, 5), (2, MOST)] {
            let texts: Vec<_> = split_of(&identity, threshold, of).iter().map(Share::to_text).collect();
            let read = |skip: usize, count: usize| {
                named(texts.iter().skip(skip).take(count).map(|text| Share::parse(text).unwrap()).collect())
            };
            for skip in 0..=usize::from(of - threshold) {
                let whole = combine(&read(skip, threshold.into())).unwrap_or_else(|failure| panic!("{failure}"));
                assert!(whole.to_text() == identity.to_text());
                assert!(combine(&read(skip, usize::from(threshold) - 1)).is_err());
            }
        }
    }

    #[test]
    fn shares_of_two_splits_of_one_key_do_not_mix() {
        let identity = Identity::generate_x25519().unwrap();
        let (one, two) = (split_of(&identity, 2, 3), split_of(&identity, 2, 3));
        let mixed = one.into_iter().take(1).chain(two.into_iter().skip(1).take(1)).collect();
        let failure = combine(&named(mixed)).err().unwrap().to_string();
        assert!(failure.contains("do not come to the key"), "{failure}");
    }

    #[test]
    fn coefficients_are_drawn_from_all_bytes() {
        // RUSTSEC-2024-0398: where zero is left out, shares of several splits of one secret tell it.
        let mut seen = [0_u32; 256];
        for _ in 0..20_000 {
            let first = Sharks(2).dealer(&[0x55]).next().map(|share| Vec::from(&share)).unwrap();
            seen[usize::from(first[1])] += 1;
        }
        // 78 of each are expected.
        assert!(seen.iter().all(|count| (20..200).contains(count)), "{seen:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn a_share_that_was_changed_is_refused_or_comes_to_nothing(at in any::<usize>(), byte in any::<u8>()) {
            let identity = Identity::generate_x25519().unwrap();
            let shares = split_of(&identity, 2, 2);
            let mut bytes = shares[0].to_text().as_bytes().to_vec();
            let at = at % bytes.len();
            bytes[at] = byte;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            is_one(&text);
            if let Ok(changed) = Share::parse(&text)
                && let Ok(whole) = combine(&named(vec![changed, shares[1].copy()]))
            {
                assert!(whole.to_text() == identity.to_text());
            }
        }

        #[test]
        fn no_text_makes_the_readers_panic(text in "(?s).{0,200}") {
            drop(Share::parse(&format!("bullaShare: v1\n{text}")).err());
            std::hint::black_box(super::super::KeySecret::parse_all(&text).is_some());
        }
    }
}
