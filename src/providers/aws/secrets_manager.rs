//! Secrets Manager.

use std::collections::BTreeMap;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::primitives::Blob;
use aws_sdk_secretsmanager::types::{ApiErrorType, Filter, FilterNameStringType, SecretListEntry, SecretValueEntry};

use super::calls::Calls;
use super::error::refused;
use super::store::{Found, Id, Read, Service, tags_document};
use crate::providers::names::Names;
use crate::providers::{Cause, ProviderError};
use crate::secret::Plaintext;
use crate::sync::remote::{Document, Fetched, Find};

/// The stage of the current version.
const CURRENT: &str = "AWSCURRENT";
/// What a version begins with that is an id and not a stage.
const BY_ID: &str = "uuid/";
/// Filters that one list can have.
const MOST_FILTERS: usize = 10;

/// Secrets Manager in one region.
pub(super) struct SecretsManager {
    client: Client,
    calls: Calls,
}

impl SecretsManager {
    /// The service; its credentials are those that `calls` keeps ready.
    pub(super) fn new(config: &aws_config::SdkConfig, endpoint: Option<String>, calls: Calls) -> Self {
        let mut config = aws_sdk_secretsmanager::config::Builder::from(config);
        config.set_endpoint_url(endpoint);
        Self { client: Client::from_conf(config.build()), calls }
    }
}

impl Service for SecretsManager {
    const NAME: &'static str = "AWS/SecretsManager";
    const BATCH: usize = 20;

    fn calls(&self) -> &Calls {
        &self.calls
    }

    fn what(name: &str) -> String {
        what(name)
    }

    fn version(version: Option<&str>) -> Option<String> {
        version.filter(|version| *version != CURRENT).map(str::to_owned)
    }

    fn is_batched(id: &Id) -> bool {
        id.version.is_none()
    }

    async fn one(&self, id: &Id) -> Read {
        let what = what(&id.name);
        let (version, stage) = match id.version.as_deref() {
            None => (None, None),
            Some(version) => match version.strip_prefix(BY_ID) {
                Some(version) => (Some(version.to_owned()), None),
                None => (None, Some(version.to_owned())),
            },
        };
        let send = || {
            let call = self.client.get_secret_value().secret_id(&id.name);
            call.set_version_id(version.clone()).set_version_stage(stage.clone()).send()
        };
        let answer = self.calls.make("GetSecretValue", &what, send).await?;
        fetched(&id.name, answer.secret_string, answer.secret_binary, answer.version_id)
    }

    async fn several(&self, ids: &[&Id]) -> Result<BTreeMap<Id, Read>, ProviderError> {
        let names: Vec<_> = ids.iter().map(|id| id.name.clone()).collect();
        let (mut values, mut errors, mut next) = (Vec::new(), Vec::new(), None);
        loop {
            let send = || {
                let call = self.client.batch_get_secret_value().set_secret_id_list(Some(names.clone()));
                call.set_next_token(next.clone()).send()
            };
            let answer = self.calls.make("BatchGetSecretValue", "", send).await?;
            values.extend(answer.secret_values.unwrap_or_default().into_iter().map(Entry::of));
            errors.extend(answer.errors.unwrap_or_default());
            let was = next.take();
            next = answer.next_token.filter(|token| !token.is_empty() && was.as_ref() != Some(token));
            if next.is_none() {
                break;
            }
        }
        Ok(ids.iter().filter_map(|&id| Some((id.clone(), pick(&id.name, &values, &errors)?))).collect())
    }

    async fn tags(&self, name: &str) -> Read {
        let send = || self.client.describe_secret().secret_id(name).send();
        let answer = self.calls.make("DescribeSecret", &what(name), send).await?;
        if answer.deleted_date.is_some() {
            return Err(ProviderError::new(Cause::Missing, format!("{}: it is marked for deletion", what(name))));
        }
        let tags = answer.tags();
        Ok(tags_document(&tags.iter().filter_map(|tag| Some((tag.key()?, tag.value()?))).collect()))
    }

