//! Systems Manager Parameter Store.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ssm::Client;
use aws_sdk_ssm::types::{Parameter, ParameterStringFilter, ResourceTypeForTagging};

use super::calls::Calls;
use super::store::{Found, Id, Read, Service, tags_document};
use crate::providers::names::Names;
use crate::providers::{Cause, ProviderError};
use crate::secret::Plaintext;
use crate::sync::remote::{Document, Fetched, Find};

/// Parameters of a page with values, and without; AWS allows no more.
const PAGE: i32 = 10;
const LIST_PAGE: i32 = 50;

/// Parameter Store in one region.
pub(super) struct ParameterStore {
    client: Client,
    calls: Calls,
}

impl ParameterStore {
    /// The service; its credentials are those that `calls` keeps ready.
    pub(super) fn new(config: &aws_config::SdkConfig, endpoint: Option<String>, calls: Calls) -> Self {
        let mut config = aws_sdk_ssm::config::Builder::from(config);
        config.set_endpoint_url(endpoint);
        Self { client: Client::from_conf(config.build()), calls }
    }

    /// All parameters under `path`, as far as they are wanted, with their values.
    async fn under(
        &self,
        path: &str,
        is_wanted: impl Fn(&str) -> bool + Send + Sync,
    ) -> Result<BTreeMap<String, Fetched>, ProviderError> {
        let what = format!("parameters under {path:?}");
        let (mut found, mut next) = (BTreeMap::new(), None);
        loop {
            let send = || {
                let call = self.client.get_parameters_by_path().path(path).recursive(true).with_decryption(true);
                call.max_results(PAGE).set_next_token(next.clone()).send()
            };
            let answer = self.calls.make("GetParametersByPath", &what, send).await?;
            for entry in answer.parameters.unwrap_or_default().into_iter().map(Entry::of) {
                if let Some(name) = entry.name.clone()
                    && is_wanted(&name)
                {
                    found.insert(name.clone(), entry.fetched(&name)?);
                }
            }
            let was = next.take();
            next = answer.next_token.filter(|token| !token.is_empty() && was.as_ref() != Some(token));
            if next.is_none() {
                return Ok(found);
            }
        }
    }

    /// The names of all parameters under `path` with those tags, as far as they are wanted.
    async fn described(
        &self,
        path: &str,
        tags: &BTreeMap<String, String>,
        is_wanted: impl Fn(&str) -> bool + Send + Sync,
    ) -> Result<Vec<String>, ProviderError> {
        let mut filters = Vec::new();
        if path != "/" {
            filters.push(filter("Path", "Recursive", path)?);
        }
        for (key, value) in tags {
            filters.push(filter(&format!("tag:{key}"), "Equals", value)?);
        }
        let filters = Some(filters).filter(|filters| !filters.is_empty());
        let (mut names, mut next) = (BTreeSet::new(), None);
        loop {
            let send = || {
                let call = self.client.describe_parameters().set_parameter_filters(filters.clone());
                call.max_results(LIST_PAGE).set_next_token(next.clone()).send()
            };
            let answer = self.calls.make("DescribeParameters", "parameters to find", send).await?;
            let listed = answer.parameters.unwrap_or_default().into_iter().filter_map(|listed| listed.name);
            names.extend(listed.filter(|name| is_wanted(name)));
            let was = next.take();
            next = answer.next_token.filter(|token| !token.is_empty() && was.as_ref() != Some(token));
            if next.is_none() {
                return Ok(names.into_iter().collect());
            }
        }
    }
}

impl Service for ParameterStore {
    const NAME: &'static str = "AWS/ParameterStore";
    const BATCH: usize = 10;

    fn calls(&self) -> &Calls {
        &self.calls
    }

    fn what(name: &str) -> String {
        what(name)
    }

    fn version(version: Option<&str>) -> Option<String> {
        version.map(str::to_owned)
    }

    fn is_batched(_: &Id) -> bool {
        true
    }

    async fn one(&self, id: &Id) -> Read {
        let asked = asked(id);
        let send = || self.client.get_parameter().name(&asked).with_decryption(true).send();
        let answer = self.calls.make("GetParameter", &what(&asked), send).await?;
        let parameter = answer.parameter.ok_or_else(|| empty(&asked))?;
        Entry::of(parameter).fetched(&asked)
    }

