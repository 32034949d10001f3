//! Reading a request's body: so much, for so long, and not too much of all of them at the same time.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderMap, StatusCode, header};
use futures::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::{Problem, busy};

/// The longest body that is looked at, in bytes. An object in a cluster has 1.5 MiB at most.
pub(super) const LIMIT: usize = 4 << 20;
/// How long a body may take at most.
const PATIENCE: Duration = Duration::from_secs(15);
/// How much more is read and thrown away, so that a client that sends first and reads then gets its answer.
const DRAIN: usize = 16 << 20;
/// For how long that is done for a body that there is no room for: whoever holds the room may be the one that stalls.
const DRAIN_BUSY: Duration = Duration::from_secs(1);
/// The memory for all bodies that are being read or worked on, in bytes.
const ROOM: usize = 32 << 20;
/// What every body has besides, in bytes: most objects are not longer, and there are not many connections.
const FREE: usize = 16 << 10;

/// The memory that bodies share; clones share it too.
#[derive(Clone)]
pub(super) struct Room(Arc<Semaphore>);

/// A body, and the room that it takes up until it is dropped.
pub(super) struct Held {
    bytes: Vec<u8>,
    room: Vec<OwnedSemaphorePermit>,
}

/// Why a body is not taken.
enum Refused {
    TooLong,
    NoRoom,
    CutOff,
}

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ROOM)))
    }
}

impl Held {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn push(&mut self, chunk: &[u8], room: &Room) -> Result<(), Refused> {
        let length = self.bytes.len().saturating_add(chunk.len());
        if length > LIMIT {
            return Err(Refused::TooLong);
        }
        if length > self.bytes.capacity() {
            // Counted is what is allocated. It doubles, so that bytes are copied a few times only.
            let capacity = length.next_power_of_two().max(FREE);
            let more = u32::try_from(capacity - self.bytes.capacity().max(FREE)).map_err(|_| Refused::TooLong)?;
            self.room.push(Arc::clone(&room.0).try_acquire_many_owned(more).map_err(|_| Refused::NoRoom)?);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }
}

/// Reads the body.
///
/// # Errors
/// If it is longer than [`LIMIT`], takes longer than `patience` or breaks off, or if there is no room for it.
pub(super) async fn read(headers: &HeaderMap, body: Body, patience: Duration, room: &Room) -> Result<Held, Problem> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    // A length that nobody would read to its end is not waited for.
    if announced.is_some_and(|length: usize| length > LIMIT + DRAIN) {
        return Err(too_large());
    }
    let late = Problem::new(StatusCode::REQUEST_TIMEOUT, "timed-out", "the request did not arrive in time\n");
    let read = async {
        let mut stream = body.into_data_stream();
        match collect(&mut stream, room).await {
            Ok(held) => Ok(held),
            Err(Refused::TooLong) => {
                drain(&mut stream).await;
                Err(too_large())
            }
            Err(Refused::NoRoom) => {
                drop(tokio::time::timeout(DRAIN_BUSY, drain(&mut stream)).await);
                Err(busy())
            }
            Err(Refused::CutOff) => {
                let text = "the request broke off or is not valid HTTP\n";
                Err(Problem::new(StatusCode::BAD_REQUEST, "cut-off", text))
            }
        }
    };
    tokio::time::timeout(patience.min(PATIENCE), read).await.unwrap_or(Err(late))
}

/// What was read of a body that is refused is given back at once.
async fn collect(stream: &mut BodyDataStream, room: &Room) -> Result<Held, Refused> {
    let mut held = Held { bytes: Vec::new(), room: Vec::new() };
    while let Some(chunk) = stream.next().await {
        held.push(&chunk.map_err(|_| Refused::CutOff)?, room)?;
    }
    Ok(held)
}

async fn drain(stream: &mut BodyDataStream) {
    let mut drained = 0_usize;
    while let Some(Ok(chunk)) = stream.next().await {
        drained = drained.saturating_add(chunk.len());
        if drained > DRAIN {
            return;
        }
    }
}

fn too_large() -> Problem {
    let text = format!("the request has more than {} MiB: send one SealedSecret at a time\n", LIMIT >> 20);
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", text)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::stream;

    use super::*;

    /// A body that begins with so many bytes and then never ends.
    fn stalled(length: usize) -> Body {
        let piece = vec![b' '; 64 << 10];
        let pieces = vec![Ok::<_, Infallible>(piece); length >> 16];
        Body::from_stream(stream::iter(pieces).chain(stream::pending()))
    }

    async fn ask(body: Body, room: &Room) -> Result<usize, u16> {
        let read = read(&HeaderMap::new(), body, Duration::from_secs(120), room).await;
        read.map(|held| held.bytes().len()).map_err(|problem| problem.status.as_u16())
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_that_stall_use_up_the_room_and_nothing_more_and_give_it_back() {
        let room = Room::default();
        let began = tokio::time::Instant::now();
        let stallers: Vec<_> = (0..100)
            .map(|_| {
                let room = room.clone();
                tokio::spawn(async move { (ask(stalled(3 << 20), &room).await, began.elapsed().as_secs()) })
            })
            .collect();
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(room.0.available_permits() < 4 << 20, "{}", room.0.available_permits());
        // Whoever is no longer than most is served all the same.
        assert_eq!(ask(Body::from(vec![b' '; FREE]), &room).await, Ok(FREE));
        assert_eq!(ask(Body::from(vec![b' '; LIMIT]), &room).await, Err(503));
        let mut answers = Vec::new();
        for staller in stallers {
            answers.push(staller.await.unwrap());
        }
        let count = |wanted| answers.iter().filter(|answer| **answer == wanted).count();
        assert_eq!((count((Err(503), 1)), count((Err(408), 15))), (100 - ROOM / LIMIT, ROOM / LIMIT));
        assert_eq!(room.0.available_permits(), ROOM);
        let body = Body::from(vec![b' '; LIMIT]);
        let held = read(&HeaderMap::new(), body, Duration::from_secs(1), &room).await.ok().unwrap();
        assert_eq!((held.bytes().len(), room.0.available_permits()), (LIMIT, ROOM - (LIMIT - FREE)));
        drop(held);
        assert_eq!(room.0.available_permits(), ROOM, "it is taken while the body is there");
        assert_eq!(ask(Body::from(vec![b' '; LIMIT + 1]), &room).await, Err(413));
        assert_eq!(room.0.available_permits(), ROOM);
    }
}
