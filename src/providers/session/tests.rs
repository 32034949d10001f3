use std::sync::Mutex;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::*;
use crate::secret::Plaintext;
use crate::sync::remote::{Document, Fetched, Lookup};

/// Notes what it is asked; answers after a moment.
#[derive(Default)]
struct Notes {
    batches: Mutex<Vec<Vec<String>>>,
}

impl Provider for Notes {
    fn name(&self) -> &'static str {
        "Notes"
    }

    fn batch_size(&self) -> usize {
        20
    }

    fn fetch(&self, requests: Vec<Request>) -> BoxFuture<'_, Vec<Result<Answer, ProviderError>>> {
        async move {
            let keys: Vec<String> = requests.iter().map(key).collect();
            self.batches.lock().unwrap().push(keys.clone());
            // The first that asks for it waits for long.
            let asked = self.batches.lock().unwrap().iter().flatten().filter(|key| *key == "slow").count();
            let is_slow = keys.iter().any(|key| key == "find" || key == "slow" && asked == 1);
            tokio::time::sleep(Duration::from_millis(if is_slow { 5_000 } else { 10 })).await;
            assert!(!keys.iter().any(|key| key == "panic"), "asked to panic");
            let answer = |key: String| match key.as_str() {
                "missing" => Err(ProviderError::new(Cause::Missing, "no such key")),
                _ => {
                    let document = Document::Opaque(Plaintext::from(key));
                    Ok(Answer::One(Fetched { document, version: None }))
                }
            };
            keys.into_iter().map(answer).collect()
        }
        .boxed()
    }

    fn validate(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        async { Ok(()) }.boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }
}

fn key(request: &Request) -> String {
    match request {
        Request::Value(lookup) | Request::Metadata(lookup) => lookup.key.clone(),
        Request::Find(find) => find.path.clone().unwrap_or_default(),
    }
}

fn value(key: impl Into<String>) -> Request {
    Request::Value(Lookup { key: key.into(), version: None })
}

fn session() -> (Arc<Notes>, Arc<Session>) {
    let notes = Arc::new(Notes::default());
    let provider: Arc<dyn Provider> = Arc::clone(&notes) as _;
    (notes, Arc::new(Session::new(provider, Gate::unmetered("Notes"))))
}

fn batches(notes: &Notes) -> Vec<usize> {
    notes.batches.lock().unwrap().iter().map(Vec::len).collect()
}

async fn ask(session: &Session, key: &str) -> Reply {
    let now = Instant::now();
    session.fetch(&[value(key)], Urgency::Soon, now).await.pop().unwrap()
}