    async fn find(&self, find: &Find, prefix: &str) -> Result<Found, ProviderError> {
        let wanted = Names::of(find)?;
        let path = match &find.path {
            Some(path) if path.starts_with(prefix) => path.clone(),
            Some(path) => format!("{prefix}{path}"),
            None => prefix.to_owned(),
        };
        let filters = filters(&path, find);
        let (mut names, mut next) = (Vec::new(), None);
        loop {
            let send = || {
                let call = self.client.list_secrets().set_filters(Some(filters.clone()).filter(|f| !f.is_empty()));
                call.max_results(100).set_next_token(next.clone()).send()
            };
            let answer = self.calls.make("ListSecrets", "secrets to find", send).await?;
            for secret in answer.secret_list.unwrap_or_default() {
                if has_tags(&secret, find)
                    && let Some(name) = secret.name
                    && name.starts_with(&path)
                    && wanted.has(&name)
                {
                    names.push(name);
                }
            }
            let was = next.take();
            next = answer.next_token.filter(|token| !token.is_empty() && was.as_ref() != Some(token));
            if next.is_none() {
                return Ok(Found::Names(names));
            }
        }
    }
}

fn what(name: &str) -> String {
    format!("secret {name:?}")
}

fn fetched(name: &str, text: Option<String>, bytes: Option<Blob>, version: Option<String>) -> Read {
    let value = match (text, bytes) {
        (Some(text), _) => Plaintext::from(text),
        (None, Some(bytes)) => Plaintext::new(bytes.into_inner()),
        (None, None) => {
            let message = format!("{}: it has neither a string nor a binary", what(name));
            return Err(ProviderError::new(Cause::Invalid, message));
        }
    };
    Ok(Fetched { document: Document::Opaque(value), version })
}

/// One value of a batch.
struct Entry {
    name: Option<String>,
    arn: Option<String>,
    version: Option<String>,
    value: Option<Plaintext>,
}

impl Entry {
    fn of(entry: SecretValueEntry) -> Self {
        let value = match (entry.secret_string, entry.secret_binary) {
            (Some(text), _) => Some(Plaintext::from(text)),
            (None, bytes) => bytes.map(|bytes| Plaintext::new(bytes.into_inner())),
        };
        Self { name: entry.name, arn: entry.arn, version: entry.version_id, value }
    }
}

/// What a batch answers to the secret asked for as `id`; `None` if that is not clear.
fn pick(id: &str, values: &[Entry], errors: &[ApiErrorType]) -> Option<Read> {
    if let Some(error) = errors.iter().find(|error| error.secret_id().is_some_and(|of| of == id || is_arn_of(of, id))) {
        let (code, message) = (error.error_code().unwrap_or_default(), error.message().unwrap_or_default());
        return Some(Err(refused(&what(id), code, message, 0, None)));
    }
    let is_it = |entry: &&Entry| {
        let arn = entry.arn.as_deref().unwrap_or_default();
        entry.name.as_deref() == Some(id) || arn == id || is_arn_of(arn, id)
    };
    let mut candidates = values.iter().filter(is_it);
    let (entry, other) = (candidates.next()?, candidates.next());
    // Secrets of two accounts may have the same name.
    if other.is_some_and(|other| other.arn != entry.arn) {
        return None;
    }
    let value = entry.value.as_ref()?;
    let document = Document::Opaque(Plaintext::copy_of(value.expose()));
    Some(Ok(Fetched { document, version: entry.version.clone() }))
}

/// Whether `arn` is that of the secret asked for as `id`: a name, or an ARN without the six characters at its end.
fn is_arn_of(arn: &str, id: &str) -> bool {
    let is_end = |end: &str| end.len() == 7 && end.starts_with('-');
    if id.starts_with("arn:") {
        return arn.strip_prefix(id).is_some_and(is_end);
    }
    let name = arn.splitn(7, ':').nth(6).filter(|_| arn.starts_with("arn:"));
    name.and_then(|name| name.strip_prefix(id)).is_some_and(is_end)
}

