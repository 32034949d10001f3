//! Recipients of `.bulla.yaml`, and of the files that it names, replaced in place: comments, order and every other byte
//! stay.

use std::path::{Path, PathBuf};

use bulla::seal::{Certificate, KeyId, Recipient};

use super::{At, RawRule, RulesError, parse};
use crate::document::replace_strings;

/// Who comes where somebody goes.
#[derive(Clone, Debug)]
pub(crate) struct Replacement {
    /// Who goes.
    pub(crate) old: KeyId,
    /// Who comes.
    pub(crate) new: Recipient,
    /// The new one's certificate, where it is one.
    pub(crate) certificate: Option<String>,
}

/// The text of a `.bulla.yaml` with the recipients replaced; `None` if it names none of them.
///
/// # Errors
/// The file is malformed, names a recipient in a way that cannot be edited, or names both who goes and who comes.
pub(crate) fn rules(path: &Path, text: &str, changes: &[Replacement]) -> Result<Option<String>, RulesError> {
    let malformed = |problem: String| RulesError::Malformed { path: path.to_path_buf(), at: At::default(), problem };
    let before = parse(path, text)?;
    let new = replace_strings(text, |found| Some(replaced(found, changes)?.to_string()));
    let Some(new) = new.map_err(|error| malformed(error.to_string()))? else { return Ok(None) };
    let after = parse(path, &new)?;
    let is_right = before.rules.len() == after.rules.len()
        && before.rules.into_iter().zip(&after.rules).all(|(rule, after)| {
            let recipients = rule.recipients.into_iter();
            let recipients = recipients.map(|old| replaced(&old, changes).map_or(old, ToString::to_string)).collect();
            RawRule { recipients, ..rule } == *after
        });
    if !is_right {
        return Err(malformed(
            "it is written in a way that cannot be edited in place safely; edit it by hand".to_owned(),
        ));
    }
    for rule in &after.rules {
        refuse_twice(path, rule.recipients.iter().map(String::as_str), changes)?;
    }
    Ok(Some(new))
}

/// The text of a file of recipients, or of a certificate, with them replaced; `None` if it has none of them.
///
/// # Errors
/// It would name somebody twice, or what comes instead of a certificate is none.
pub(crate) fn recipient_file(path: &Path, text: &str, changes: &[Replacement]) -> Result<Option<String>, RulesError> {
    let malformed = |problem: String| RulesError::Malformed { path: path.to_path_buf(), at: At::default(), problem };
    if text.contains("-----BEGIN ") {
        let Ok(certificate) = Certificate::from_pem(text.as_bytes()) else { return Ok(None) };
        let id = Recipient::from(certificate).key_id();
        let Some(change) = changes.iter().find(|change| change.old == id) else { return Ok(None) };
        return match &change.certificate {
            Some(pem) => Ok(Some(pem.clone())),
            None => Err(malformed(
                "is a certificate, and the new key has none: name the new recipient in its place, or make a certificate"
                    .to_owned(),
            )),
        };
    }
    let mut new = String::with_capacity(text.len());
    let mut is_changed = false;
    for line in text.split_inclusive('\n') {
        match replaced(line.trim(), changes) {
            Some(recipient) => {
                new.push_str(&line.replacen(line.trim(), &recipient.to_string(), 1));
                is_changed = true;
            }
            None => new.push_str(line),
        }
    }
    refuse_twice(path, new.lines().map(str::trim), changes)?;
    Ok(is_changed.then_some(new))
}

/// Whom one rule names.
pub(crate) struct Named {
    /// The rule's path.
    pub(crate) path: String,
    /// The recipients that it names itself.
    pub(crate) recipients: Vec<Recipient>,
    /// Its `recipientFiles`, resolved.
    pub(crate) files: Vec<PathBuf>,
}

/// Whom each rule of a `.bulla.yaml` names.
///
/// # Errors
/// The file is malformed.
pub(crate) fn named(path: &Path, text: &str) -> Result<Vec<Named>, RulesError> {
    let root = path.parent().unwrap_or_else(|| Path::new("."));
    let rules = parse(path, text)?.rules.into_iter().map(|rule| Named {
        recipients: rule.recipients.iter().filter_map(|text| text.parse().ok()).collect(),
        files: rule.recipient_files.iter().map(|file| root.join(file)).collect(),
        path: rule.path,
    });
    Ok(rules.collect())
}

