//! Reading one secret.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::fault::Fault;
use super::http::Answer;
use super::path::Engine;
use super::session::Session;
use super::{KvVersion, invalid};
use crate::providers::{Cause, ProviderError};
use crate::secret::Plaintext;
use crate::sync::remote::{Document, Fetched, Lookup};

/// What surrounds every answer. Raw: numbers and escapes stay as Vault wrote them.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// The `data` of version 2; `data` in it is null where the version was deleted or destroyed.
#[derive(Deserialize)]
struct Versioned<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<VersionMetadata<'a>>,
}

#[derive(Deserialize)]
struct VersionMetadata<'a> {
    #[serde(borrow)]
    version: Option<&'a RawValue>,
}

/// The `data` of a metadata path; other fields are not asked for.
#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow)]
    created_time: Option<&'a RawValue>,
    #[serde(borrow)]
    current_version: Option<&'a RawValue>,
    #[serde(borrow)]
    delete_version_after: Option<&'a RawValue>,
    #[serde(borrow)]
    custom_metadata: Option<BTreeMap<Cow<'a, str>, &'a RawValue>>,
}

/// The values of a secret.
pub(super) async fn value(session: &Session, engine: &Engine, lookup: &Lookup) -> Result<Fetched, ProviderError> {
    let path = engine.data(&lookup.key)?;
    let query = lookup.version.as_deref().map(|version| ("version", version));
    let answer = session.read("ReadSecretData", &path, query).await?;
    let what = format!("read {path}");
    if let Some(fault) = Fault::of(&answer) {
        if fault.status == 404 && engine.version == KvVersion::V2 && is_gone(&answer) {
            return Err(gone(&path));
        }
        return Err(fault.error(&what));
    }
    fetched(&answer, engine.version, &path)
}

/// The values that an answer of success holds. One without `data` is not Vault's, whatever its status: it must not pass
/// for a secret that is missing, which may be deleted from the cluster too.
fn fetched(answer: &Answer, version: KvVersion, path: &str) -> Result<Fetched, ProviderError> {
    let what = format!("read {path}");
    let data = data(answer, &what)?.ok_or_else(|| foreign(&what))?;
    match version {
        KvVersion::V1 => Ok(Fetched { document: object(data, &what)?, version: None }),
        KvVersion::V2 => {
            let found: Versioned<'_> = parse(data.get().as_bytes(), &what)?;
            let metadata = found.metadata.ok_or_else(|| foreign(&what))?;
            let data = found.data.ok_or_else(|| gone(path))?;
            let version = metadata.version.map(|version| version.get().to_owned());
            Ok(Fetched { document: object(data, &what)?, version })
        }
    }
}

/// What Vault knows about a secret: when it was made, its version, and the custom metadata that people gave it.
pub(super) async fn metadata(session: &Session, engine: &Engine, lookup: &Lookup) -> Result<Fetched, ProviderError> {
    let path = engine.metadata(&lookup.key)?;
    let answer = read_metadata(session, &path).await?;
    let found = parse_metadata(&answer, &path)?;
    let version = found.current_version.map(|version| version.get().to_owned());
    let fields = [
        ("created_time", found.created_time),
        ("current_version", found.current_version),
        ("delete_version_after", found.delete_version_after),
    ];
    let given = fields.into_iter().filter_map(|(name, value)| Some((Cow::Borrowed(name), value?)));
    let all: BTreeMap<_, _> = given.chain(found.custom_metadata.unwrap_or_default()).collect();
    Ok(Fetched { document: Document::Object(write(&all, answer.body.len())?), version })
}

/// Whether the custom metadata at `path` has all of `tags`.
pub(super) async fn has_tags(
    session: &Session,
    path: &str,
    tags: &BTreeMap<String, String>,
) -> Result<bool, ProviderError> {
    let answer = match read_metadata(session, path).await {
        // Deleted since it was listed.
        Err(error) if error.cause == Cause::Missing => return Ok(false),
        other => other?,
    };
    let custom = parse_metadata(&answer, path)?.custom_metadata.unwrap_or_default();
    Ok(tags.iter().all(|(name, wanted)| {
        let value = custom.get(name.as_str()).and_then(|value| serde_json::from_str::<Cow<'_, str>>(value.get()).ok());
        value.is_some_and(|value| value == *wanted)
    }))
}

async fn read_metadata(session: &Session, path: &str) -> Result<Answer, ProviderError> {
    let answer = session.read("ReadSecretData", path, None).await?;
    match Fault::of(&answer) {
        Some(fault) => Err(fault.error(&format!("read {path}"))),
        None => Ok(answer),
    }
}

fn parse_metadata<'a>(answer: &'a Answer, path: &str) -> Result<Metadata<'a>, ProviderError> {
    let what = format!("read {path}");
    let data = data(answer, &what)?.ok_or_else(|| foreign(&what))?;
    parse(data.get().as_bytes(), &what)
}