fn text(reply: &Reply) -> String {
    match reply.as_deref() {
        Ok(Answer::One(Fetched { document: Document::Opaque(value), .. })) => {
            String::from_utf8(value.expose().to_vec()).unwrap()
        }
        Ok(_) => panic!("another answer"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test(start_paused = true)]
async fn equal_requests_are_made_once_and_others_together() {
    let (notes, session) = session();
    let one = futures::future::join_all((0..500).map(|_| ask(&session, "shared"))).await;
    assert!(one.iter().all(|reply| text(reply) == "shared"));
    assert_eq!(batches(&notes), [1]);

    let names: Vec<String> = (0..500).map(|n| format!("k{n}")).collect();
    let many = futures::future::join_all(names.iter().map(|name| ask(&session, name))).await;
    assert!(many.iter().zip(&names).all(|(reply, name)| text(reply) == *name));
    assert_eq!(batches(&notes)[1..], [20; 25]);
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_does_not_fail_the_others() {
    let (notes, session) = session();
    let requests = [value("a"), value("missing"), value("b")];
    let replies = session.fetch(&requests, Urgency::Soon, Instant::now()).await;
    assert_eq!(replies.iter().map(text).collect::<Vec<_>>(), ["a", "no such key", "b"]);
    assert_eq!(batches(&notes), [3]);
}

#[tokio::test(start_paused = true)]
async fn the_urgent_go_first() {
    let (notes, session) = session();
    let later: Vec<Request> = (0..100).map(|n| value(format!("later{n}"))).collect();
    let soon: Vec<Request> = (0..20).map(|n| value(format!("soon{n}"))).collect();
    let now = Instant::now();
    let (_, _) = tokio::join!(session.fetch(&later, Urgency::Later, now), session.fetch(&soon, Urgency::Soon, now));
    let first = notes.batches.lock().unwrap()[0].clone();
    assert!(first.iter().all(|key| key.starts_with("soon")), "{first:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_somebody_holds_serves_for_a_while_but_not_who_wants_it_newer() {
    let (notes, session) = session();
    let before = Instant::now();
    let held = ask(&session, "a").await;
    let again = session.fetch(&[value("a")], Urgency::Soon, before).await;
    assert_eq!((text(&again[0]).as_str(), batches(&notes).len()), ("a", 1));
    drop(again);
    let newer = session.fetch(&[value("a")], Urgency::Soon, Instant::now()).await;
    assert_eq!((text(&newer[0]).as_str(), batches(&notes).len()), ("a", 2));
    drop((held, newer));
    session.fetch(&[value("a")], Urgency::Soon, before).await;
    assert_eq!(batches(&notes).len(), 3, "nobody held it");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_panics_leaves_nobody_waiting() {
    let (_, session) = session();
    let reply = ask(&session, "panic").await;
    assert!(reply.is_err());
    assert_eq!(text(&ask(&session, "a").await), "a", "and the session goes on");
}

#[tokio::test(start_paused = true)]
async fn who_wants_it_newer_takes_no_answer_from_those_who_waited_before() {
    let (notes, session) = session();
    let began = Instant::now();
    let earlier = tokio::spawn({
        let session = Arc::clone(&session);
        async move { (ask(&session, "slow").await, began.elapsed()) }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let newer = ask(&session, "slow").await;
    assert!(began.elapsed() < Duration::from_secs(1) && text(&newer) == "slow");
    assert!(session.is_busy());
    let (reply, took) = earlier.await.unwrap();
    assert!(text(&reply) == "slow" && took >= Duration::from_secs(5), "{took:?}");
    assert_eq!(batches(&notes), [1, 1]);
    assert!(!session.is_busy());
    // The older answer, which came last, does not pass for the newer one.
    let again = session.fetch(&[value("slow")], Urgency::Soon, began + Duration::from_millis(90)).await.pop().unwrap();
    assert!(Arc::ptr_eq(&again.unwrap(), &newer.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_newer_one_that_fails_leaves_the_earlier_its_good_answer() {
    let (_, session) = session();
    let earlier = tokio::spawn({
        let session = Arc::clone(&session);
        async move { ask(&session, "slow").await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let now = Instant::now();
    let newer = session.fetch(&[value("slow"), value("panic")], Urgency::Soon, now).await;
    assert!(newer.iter().all(Result::is_err));
    assert_eq!(text(&earlier.await.unwrap()), "slow");
}

#[tokio::test(start_paused = true)]
async fn single_reads_do_not_wait_for_finds() {
    let (notes, session) = session();
    let find = |tag: usize| {
        let tags = [("n".to_owned(), tag.to_string())].into();
        Request::Find(crate::sync::remote::Find { path: Some("find".to_owned()), name: None, tags })
    };
    let mut requests: Vec<Request> = (0..6).map(find).collect();
    requests.push(find(0));
    let (began, finds) = (Instant::now(), Arc::clone(&session));
    let finds = tokio::spawn(async move { finds.fetch(&requests, Urgency::Soon, began).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(text(&ask(&session, "a").await), "a");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(finds.await.unwrap().iter().all(|reply| text(reply) == "find"));
    assert_eq!(batches(&notes), [1; 7], "each by itself, and the same one once");
}

#[tokio::test(start_paused = true)]
async fn a_closed_session_keeps_nobody_waiting() {
    let (notes, session) = session();
    let waiting = tokio::spawn({
        let session = Arc::clone(&session);
        async move { ask(&session, "slow").await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    session.close().await;
    assert_eq!(waiting.await.unwrap().err().unwrap().cause, Cause::Unavailable);
    assert_eq!(ask(&session, "a").await.err().unwrap().cause, Cause::Unavailable, "also who comes later");
    assert_eq!(batches(&notes), [1]);
}
