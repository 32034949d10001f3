//! What every provider does alike, whatever is behind it.
//!
//! A [`Backend`] fills the real store by means other than the provider; `contract!` makes a test of each promise.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bulla::providers::gate::Meter;
use bulla::providers::{Cause, Gate, Provider, ProviderError};
use bulla::sync::pressure::Budget;
use bulla::sync::remote::{Answer, Document, Fetched, Find, Lookup, Request};
use futures::FutureExt as _;

/// A real store that a test fills.
pub(crate) trait Backend {
    /// Stores values, or replaces them. A store of documents puts each into a field named `value`.
    async fn put(&self, entries: &[(String, Vec<u8>)]);

    /// Deletes a value.
    async fn delete(&self, key: &str);

    /// A provider of this store.
    fn provider(&self, gate: Gate) -> Arc<dyn Provider>;

    /// The key by which a value of this name is stored, such as one with a prefix of this test's own. It contains the
    /// name.
    fn key(&self, name: &str) -> String {
        name.to_owned()
    }

    /// What can be expected of it.
    fn traits(&self) -> Traits {
        Traits::default()
    }
}

/// What can be expected of a backend.
#[derive(Clone, Copy)]
pub(crate) struct Traits {
    /// Values may be any bytes, not only text.
    pub(crate) binary: bool,
    /// Values may be empty.
    pub(crate) empty: bool,
    /// The longest value, in bytes.
    pub(crate) longest: usize,
    /// A provider sees what changes after it was made.
    pub(crate) live: bool,
    /// The cause of a find that finds nothing, where that is an error.
    pub(crate) nothing_found: Option<Cause>,
    /// How many calls a fetch of 100 keys may take.
    pub(crate) calls_for_100: usize,
}

impl Default for Traits {
    fn default() -> Self {
        Self { binary: true, empty: true, longest: 60_000, live: true, nothing_found: None, calls_for_100: 100 }
    }
}

/// Makes the tests of the contract for a backend; the expression makes one and is awaited.
macro_rules! contract {
    ($backend:expr) => {
        $crate::contract::contract!(@ $backend;
            values_are_read_back_bit_by_bit,
            a_missing_key_is_missing_and_the_others_are_answered,
            answers_are_in_the_order_of_the_requests_also_of_equal_ones,
            a_hundred_keys_in_one_fetch,
            find_by_name_gives_names_and_values,
            find_without_a_match,
            a_malformed_expression_is_invalid,
            lookups_and_finds_share_a_fetch,
            a_change_is_seen,
            a_deletion_is_seen,
            errors_never_contain_the_value,
            close_twice_is_harmless,
            a_fetch_of_nothing_makes_no_call,
            fetches_at_once_do_not_mix,
            a_fetch_that_is_given_up_harms_no_other,
            a_good_store_validates,
        );
    };
    (@ $backend:expr; $($promise:ident),* $(,)?) => {$(
        #[tokio::test]
        async fn $promise() {
            let backend = $backend.await;
            $crate::contract::$promise(&backend).await;
        }
    )*};
}
pub(crate) use contract;