    async fn several(&self, ids: &[&Id]) -> Result<BTreeMap<Id, Read>, ProviderError> {
        // Two ids may be the same in the words of AWS.
        let names: BTreeSet<_> = ids.iter().map(|id| asked(id)).collect();
        let send = || {
            let call = self.client.get_parameters().set_names(Some(names.iter().cloned().collect()));
            call.with_decryption(true).send()
        };
        let answer = self.calls.make("GetParameters", "", send).await?;
        let mut values: Vec<_> = answer.parameters.unwrap_or_default().into_iter().map(Entry::of).collect();
        let mut read = BTreeMap::new();
        for &id in ids {
            let asked = asked(id);
            if let Some(at) = pick(&asked, &values) {
                read.insert(id.clone(), values.swap_remove(at).fetched(&asked));
            } else if !has_selector(&asked) && answer.invalid_parameters.iter().flatten().any(|name| *name == asked) {
                let message = format!("parameter {asked:?}: ParameterNotFound");
                read.insert(id.clone(), Err(ProviderError::new(Cause::Missing, message)));
            }
            // The others are asked for alone: whether a version is missing or the whole parameter is known then.
        }
        Ok(read)
    }

    async fn tags(&self, name: &str) -> Read {
        // Tags belong to the parameter and are asked for by name, also where the key is an ARN.
        let id = name.split_once(":parameter").filter(|_| name.starts_with("arn:")).map_or(name, |(_, name)| name);
        let send = || {
            let kind = ResourceTypeForTagging::Parameter;
            self.client.list_tags_for_resource().resource_type(kind).resource_id(id).send()
        };
        let answer = self.calls.make("ListTagsForResource", &what(name), send).await?;
        Ok(tags_document(&answer.tag_list().iter().map(|tag| (tag.key(), tag.value())).collect()))
    }

    async fn find(&self, find: &Find, prefix: &str) -> Result<Found, ProviderError> {
        let names = Names::of(find)?;
        let path = place(find.path.as_deref(), prefix);
        let is_wanted = |name: &str| name.starts_with(prefix) && names.has(name);
        if !find.tags.is_empty() {
            return self.described(&path, &find.tags, is_wanted).await.map(Found::Names);
        }
        match self.under(&path, is_wanted).await {
            // Whoever may list and read need not be allowed to do both at once.
            Err(error) if error.cause == Cause::Denied => {
                self.described(&path, &find.tags, is_wanted).await.map(Found::Names)
            }
            found => found.map(Found::Values),
        }
    }
}

fn what(name: &str) -> String {
    format!("parameter {name:?}")
}

fn empty(name: &str) -> ProviderError {
    ProviderError::new(Cause::Invalid, format!("{}: it has no value", what(name)))
}

/// A parameter as a call names it: with its version, if it is not the current one.
fn asked(id: &Id) -> String {
    match &id.version {
        None => id.name.clone(),
        Some(version) => format!("{}:{version}", id.name),
    }
}

/// Whether a version or label is part of the name, which a key may bring along too.
fn has_selector(asked: &str) -> bool {
    let name = asked.split_once(":parameter").filter(|_| asked.starts_with("arn:")).map_or(asked, |(_, name)| name);
    name.contains(':')
}

/// The hierarchy to look in. The store's prefix comes first, once, whether or not the path repeats it.
fn place(path: Option<&str>, prefix: &str) -> String {
    let whole = match path {
        Some(path) if path.starts_with(prefix) => path.to_owned(),
        Some(path) => format!("{prefix}{path}"),
        // A prefix need not end where a level does.
        None => prefix.rsplit_once('/').map_or("", |(levels, _)| levels).to_owned(),
    };
    let levels = whole.trim_end_matches('/');
    if levels.starts_with('/') { levels.to_owned() } else { format!("/{levels}") }
}

fn filter(key: &str, option: &str, value: &str) -> Result<ParameterStringFilter, ProviderError> {
    let filter = ParameterStringFilter::builder().key(key).option(option).values(value).build();
    filter.map_err(|_| ProviderError::new(Cause::Invalid, format!("find: {key:?} cannot be a filter")))
}

/// One parameter of an answer.
struct Entry {
    name: Option<String>,
    arn: Option<String>,
    selector: String,
    version: i64,
    value: Option<Plaintext>,
}

impl Entry {
    fn of(parameter: Parameter) -> Self {
        Self {
            name: parameter.name,
            arn: parameter.arn,
            selector: parameter.selector.unwrap_or_default(),
            version: parameter.version,
            value: parameter.value.map(Plaintext::from),
        }
    }

