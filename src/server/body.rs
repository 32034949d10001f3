//! Reading a request's body: so much, for so long.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use futures::StreamExt as _;

use super::answer::Problem;

/// The longest body that is looked at, in bytes. An object in a cluster has 1.5 MiB at most.
pub(super) const LIMIT: usize = 4 << 20;

/// How much more is read and thrown away, so that a client that sends first and reads then gets its answer.
const DRAIN: usize = 16 << 20;

/// Reads the body.
///
/// # Errors
/// If it is longer than [`LIMIT`], takes longer than `patience` or breaks off.
pub(super) async fn read(headers: &HeaderMap, body: Body, patience: Duration) -> Result<Vec<u8>, Problem> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    // A length that nobody would read to its end is not waited for.
    if announced.is_some_and(|length: usize| length > LIMIT + DRAIN) {
        return Err(too_large());
    }
    let late = Problem::new(StatusCode::REQUEST_TIMEOUT, "timed-out", "the request did not arrive in time\n");
    tokio::time::timeout(patience, collect(body)).await.unwrap_or(Err(late))
}

async fn collect(body: Body) -> Result<Vec<u8>, Problem> {
    let mut stream = body.into_data_stream();
    let (mut bytes, mut length) = (Vec::new(), 0_usize);
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| {
            Problem::new(StatusCode::BAD_REQUEST, "cut-off", "the request broke off or is not valid HTTP\n")
        })?;
        length = length.saturating_add(chunk.len());
        if length <= LIMIT {
            bytes.extend_from_slice(&chunk);
        } else if length > LIMIT + DRAIN {
            break;
        }
    }
    if length > LIMIT { Err(too_large()) } else { Ok(bytes) }
}

fn too_large() -> Problem {
    let text = format!("the request has more than {} MiB: send one SealedSecret at a time\n", LIMIT >> 20);
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", text)
}
