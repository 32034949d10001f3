//! An HTTP server on 127.0.0.1 that keeps what it is sent, answers as it is told, and can go away and come back.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::world::SOON;

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Post {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// See the module.
pub(crate) struct Receiver {
    address: SocketAddr,
    kept: Arc<Kept>,
    task: Option<JoinHandle<()>>,
}

struct Kept {
    posts: Mutex<Vec<Post>>,
    status: AtomicU16,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let kept = Arc::new(Kept { posts: Mutex::default(), status: AtomicU16::new(200) });
        let mut receiver = Self { address: listener.local_addr().unwrap(), kept, task: None };
        receiver.serve(listener);
        receiver
    }

    fn serve(&mut self, listener: TcpListener) {
        let router = Router::new().fallback(take).with_state(Arc::clone(&self.kept));
        self.task = Some(tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }));
    }

    /// Stops listening; its port stays its own.
    pub(crate) async fn leave(&mut self) {
        let task = self.task.take().unwrap();
        task.abort();
        task.await.ok();
    }

    pub(crate) async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve(listener);
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it answers from now on.
    pub(crate) fn answers(&self, status: u16) {
        self.kept.status.store(status, Ordering::Relaxed);
    }

    pub(crate) fn posts(&self) -> Vec<Post> {
        self.kept.posts.lock().unwrap().clone()
    }

    /// Waits until what it was sent is as `wanted`.
    pub(crate) async fn until(&self, wanted: impl Fn(&[Post]) -> bool) -> Vec<Post> {
        let began = Instant::now();
        loop {
            let posts = self.posts();
            if wanted(&posts) {
                return posts;
            }
            let texts: Vec<_> = posts.iter().map(Post::text).collect();
            assert!(began.elapsed() < 2 * SOON, "not what was waited for: {texts:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn take(State(kept): State<Arc<Kept>>, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    let status = StatusCode::from_u16(kept.status.load(Ordering::Relaxed)).unwrap();
    if status.is_success() {
        kept.posts.lock().unwrap().push(Post { path: uri.path().to_owned(), headers, body: body.to_vec() });
    }
    status
}
