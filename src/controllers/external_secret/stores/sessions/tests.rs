use std::future::ready;

use bulla_crds::external_secret::StoreKind;
use kube::{Client, Config};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use serde_json::json;
use tokio::sync::mpsc;

use super::super::{Metrics, StoreConfig};
use super::*;
use crate::controllers::api::Api;
use crate::controllers::{events, metrics};
use crate::providers::{Cause, ProviderError, Urgency};
use crate::sync::remote::{Lookup, Request};

/// Stores in a cluster that does not answer; those of these tests need nothing of it.
fn stores() -> Stores {
    let client = Client::try_from(Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap();
    let api = Api::new(client);
    let (events, _) = events::queue(api.clone(), events::Load(Default::default()), Counter::default());
    let config = StoreConfig { class: String::new(), recheck: Duration::from_secs(300), files: None, leads: true };
    let mut registry = Registry::default();
    let shared = metrics::Metrics::register(&mut registry, true);
    Stores::new(api, events, config, Metrics::register(&mut registry, &shared), mpsc::unbounded_channel().0)
}

fn id() -> StoreId {
    StoreId::new(StoreKind::ClusterSecretStore, "", "wide")
}

/// A store whose sessions are each for one namespace, and known.
fn wide(stores: &Stores) -> Arc<Store> {
    let spec = json!({"provider": {"fake": {"data": [{"key": "a", "value": "1"}]}}});
    let store = Store::new("u".to_owned(), Some(1), Ok(serde_json::from_value(spec).unwrap()), None);
    store.verdict.send_replace(Verdict::Depends);
    let store = Arc::new(store);
    stores.learn(&id(), Some(Arc::clone(&store)));
    store
}

async fn open(stores: &Stores, store: &Arc<Store>, user: &str) -> Result<Arc<Session>, StoreError> {
    stores.open(&id(), store, Wanted { user: Some(user), age: Duration::from_secs(300), refused: None }).await
}

async fn answers(session: &Session) -> bool {
    let request = Request::Value(Lookup { key: "a".to_owned(), version: None });
    session.fetch(&[request], Urgency::Soon, Instant::now()).await[0].is_ok()
}

#[tokio::test(start_paused = true)]
async fn namespaces_have_their_sessions_and_the_store_one_gate() {
    let stores = stores();
    let store = wide(&stores);
    let (a, b) = (open(&stores, &store, "a").await.unwrap(), open(&stores, &store, "b").await.unwrap());
    assert!(!Arc::ptr_eq(&a, &b));
    assert!(Arc::ptr_eq(&a, &open(&stores, &store, "a").await.unwrap()));
    let gate = store.gate.get().unwrap();
    for _ in 0..5 {
        let outage = ProviderError::new(Cause::Unavailable, "away");
        gate.call("Get", ready(Err::<(), _>(outage))).await.unwrap_err();
    }
    assert!(a.is_closed() && b.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_given_up_serves_those_who_have_it_for_a_while() {
    let stores = stores();
    let store = wide(&stores);
    let (a, b) = (open(&stores, &store, "a").await.unwrap(), open(&stores, &store, "b").await.unwrap());
    stores.forget_namespace("a");
    assert_eq!(lock(&stores.sessions).len(), 1);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(answers(&a).await);
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert!(!answers(&a).await && answers(&b).await);
    stores.close().await;
    assert!(!answers(&b).await);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_given_up_is_closed_soon_if_nobody_has_it() {
    let stores = stores();
    let store = wide(&stores);
    let provider = Arc::downgrade(open(&stores, &store, "a").await.unwrap().provider());
    stores.forget_namespace("a");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(provider.strong_count(), 1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(provider.strong_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn sessions_that_nobody_uses_are_dropped() {
    let stores = stores();
    let store = wide(&stores);
    let users = || {
        let sessions = lock(&stores.sessions);
        let mut users: Vec<_> = sessions.keys().map(|(_, user)| user.as_deref().unwrap_or("-").to_owned()).collect();
        users.sort();
        users
    };
    open(&stores, &store, "a").await.unwrap();
    open(&stores, &store, "b").await.unwrap();
    let everybody = Wanted { user: None, age: Duration::ZERO, refused: None };
    stores.open(&id(), &store, everybody).await.unwrap();
    tokio::time::sleep(Duration::from_secs(10 * 60)).await;
    open(&stores, &store, "b").await.unwrap();
    stores.drop_idle(&id());
    assert_eq!(users(), ["-", "a", "b"]);
    tokio::time::sleep(Duration::from_secs(6 * 60)).await;
    stores.drop_idle(&id());
    assert_eq!(users(), ["-", "b"]);
}

#[tokio::test(start_paused = true)]
async fn no_session_is_made_with_a_store_that_is_another_now_or_gone() {
    let stores = stores();
    let old = wide(&stores);
    open(&stores, &old, "a").await.unwrap();
    let new = wide(&stores);
    assert!(lock(&stores.sessions).is_empty());
    let error = open(&stores, &old, "a").await.unwrap_err();
    assert_eq!(error.class(), Class::Transient, "{error}");
    assert!(matches!(&*old.verdict.borrow(), Verdict::Bad { .. }), "who waited for it waits no more");
    open(&stores, &new, "a").await.unwrap();
    stores.learn(&id(), None);
    assert!(matches!(open(&stores, &new, "a").await, Err(StoreError::NotFound { .. })));
    assert!(lock(&stores.sessions).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_token_of_ours_is_replaced_before_it_ends_or_when_it_is_refused() {
    let stores = stores();
    let store = wide(&stores);
    let session = open(&stores, &store, "a").await.unwrap();
    let now = Instant::now();
    let open = Open { session: Arc::clone(&session), fingerprint: 0, made: now, read: now, used: now };
    let life = Some(Duration::from_secs(3600));
    assert!(!open.is_spent(life, Some(&session)), "it was made just now");
    tokio::time::advance(Duration::from_secs(2399)).await;
    assert!(!open.is_spent(life, None) && open.is_spent(life, Some(&session)));
    assert!(!open.is_spent(None, Some(&session)), "its credentials are read, and not made");
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(open.is_spent(life, None) && !open.is_spent(None, None));
}