/// Counts the calls by name.
#[derive(Default)]
pub(crate) struct Calls(Mutex<BTreeMap<&'static str, usize>>);

impl Meter for Calls {
    fn called(&self, _: &'static str, call: &'static str, _: bool, _: Duration) {
        *self.0.lock().unwrap().entry(call).or_default() += 1;
    }
}

impl Calls {
    pub(crate) fn total(&self) -> usize {
        self.0.lock().unwrap().values().sum()
    }

    pub(crate) fn of(&self, call: &str) -> usize {
        self.0.lock().unwrap().get(call).copied().unwrap_or_default()
    }
}

/// A gate without a limit.
pub(crate) fn gate() -> Gate {
    Gate::new("Contract", Budget::new(1e6, 1e6), Arc::new(Calls::default()))
}

/// A gate without a limit, and what it counts.
pub(crate) fn counted() -> (Gate, Arc<Calls>) {
    let calls = Arc::new(Calls::default());
    (Gate::new("Contract", Budget::new(1e6, 1e6), calls.clone()), calls)
}

pub(crate) fn lookup(key: impl Into<String>) -> Lookup {
    Lookup { key: key.into(), version: None }
}

pub(crate) fn value(key: impl Into<String>) -> Request {
    Request::Value(lookup(key))
}

pub(crate) fn find(name: &str) -> Request {
    Request::Find(Find { name: Some(name.to_owned()), ..Find::default() })
}

/// Fetches one answer.
pub(crate) async fn one(provider: &dyn Provider, request: Request) -> Result<Fetched, ProviderError> {
    match only(provider, request).await? {
        Answer::One(fetched) => Ok(fetched),
        Answer::Many(_) => panic!("many answers to one question"),
    }
}

/// Finds.
pub(crate) async fn many(
    provider: &dyn Provider,
    request: Request,
) -> Result<BTreeMap<String, Fetched>, ProviderError> {
    match only(provider, request).await? {
        Answer::Many(found) => Ok(found),
        Answer::One(_) => panic!("one answer to a find"),
    }
}

async fn only(provider: &dyn Provider, request: Request) -> Result<Answer, ProviderError> {
    let mut answers = provider.fetch(vec![request]).await;
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

/// The value that was put.
pub(crate) fn content(fetched: &Fetched) -> Vec<u8> {
    match &fetched.document {
        Document::Opaque(bytes) => bytes.expose().to_vec(),
        Document::Object(json) => {
            let object: serde_json::Value = serde_json::from_slice(json.expose()).expect("an object in JSON");
            object["value"].as_str().expect("a field named value").as_bytes().to_vec()
        }
        Document::Fields(values) => values["value"].expose().to_vec(),
    }
}

fn found(answer: &Result<Answer, ProviderError>) -> Result<Vec<u8>, Cause> {
    match answer {
        Ok(Answer::One(fetched)) => Ok(content(fetched)),
        Ok(Answer::Many(_)) => panic!("many answers to one question"),
        Err(error) => Err(error.cause),
    }
}

async fn fill<B: Backend>(backend: &B, entries: &[(&str, &[u8])]) {
    let entries: Vec<_> = entries.iter().map(|(name, value)| (backend.key(name), value.to_vec())).collect();
    backend.put(&entries).await;
}

/// A provider made after the store was filled.
async fn filled<B: Backend>(backend: &B, entries: &[(&str, &[u8])]) -> Arc<dyn Provider> {
    fill(backend, entries).await;
    backend.provider(gate())
}

pub(crate) async fn values_are_read_back_bit_by_bit<B: Backend>(backend: &B) {
    let traits = backend.traits();
    let mut values: Vec<Vec<u8>> = [
        " around ",
        "line\nline\r\n\ttab\n",
        "ünïcödé \u{1F511}",
        "\"quotes\" 'and' \\ \\n",
        "007",
        "1e3",
        "null",
        "true",
        "{\"a\": {\"b\": 1.50}, \"c\":[]}",
        "- a: b # c",
        "${HOME} {{ .x }} %s",
        "<&>\u{2028}",
        "-----BEGIN X-----\nYQ==\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    values.push((0..traits.longest).map(|at| b'a' + (at % 26) as u8).collect());
    if traits.empty {
        values.push(Vec::new());
    }
    if traits.binary {
        values.push((0..=255).collect());
        values.push(vec![0, 0xff, 0xfe, 0x80, b'\n', 0]);
    }
    let names: Vec<String> = (0..values.len()).map(|index| format!("bits-{index}")).collect();
    let entries: Vec<_> = names.iter().map(String::as_str).zip(values.iter().map(Vec::as_slice)).collect();
    let provider = filled(backend, &entries).await;
    for (name, value) in entries {
        let read = one(&*provider, self::value(backend.key(name))).await.unwrap_or_else(|error| panic!("{error}"));
        assert!(content(&read) == value, "{name}: {:?}", String::from_utf8_lossy(value));
    }
}

pub(crate) async fn a_missing_key_is_missing_and_the_others_are_answered<B: Backend>(backend: &B) {
    let provider = filled(backend, &[("first", b"1"), ("last", b"2")]).await;
    let missing = backend.key("no-such-key");
    let requests = vec![value(backend.key("first")), value(&missing), value(backend.key("last"))];
    let answers = provider.fetch(requests).await;
    let found: Vec<_> = answers.iter().map(found).collect();
    assert_eq!(found, [Ok(b"1".to_vec()), Err(Cause::Missing), Ok(b"2".to_vec())]);
    let error = answers[1].as_ref().map(|_| ()).unwrap_err();
    assert!(error.message.contains(&missing), "the error names the key: {error}");
}

pub(crate) async fn answers_are_in_the_order_of_the_requests_also_of_equal_ones<B: Backend>(backend: &B) {
    let provider = filled(backend, &[("a", b"of a"), ("b", b"of b"), ("c", b"of c")]).await;
    let order = ["c", "a", "missing", "c", "b", "missing", "a", "c"];
    let answers = provider.fetch(order.map(|name| value(backend.key(name))).into()).await;
    let found: Vec<_> = answers.iter().map(found).collect();
    let expected =
        order.map(|name| if name == "missing" { Err(Cause::Missing) } else { Ok(format!("of {name}").into()) });
    assert_eq!(found, expected);
}

pub(crate) async fn a_hundred_keys_in_one_fetch<B: Backend>(backend: &B) {
    let keys: Vec<String> = (0..100).map(|index| backend.key(&format!("many-{index:03}"))).collect();
    let entries: Vec<_> = keys.iter().map(|key| (key.clone(), format!("of {key}").into_bytes())).collect();
    backend.put(&entries).await;
    let (gate, calls) = counted();
    let provider = backend.provider(gate);
    let answers = provider.fetch(keys.iter().rev().map(value).collect()).await;
    assert_eq!(answers.len(), 100);
    for (key, answer) in keys.iter().rev().zip(&answers) {
        assert_eq!(found(answer), Ok(format!("of {key}").into_bytes()));
    }
    let (total, limit) = (calls.total(), backend.traits().calls_for_100);
    assert!((1..=limit).contains(&total), "{total} calls, at most {limit}");
}

pub(crate) async fn find_by_name_gives_names_and_values<B: Backend>(backend: &B) {
    let entries: [(&str, &[u8]); 4] =
        [("app-db-user", b"u"), ("app-db-pass", b"p"), ("app-api", b"a"), ("db-admin9", b"d")];
    let provider = filled(backend, &entries).await;
    let got = |found: BTreeMap<String, Fetched>| -> Vec<(String, Vec<u8>)> {
        found.iter().map(|(name, fetched)| (name.clone(), content(fetched))).collect()
    };
    let expected = |names: &[usize]| -> Vec<(String, Vec<u8>)> {
        let mut all: Vec<_> = names.iter().map(|at| (backend.key(entries[*at].0), entries[*at].1.to_vec())).collect();
        all.sort();
        all
    };
    // Anywhere in the name, unless it says otherwise.
    for (expression, names) in
        [("app-db-", &[0, 1][..]), ("db-[a-z]+$", &[0, 1]), ("db", &[0, 1, 3]), ("\\d$", &[3]), ("(?i)APP-A", &[2])]
    {
        let found = many(&*provider, find(expression)).await.unwrap_or_else(|error| panic!("{expression}: {error}"));
        assert_eq!(got(found), expected(names), "{expression}");
    }
}

pub(crate) async fn find_without_a_match<B: Backend>(backend: &B) {
    let provider = filled(backend, &[("one", b"1")]).await;
    let result = many(&*provider, find("^no-such-name$")).await.map(|found| found.len()).map_err(|error| error.cause);
    assert_eq!(result, backend.traits().nothing_found.map_or(Ok(0), Err));
}

pub(crate) async fn a_malformed_expression_is_invalid<B: Backend>(backend: &B) {
    let provider = filled(backend, &[("one", b"1")]).await;
    for expression in ["(", "a{1000}{1000}", "(?=a)"] {
        let result = many(&*provider, find(expression)).await.map(|_| ()).map_err(|error| error.cause);
        assert_eq!(result, Err(Cause::Invalid), "{expression}");
    }
}

pub(crate) async fn lookups_and_finds_share_a_fetch<B: Backend>(backend: &B) {
    let provider = filled(backend, &[("mixed-1", b"1"), ("mixed-2", b"2")]).await;
    let requests =
        vec![find("mixed-"), value(backend.key("mixed-2")), find("("), value(backend.key("none")), find("mixed-")];
    let answers = provider.fetch(requests).await;
    assert_eq!(answers.len(), 5);
    for at in [0, 4] {
        assert!(matches!(&answers[at], Ok(Answer::Many(found)) if found.len() == 2), "answer {at}");
    }
    assert_eq!(found(&answers[1]), Ok(b"2".to_vec()));
    assert!(matches!(&answers[2], Err(error) if error.cause == Cause::Invalid));
    assert_eq!(found(&answers[3]), Err(Cause::Missing));
}

pub(crate) async fn a_change_is_seen<B: Backend>(backend: &B) {
    let mut provider = filled(backend, &[("turning", b"old")]).await;
    let key = backend.key("turning");
    assert_eq!(content(&one(&*provider, value(&key)).await.unwrap_or_else(|error| panic!("{error}"))), b"old");
    fill(backend, &[("turning", b"new")]).await;
    if !backend.traits().live {
        provider = backend.provider(gate());
    }
    assert_eq!(content(&one(&*provider, value(&key)).await.unwrap_or_else(|error| panic!("{error}"))), b"new");
    let all = many(&*provider, find("turning")).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(content(&all[&key]), b"new");
}

pub(crate) async fn a_deletion_is_seen<B: Backend>(backend: &B) {
    let mut provider = filled(backend, &[("going", b"1"), ("staying", b"2")]).await;
    let key = backend.key("going");
    one(&*provider, value(&key)).await.unwrap_or_else(|error| panic!("{error}"));
    backend.delete(&key).await;
    if !backend.traits().live {
        provider = backend.provider(gate());
    }
    let gone = one(&*provider, value(&key)).await.map(|_| ()).map_err(|error| error.cause);
    assert_eq!(gone, Err(Cause::Missing));
    let all = many(&*provider, find("ing")).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(all.into_keys().collect::<Vec<_>>(), [backend.key("staying")]);
}

pub(crate) async fn errors_never_contain_the_value<B: Backend>(backend: &B) {
    let canary = "canary-5ca1ab1e";
    let provider = filled(backend, &[("guarded", format!("{{\"k\": \"{canary}\"").as_bytes())]).await;
    let (key, tags) = (backend.key("guarded"), BTreeMap::from([("no".to_owned(), "such".to_owned())]));
    let versioned = |version: &str| Lookup { key: key.clone(), version: Some(version.to_owned()) };
    let requests = vec![
        value(format!("{key}-more")),
        value(format!("{key}/../guarded?x=1#y")),
        value(""),
        Request::Value(versioned("no-such-version")),
        Request::Value(versioned("uuid/00000000-0000-0000-0000-000000000000")),
        Request::Metadata(lookup(&key)),
        Request::Metadata(lookup("no-such-key")),
        find("("),
        Request::Find(Find { tags, ..Find::default() }),
    ];
    let count = requests.len();
    let answers = provider.fetch(requests).await;
    assert_eq!(answers.len(), count);
    let errors: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    assert!(errors.len() >= 4, "there are errors to look at: {errors:?}");
    for error in errors {
        assert!(!format!("{error} {error:?}").contains(canary), "{error:?}");
        assert!(!error.message.is_empty());
    }
}

pub(crate) async fn close_twice_is_harmless<B: Backend>(backend: &B) {
    let provider = filled(backend, &[("one", b"1")]).await;
    one(&*provider, value(backend.key("one"))).await.unwrap_or_else(|error| panic!("{error}"));
    provider.close().await;
    provider.close().await;
    // One that was never used has nothing to give back either.
    backend.provider(gate()).close().await;
}

pub(crate) async fn a_fetch_of_nothing_makes_no_call<B: Backend>(backend: &B) {
    fill(backend, &[("one", b"1")]).await;
    let (gate, calls) = counted();
    let provider = backend.provider(gate);
    assert!(provider.fetch(Vec::new()).await.is_empty());
    assert_eq!(calls.total(), 0);
    one(&*provider, value(backend.key("one"))).await.unwrap_or_else(|error| panic!("{error}"));
    assert!(calls.total() > 0, "and this one is counted");
}

pub(crate) async fn fetches_at_once_do_not_mix<B: Backend>(backend: &B) {
    let names: Vec<String> = (0..12).map(|index| format!("at-once-{index}")).collect();
    let entries: Vec<_> = names.iter().map(|name| (name.as_str(), name.as_bytes())).collect();
    let provider = filled(backend, &entries).await;
    let fetches = names.iter().map(|name| {
        let provider = &provider;
        async move { (name, one(&**provider, value(backend.key(name))).await) }
    });
    for (name, fetched) in futures::future::join_all(fetches).await {
        assert_eq!(content(&fetched.unwrap_or_else(|error| panic!("{error}"))), name.as_bytes());
    }
}

pub(crate) async fn a_fetch_that_is_given_up_harms_no_other<B: Backend>(backend: &B) {
    let provider = filled(backend, &[("one", b"1")]).await;
    for _ in 0..8 {
        // Polled once, then dropped wherever it has got to.
        drop(provider.fetch(vec![value(backend.key("one")), find("one")]).now_or_never());
    }
    assert_eq!(content(&one(&*provider, value(backend.key("one"))).await.unwrap_or_else(|e| panic!("{e}"))), b"1");
}

pub(crate) async fn a_good_store_validates<B: Backend>(backend: &B) {
    let provider = filled(backend, &[("one", b"1")]).await;
    assert_eq!(provider.validate().await, Ok(()));
    assert!(!provider.name().is_empty() && provider.batch_size() > 0);
}
