//! Connections: how many, from whom, and how long a slow client is waited for.

mod open;
mod patience;

use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(super) use self::open::Activity;
use self::open::{Open, Place};
use self::patience::Patience;
use super::caller::Peer;

/// The longest line of a request and all of its headers, in bytes.
const HEAD: usize = 64 * 1024;
/// How long to wait where the system has no connection to give, such as without free file descriptors.
const RECOVER: Duration = Duration::from_millis(100);
/// How long the head of a request may take at most: every honest client sends it in one piece.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// How long answers under way are waited for in the end. Kubernetes gives a pod 30 seconds unless it is told otherwise.
const LAST: Duration = Duration::from_secs(20);

/// How long a client may take.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// To send the head of a request, also from the end of the last one.
    pub(super) read: Duration,
    /// To take anything of an answer.
    pub(super) write: Duration,
}

/// Serves `router` until `closing`.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    closing: CancellationToken,
) -> std::io::Result<()> {
    let (open, tracker) = (Open::default(), TaskTracker::new());
    loop {
        let accepted = tokio::select! {
            () = closing.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, address)) = accepted else {
            // A client that went away again, or the system is out of something: both pass.
            tokio::time::sleep(RECOVER).await;
            continue;
        };
        let peer = address.ip().to_canonical();
        // With all places taken by connections that are being worked on, one too many is closed at once.
        if let Some(place) = open.take(peer) {
            tracker.spawn(connection(stream, place, router.clone(), limits.clone(), closing.clone()));
        }
    }
    drop(listener);
    tracker.close();
    // Whoever does not take its answer in time does not hold up the end.
    drop(tokio::time::timeout(limits.write.min(LAST), tracker.wait()).await);
    Ok(())
}

async fn connection(stream: TcpStream, place: Place, router: Router, limits: Limits, closing: CancellationToken) {
    let service = TowerToHyperService::new(router);
    let (peer, activity) = (place.peer(), place.activity());
    let service = service_fn(move |mut request: Request<Incoming>| {
        let activity = activity.clone();
        // Of a request with a body, only who reads the body knows when it is there.
        if request.body().is_end_stream() {
            activity.working()
        } else {
            activity.waiting()
        }
        request.extensions_mut().insert(Peer(peer));
        request.extensions_mut().insert(activity.clone());
        let answer = service.call(request);
        async move {
            let answer = answer.await;
            activity.waiting();
            answer
        }
    });
    // Answers are short: they go out as they are.
    drop(stream.set_nodelay(true));
    let stream = TokioIo::new(Patience::new(stream, limits.write));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.read.min(HEAD_PATIENCE)).max_buf_size(HEAD);
    let connection = builder.serve_connection(stream, service);
    tokio::pin!(connection);
    // An error ends the connection, and the client knows best why.
    tokio::select! {
        ended = connection.as_mut() => return drop(ended),
        () = place.taken() => return,
        () = closing.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    drop(connection.await);
}

#[cfg(test)]
mod tests;