/// The filters of a list. They only make it shorter: what they let through is looked at again, since they compare
/// beginnings and do not bind a tag's value to its key.
fn filters(path: &str, find: &Find) -> Vec<Filter> {
    let filter = |kind: FilterNameStringType, value: &str| {
        // A leading ! would mean the contrary, and other characters are refused.
        let is_allowed = |letter: char| letter.is_ascii_alphanumeric() || " :_@/+=.-".contains(letter);
        let is_fit = !value.is_empty() && value.len() <= 512 && value.chars().all(is_allowed);
        is_fit.then(|| Filter::builder().key(kind).values(value).build())
    };
    let mut filters: Vec<_> = filter(FilterNameStringType::Name, path).into_iter().collect();
    for (key, value) in &find.tags {
        filters.extend(filter(FilterNameStringType::TagKey, key));
        filters.extend(filter(FilterNameStringType::TagValue, value));
    }
    filters.truncate(MOST_FILTERS);
    filters
}

fn has_tags(secret: &SecretListEntry, find: &Find) -> bool {
    let has = |(key, value): (&String, &String)| {
        secret.tags().iter().any(|tag| tag.key() == Some(key.as_str()) && tag.value() == Some(value.as_str()))
    };
    find.tags.iter().all(has)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:eu-west-1:1:secret:app/db-AbCdEf";

    fn entry(name: &str, arn: &str, value: &str) -> Entry {
        let value = Some(Plaintext::copy_of(value.as_bytes()));
        Entry { name: Some(name.to_owned()), arn: Some(arn.to_owned()), version: None, value }
    }

    fn picked(id: &str, values: &[Entry], errors: &[ApiErrorType]) -> Option<Result<Vec<u8>, Cause>> {
        let read = pick(id, values, errors)?;
        Some(match read {
            Ok(Fetched { document: Document::Opaque(value), .. }) => Ok(value.expose().to_vec()),
            Ok(_) => panic!("not opaque"),
            Err(error) => Err(error.cause),
        })
    }

    #[test]
    fn an_arn_may_lack_its_end() {
        for (id, is) in [
            ("app/db", true),
            ("app", false),
            ("app/db-AbCdEf", false),
            ("arn:aws:secretsmanager:eu-west-1:1:secret:app/db", true),
            ("arn:aws:secretsmanager:eu-west-1:1:secret:app/d", false),
            ("arn:aws:secretsmanager:eu-west-1:2:secret:app/db", false),
        ] {
            assert_eq!(is_arn_of(ARN, id), is, "{id}");
        }
        assert!(!is_arn_of("app/db-AbCdEf", "app/db"));
    }

    #[test]
    fn a_batch_is_taken_apart() {
        let error = ApiErrorType::builder().secret_id("gone").error_code("ResourceNotFoundException").build();
        let denied = ApiErrorType::builder().secret_id(ARN.replace("app/db", "no")).error_code("AccessDeniedException");
        let errors = [error, denied.build()];
        let values = [entry("app/db", ARN, "1")];
        for id in ["app/db", ARN, "arn:aws:secretsmanager:eu-west-1:1:secret:app/db"] {
            assert_eq!(picked(id, &values, &errors), Some(Ok(b"1".to_vec())), "{id}");
        }
        assert_eq!(picked("gone", &values, &errors), Some(Err(Cause::Missing)));
        assert_eq!(picked("no", &values, &errors), Some(Err(Cause::Denied)));
        assert_eq!(picked("left out", &values, &errors), None);
        // The same name in another account: it has to be asked for alone.
        let other = ARN.replace(":1:", ":2:");
        let values = [entry("app/db", ARN, "1"), entry("app/db", &other, "2")];
        assert_eq!(picked("app/db", &values, &[]), None);
        assert_eq!(picked(&other, &values, &[]), Some(Ok(b"2".to_vec())));
    }

    #[test]
    fn filters_are_what_aws_allows() {
        let find = |tag: &str, value: &str| Find {
            tags: BTreeMap::from([(tag.to_owned(), value.to_owned())]),
            ..Find::default()
        };
        assert_eq!(filters("app/", &find("env", "prod")).len(), 3);
        assert_eq!(filters("", &find("env", "!prod")).len(), 1);
        assert_eq!(filters("a*", &find("env", "")).len(), 1);
    }
}
