//! Connections: how many, from whom, and how long a slow client is waited for.

mod patience;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::patience::Patience;
use super::caller::Peer;

/// Open connections in all. Each costs a few tens of kilobytes.
const CONNECTIONS: usize = 512;
/// Open connections from one address: the API server proxies many callers by one, and nobody can keep the others out.
const FROM_ONE: usize = 128;
/// The longest line of a request and all of its headers, in bytes.
const HEAD: usize = 64 * 1024;
/// How long to wait where the system has no connection to give, such as without free file descriptors.
const RECOVER: Duration = Duration::from_millis(100);

/// How long a client may take.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// To send the head of a request, also from the end of the last one.
    pub(super) read: Duration,
    /// To take anything of an answer.
    pub(super) write: Duration,
}

/// Serves `router` until `shutdown`.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let (open, tracker) = (Open::default(), TaskTracker::new());
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, address)) = accepted else {
            // A client that went away again, or the system is out of something: both pass.
            tokio::time::sleep(RECOVER).await;
            continue;
        };
        let peer = address.ip().to_canonical();
        // One connection too many is closed at once.
        if let Some(place) = open.take(peer) {
            let connection = connection(stream, peer, router.clone(), limits.clone(), shutdown.clone());
            tracker.spawn(async move {
                connection.await;
                drop(place);
            });
        }
    }
    drop(listener);
    tracker.close();
    // Whoever does not take its answer in time does not hold up the end.
    drop(tokio::time::timeout(limits.write, tracker.wait()).await);
    Ok(())
}

async fn connection(stream: TcpStream, peer: IpAddr, router: Router, limits: Limits, shutdown: CancellationToken) {
    let service = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        service.call(request)
    });
    // Answers are short: they go out as they are.
    drop(stream.set_nodelay(true));
    let stream = TokioIo::new(Patience::new(stream, limits.write));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.read).max_buf_size(HEAD);
    let connection = builder.serve_connection(stream, service);
    tokio::pin!(connection);
    // An error ends the connection, and the client knows best why.
    tokio::select! {
        ended = connection.as_mut() => return drop(ended),
        () = shutdown.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    drop(connection.await);
}

/// Open connections by address.
#[derive(Clone, Default)]
struct Open(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One of them.
struct Place {
    open: Open,
    peer: IpAddr,
}

impl Open {
    fn take(&self, peer: IpAddr) -> Option<Place> {
        // Plain numbers: a panic elsewhere leaves them whole.
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from_here = open.get(&peer).copied().unwrap_or_default();
        if from_here >= FROM_ONE || open.values().sum::<usize>() >= CONNECTIONS {
            return None;
        }
        open.insert(peer, from_here + 1);
        drop(open);
        Some(Place { open: self.clone(), peer })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_does_not_take_all_places_and_places_come_back() {
        let open = Open::default();
        let address = |last: u8| IpAddr::from([10, 0, 0, last]);
        let first: Vec<Place> = (0..FROM_ONE).map(|_| open.take(address(1)).unwrap()).collect();
        assert!(open.take(address(1)).is_none());
        let others: Vec<Place> = (2..5)
            .flat_map(|last| (0..FROM_ONE).map(move |_| last))
            .map(|last| open.take(address(last)).unwrap())
            .collect();
        assert!(open.take(address(9)).is_none(), "all places are taken");
        drop(first);
        assert!(open.take(address(9)).is_some());
        drop(others);
        assert!(open.0.lock().unwrap().is_empty());
    }
}