fn replaced<'a>(text: &str, changes: &'a [Replacement]) -> Option<&'a Recipient> {
    if !text.to_ascii_lowercase().starts_with("age1") {
        return None;
    }
    let id = text.parse::<Recipient>().ok()?.key_id();
    changes.iter().find(|change| change.old == id).map(|change| &change.new)
}

/// Two of the same recipient where one of them has just come: the file had it already.
fn refuse_twice<'a>(
    path: &Path,
    recipients: impl Iterator<Item = &'a str>,
    changes: &[Replacement],
) -> Result<(), RulesError> {
    let mut seen: Vec<String> = Vec::new();
    for recipient in recipients.filter_map(|text| text.parse::<Recipient>().ok()) {
        let text = recipient.to_string();
        if seen.contains(&text) && changes.iter().any(|change| change.new.key_id() == recipient.key_id()) {
            let problem =
                format!("names both an old key and the new one, {}: take the old one out", recipient.key_id());
            return Err(RulesError::Malformed { path: path.to_path_buf(), at: At::default(), problem });
        }
        seen.push(text);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bulla::seal::{self, Identity, RsaBits};

    use super::*;

    fn key() -> Recipient {
        Identity::generate_x25519().unwrap().recipient().clone()
    }

    fn change(old: &Recipient, new: &Recipient) -> Vec<Replacement> {
        vec![Replacement { old: old.key_id(), new: new.clone(), certificate: None }]
    }

    #[test]
    fn recipients_change_and_nothing_else() {
        let (old, new, other) = (key(), key(), key());
        let text = format!(
            "# who opens what, formerly {old}\nversion: 1\nrules:\n- path: \"prod/**\"   # first\n  recipients:\n  - {other}\n  - '{old}' \
             # the cluster\n  scope: strict\n- {{path: '**', recipients: [{old}]}}\n"
        );
        let got = rules(Path::new(".bulla.yaml"), &text, &change(&old, &new)).unwrap().unwrap();
        let (head, rest) = text.split_once('\n').unwrap();
        assert_eq!(got, format!("{head}\n{}", rest.replace(&old.to_string(), &new.to_string())));
        assert_eq!(rules(Path::new(".bulla.yaml"), &got, &change(&old, &new)).unwrap(), None);
    }

    #[test]
    fn a_file_of_recipients_keeps_its_comments_and_line_ends() {
        let (old, new, other) = (key(), key(), key());
        let text = format!("# ours\r\n  {old}\r\n# {old}\r\n{other}");
        let got = recipient_file(Path::new("prod.txt"), &text, &change(&old, &new)).unwrap().unwrap();
        assert_eq!(got, format!("# ours\r\n  {new}\r\n# {old}\r\n{other}"));
    }

    #[test]
    fn a_file_that_names_both_is_left_to_a_person() {
        let (old, new) = (key(), key());
        let text = format!("version: 1\nrules:\n- path: a\n  recipients: [{old}, {new}]\n");
        let error = rules(Path::new(".bulla.yaml"), &text, &change(&old, &new)).unwrap_err().to_string();
        assert!(error.contains("names both") && error.contains(&new.key_id().to_string()), "{error}");
        let error = recipient_file(Path::new("p.txt"), &format!("{new}\n{old}\n"), &change(&old, &new)).unwrap_err();
        assert!(error.to_string().contains("names both"), "{error}");
    }

    #[test]
    fn a_certificate_gives_way_to_a_certificate_only() {
        let issued = || {
            let life = std::time::Duration::from_secs(3600);
            seal::issue(RsaBits::Bits2048, "bulla", jiff::Timestamp::now(), life).unwrap().certificate
        };
        let (old, new) = (issued(), issued());
        let recipient = |pem: &str| Recipient::from(Certificate::from_pem(pem.as_bytes()).unwrap());
        let mut changes = change(&recipient(&old), &recipient(&new));
        let error = recipient_file(Path::new("prod.pem"), &old, &changes).unwrap_err();
        assert!(error.to_string().contains("prod.pem: is a certificate"), "{error}");
        changes[0].certificate = Some(new.clone());
        assert_eq!(recipient_file(Path::new("prod.pem"), &old, &changes).unwrap(), Some(new.clone()));
        assert_eq!(recipient_file(Path::new("prod.pem"), &new, &changes).unwrap(), None);
    }
}
