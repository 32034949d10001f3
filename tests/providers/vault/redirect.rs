//! A server that sends on: its own host is followed, another is not given the token.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use bulla::providers::Cause;
use bulla::providers::vault::{Auth, KvVersion};

use super::{Store, secret, settings};

/// Answers every request with a redirect to `location`; gives its port and the request lines and headers that came.
fn sender(location: String) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&heard);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
            notes.lock().unwrap().push(head.join("\n"));
            let end = "content-length: 0\r\nconnection: close\r\n\r\n";
            write!(stream, "HTTP/1.1 307 Temporary Redirect\r\nlocation: {location}\r\n{end}").unwrap();
        }
    });
    (port, heard)
}

async fn read_from(port: u16) -> bulla::providers::ProviderError {
    let auth = Auth::Token(secret("token-of-the-store"));
    Store::new(settings(&format!("http://127.0.0.1:{port}"), "kv", KvVersion::V2, auth)).read("a").await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_host_gets_the_token() {
    // `localhost` is this machine, so the token would arrive.
    let (elsewhere, stolen) = sender("http://localhost/".to_owned());
    let (port, heard) = sender(format!("http://localhost:{elsewhere}/v1/kv/data/a"));
    let error = read_from(port).await;
    assert_eq!(error.cause, Cause::Invalid, "{error}");
    assert!(error.message.contains("http://localhost") && !error.message.contains("token-of"), "{error}");
    assert!(heard.lock().unwrap()[0].contains("token-of-the-store"));
    assert!(stolen.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_host_is_followed_a_little() {
    let (active, followed) = sender("/v1/kv/data/a".to_owned());
    let (port, _) = sender(format!("http://127.0.0.1:{active}/v1/kv/data/a"));
    assert_eq!(read_from(port).await.cause, Cause::Invalid, "it ends");
    let followed = followed.lock().unwrap();
    assert!(!followed.is_empty() && followed.iter().all(|head| head.contains("token-of-the-store")), "{followed:?}");
}
