//! Reading many secrets: the folders are listed, the names and tags compared, what matches is read.

use std::collections::BTreeMap;

use futures::stream::{self, FuturesUnordered, StreamExt as _, TryStreamExt as _};
use regex::{Regex, RegexBuilder};
use serde::Deserialize;

use super::fault::Fault;
use super::http::Answer;
use super::path::Engine;
use super::session::Session;
use super::{KvVersion, READS, invalid, kv};
use crate::providers::{Cause, ProviderError};
use crate::sync::remote::{Fetched, Find, Lookup};

/// How many folders are listed at once.
const LISTS: usize = 8;
/// A find that matches this much was not meant.
const MOST: usize = 100_000;
/// Memory that an expression may take, in bytes.
const EXPRESSION: usize = 1024 * 1024;

#[derive(Deserialize)]
struct Listing {
    data: Keys,
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<String>,
}

/// All secrets that match, by their full name: that of the folder in front.
pub(super) async fn all(
    session: &Session,
    engine: &Engine,
    find: &Find,
) -> Result<BTreeMap<String, Fetched>, ProviderError> {
    if !find.tags.is_empty() && engine.version == KvVersion::V1 {
        return Err(invalid("cannot perform find by tag operations with kv version v1"));
    }
    let pattern = find.name.as_deref().map(compile).transpose()?;
    let root = find.path.as_deref().unwrap_or_default().trim_matches('/').to_owned();
    let mut names = list(session, engine, root).await?;
    names.retain(|name| pattern.as_ref().is_none_or(|pattern| pattern.is_match(name)));
    let reads = stream::iter(names).map(|name| read(session, engine, find, name)).buffer_unordered(READS);
    let found: Vec<Option<(String, Fetched)>> = reads.try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// The names of all secrets in and below a folder.
async fn list(session: &Session, engine: &Engine, root: String) -> Result<Vec<String>, ProviderError> {
    let (mut waiting, mut running, mut names) = (vec![(root, true)], FuturesUnordered::new(), Vec::new());
    loop {
        while running.len() < LISTS {
            let Some((folder, is_root)) = waiting.pop() else { break };
            running.push(list_one(session, engine, folder, is_root));
        }
        let Some(result) = running.next().await else { return Ok(names) };
        let (folder, keys) = result?;
        for key in keys {
            let name = if folder.is_empty() { key } else { format!("{folder}/{key}") };
            match name.strip_suffix('/') {
                Some(folder) => waiting.push((folder.to_owned(), false)),
                None => names.push(name),
            }
        }
        if names.len() > MOST {
            return Err(invalid(format!("find meets more than {MOST} secrets; give it a path")));
        }
    }
}

async fn list_one(
    session: &Session,
    engine: &Engine,
    folder: String,
    is_root: bool,
) -> Result<(String, Vec<String>), ProviderError> {
    let path = engine.folder(&folder)?;
    // What the Go client sends for the method LIST, which not every proxy lets pass. The slash says that it is a folder.
    let answer = session.read("ListSecrets", &format!("{path}/"), Some(("list", "true"))).await?;
    if let Some(fault) = Fault::of(&answer) {
        // A folder that was emptied since its name was read.
        if fault.is_missing() && !is_root {
            return Ok((folder, Vec::new()));
        }
        return Err(fault.error(&format!("list {path}")));
    }
    Ok((folder, keys(&answer, &path)?))
}

/// The names in a listing. An empty folder is a 404: a success that names nothing is not Vault's, and would look as if
/// all secrets were gone.
fn keys(answer: &Answer, path: &str) -> Result<Vec<String>, ProviderError> {
    let listing: Listing =
        serde_json::from_slice(answer.body.expose()).map_err(|_| kv::foreign(&format!("list {path}")))?;
    Ok(listing.data.keys)
}

/// `None` where it has not the tags, or is deleted.
async fn read(
    session: &Session,
    engine: &Engine,
    find: &Find,
    name: String,
) -> Result<Option<(String, Fetched)>, ProviderError> {
    // Listed names are relative to the mount and so are not stripped of it like a person's key.
    let lookup = Lookup { key: engine.key_of_listed(&name), version: None };
    if !find.tags.is_empty() && !kv::has_tags(session, &engine.metadata(&lookup.key)?, &find.tags).await? {
        return Ok(None);
    }
    match kv::value(session, engine, &lookup).await {
        Ok(fetched) => Ok(Some((name, fetched))),
        Err(error) if error.cause == Cause::Missing => Ok(None),
        Err(error) => Err(error),
    }
}

fn compile(pattern: &str) -> Result<Regex, ProviderError> {
    let built = RegexBuilder::new(pattern).size_limit(EXPRESSION).dfa_size_limit(EXPRESSION).nest_limit(100).build();
    built.map_err(|_| invalid(format!("the regular expression {pattern:?} is malformed or too large")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Plaintext;

    #[test]
    fn a_listing_without_names_is_not_an_empty_one() {
        let keys = |body: &str| {
            let body = Plaintext::copy_of(body.as_bytes());
            keys(&Answer { status: 200, retry_after: None, body }, "kv/metadata")
        };
        for body in ["{}", r#"{"data":null}"#, r#"{"data":{}}"#, r#"{"data":{"keys":null}}"#, "<html>"] {
            assert_eq!(keys(body).unwrap_err().cause, Cause::Invalid, "{body}");
        }
        assert_eq!(keys(r#"{"data":{"keys":["a","b/"]}}"#).unwrap(), ["a", "b/"]);
    }
}