fn data<'a>(answer: &'a Answer, what: &str) -> Result<Option<&'a RawValue>, ProviderError> {
    let envelope: Envelope<'_> = parse(answer.body.expose(), what)?;
    Ok(envelope.data)
}

/// Whether a 404 tells of a secret that was there: it has the metadata of its last version.
fn is_gone(answer: &Answer) -> bool {
    let data = data(answer, "").ok().flatten();
    let found = data.and_then(|data| serde_json::from_str::<Versioned<'_>>(data.get()).ok());
    found.is_some_and(|found| found.data.is_none() && found.metadata.is_some())
}

fn gone(path: &str) -> ProviderError {
    ProviderError::new(
        Cause::Missing,
        format!("cannot read {path}: there is no such secret, or the version is deleted"),
    )
}

/// Something between answered in place of Vault, such as a proxy.
pub(super) fn foreign(what: &str) -> ProviderError {
    invalid(format!("cannot {what}: the answer is not one of a KV engine"))
}

/// The parser's own words are left out: they may quote what they stumbled over.
fn parse<'a, T: Deserialize<'a>>(json: &'a [u8], what: &str) -> Result<T, ProviderError> {
    serde_json::from_slice(json).map_err(|_| foreign(what))
}

fn object(data: &RawValue, what: &str) -> Result<Document, ProviderError> {
    let text = data.get();
    if !text.starts_with('{') {
        return Err(invalid(format!("cannot {what}: the answer holds no data field with a map")));
    }
    Ok(Document::Object(Plaintext::copy_of(text.as_bytes())))
}

/// Into a buffer that does not grow, so that it leaves no copies: the parts are all from a text of `length` bytes.
fn write(value: &impl Serialize, length: usize) -> Result<Plaintext, ProviderError> {
    let mut buffer = Zeroizing::new(Vec::with_capacity(length + 64));
    serde_json::to_writer(&mut *buffer, value).map_err(|_| invalid("the metadata cannot be written as JSON"))?;
    Ok(Plaintext::from_guarded(buffer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &str) -> Answer {
        Answer { status: 200, retry_after: None, body: Plaintext::copy_of(body.as_bytes()) }
    }

    #[test]
    fn a_success_that_is_not_vaults_is_no_missing_secret() {
        let foreign = ["{}", r#"{"data":null}"#, "[]", "", "<html>", r#"{"data":"a"}"#, r#"{"errors":[]}"#];
        for body in foreign {
            for version in [KvVersion::V1, KvVersion::V2] {
                let error = fetched(&answer(body), version, "kv/data/a").err().expect(body);
                assert_eq!(error.cause, Cause::Invalid, "{body} {version:?}");
            }
            assert_eq!(parse_metadata(&answer(body), "kv/metadata/a").err().expect(body).cause, Cause::Invalid);
        }
        for body in [r#"{"data":{}}"#, r#"{"data":{"data":null}}"#, r#"{"data":{"data":null,"metadata":null}}"#] {
            let error = fetched(&answer(body), KvVersion::V2, "kv/data/a").err().expect(body);
            assert_eq!(error.cause, Cause::Invalid, "{body}");
        }
        let deleted = answer(r#"{"data":{"data":null,"metadata":{"version":3,"deletion_time":"2024"}}}"#);
        assert_eq!(fetched(&deleted, KvVersion::V2, "kv/data/a").err().expect("none").cause, Cause::Missing);
        let there = answer(r#"{"data":{"data":{"a":"b"},"metadata":{"version":3}}}"#);
        assert_eq!(fetched(&there, KvVersion::V2, "kv/data/a").expect("one").version.as_deref(), Some("3"));
    }
}