    /// What `asked` says beyond the name or the ARN of this parameter, if that is what it names.
    fn selector_in<'a>(&self, asked: &'a str) -> Option<&'a str> {
        let rest = |name: &Option<String>| {
            // Some servers answer with the selector as a part of the name, too.
            let name = name.as_deref().map(|name| name.strip_suffix(&self.selector).unwrap_or(name));
            let rest = name.and_then(|name| asked.strip_prefix(name))?;
            (rest.is_empty() || rest.starts_with(':')).then_some(rest)
        };
        rest(&self.name).or_else(|| rest(&self.arn))
    }

    fn fetched(self, asked: &str) -> Read {
        let value = self.value.ok_or_else(|| empty(asked))?;
        let version = Some(self.version).filter(|version| *version > 0).map(|version| version.to_string());
        Ok(Fetched { document: Document::Opaque(value), version })
    }
}

/// Which entry answers what was asked; `None` if that is not clear. AWS repeats the selector, other servers do not.
fn pick(asked: &str, entries: &[Entry]) -> Option<usize> {
    let is_exact = |entry: &Entry| entry.selector_in(asked) == Some(&entry.selector);
    let mut exact = (0..entries.len()).filter(|&at| is_exact(&entries[at]));
    if let Some(first) = exact.next() {
        let is_same =
            |at: usize| entries[at].version == entries[first].version && entries[at].arn == entries[first].arn;
        return exact.all(is_same).then_some(first);
    }
    let is_version = |entry: &Entry| {
        let number = entry.selector_in(asked).and_then(|selector| selector.strip_prefix(':'));
        number.and_then(|number| number.parse().ok()) == Some(entry.version)
    };
    entries.iter().position(is_version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, selector: &str, version: i64) -> Entry {
        let arn = Some(format!("arn:aws:ssm:eu-west-1:1:parameter/{}", name.trim_start_matches('/')));
        Entry { name: Some(name.to_owned()), arn, selector: selector.to_owned(), version, value: None }
    }

    #[test]
    fn answers_belong_to_what_was_asked() {
        for (answered, asked, is) in [
            (entry("/a/b", "", 4), "/a/b", true),
            (entry("/a/b", "", 4), "/a/b:3", false),
            (entry("/a/b", "", 3), "/a/b:3", true),
            (entry("/a/b", ":3", 3), "/a/b:3", true),
            (entry("/a/b", ":3", 3), "/a/b", false),
            (entry("/a/b", ":3", 3), "/a/b:2", false),
            (entry("/a/b:3", ":3", 3), "/a/b:3", true),
            (entry("/a/b", ":prod", 3), "/a/b:prod", true),
            (entry("/a/b", "", 3), "/a/b:prod", false),
            (entry("/a", "", 3), "/a/b", false),
            (entry("/a/b", "", 3), "arn:aws:ssm:eu-west-1:1:parameter/a/b", true),
            (entry("/a/b", ":2", 2), "arn:aws:ssm:eu-west-1:1:parameter/a/b:2", true),
            (entry("/a/b", "", 3), "arn:aws:ssm:eu-west-1:2:parameter/a/b", false),
        ] {
            assert_eq!(pick(asked, &[answered]), is.then_some(0), "{asked}");
        }
    }

    #[test]
    fn of_several_versions_none_is_taken_for_another() {
        let aws = [entry("/a", ":1", 1), entry("/a", ":2", 2), entry("/a", ":x", 1), entry("/a", "", 2)];
        for (asked, at) in [("/a", 3), ("/a:1", 0), ("/a:2", 1), ("/a:x", 2)] {
            assert_eq!(pick(asked, &aws), Some(at), "{asked}");
        }
        let others = [entry("/a", "", 1), entry("/a", "", 2)];
        for (asked, at) in [("/a", None), ("/a:1", Some(0)), ("/a:2", Some(1)), ("/a:x", None), ("/a:3", None)] {
            assert_eq!(pick(asked, &others), at, "{asked}");
        }
    }

    #[test]
    fn a_prefix_counts_once() {
        for (path, prefix, expected) in [
            (None, "", "/"),
            (Some("/"), "", "/"),
            (Some("/a/"), "", "/a"),
            (None, "/prod/", "/prod"),
            (None, "/prod/app-", "/prod"),
            (None, "app-", "/"),
            (Some("db"), "/prod/", "/prod/db"),
            (Some("/prod/db"), "/prod/", "/prod/db"),
        ] {
            assert_eq!(place(path, prefix), expected, "{path:?} {prefix:?}");
        }
    }

    #[test]
    fn a_selector_is_not_a_part_of_an_arn() {
        for (asked, has) in [
            ("/a", false),
            ("/a:1", true),
            ("arn:aws:ssm:eu-west-1:1:parameter/a", false),
            ("arn:aws:ssm:eu-west-1:1:parameter/a:1", true),
        ] {
            assert_eq!(has_selector(asked), has, "{asked}");
        }
    }
}
