//! Strangers with connections that they do not use.

use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

async fn server(read: Duration) -> (std::net::SocketAddr, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, closing) = (listener.local_addr().unwrap(), CancellationToken::new());
    let router = Router::new().route("/", get(async || "here"));
    let limits = Limits { read, write: SECOND * 60 };
    tokio::spawn(serve(listener, router, limits, closing.clone()));
    (address, closing)
}

async fn ask(stream: &mut TcpStream, rest: &str) -> String {
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: x\r\n{rest}\r\n").as_bytes()).await.unwrap();
    let mut reply = vec![0; 4096];
    let length = tokio::time::timeout(SECOND * 20, stream.read(&mut reply)).await.unwrap().unwrap();
    String::from_utf8_lossy(&reply[..length]).into_owned()
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(tokio::time::timeout(SECOND * 20, stream.read(&mut [0; 1])).await.unwrap(), Ok(0) | Err(_))
}

#[tokio::test]
async fn a_newcomer_is_answered_while_strangers_hold_all_connections() {
    let (address, _closing) = server(SECOND * 60).await;
    // More than there are places for this address, half of them in the middle of a head.
    let mut strangers = Vec::new();
    for index in 0..200 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        if index % 2 == 0 {
            stream.write_all(b"GET / HTTP/1.1\r\nX: ").await.unwrap();
        }
        strangers.push(stream);
    }
    for _ in 0..3 {
        let mut newcomer = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut newcomer, "").await.ends_with("here"));
        assert!(ask(&mut newcomer, "").await.ends_with("here"), "and it stays while there are older ones");
        strangers.push(newcomer);
    }
    for stream in &mut strangers[..75] {
        assert!(is_closed(stream).await, "the oldest made room");
    }
}

#[tokio::test]
async fn who_says_nothing_is_not_waited_for_long() {
    let (address, _closing) = server(SECOND).await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut idle = TcpStream::connect(address).await.unwrap();
    assert!(ask(&mut idle, "").await.ends_with("here"));
    assert!(is_closed(&mut silent).await && is_closed(&mut idle).await);
}

#[tokio::test(start_paused = true)]
async fn a_head_has_ten_seconds_however_patient_the_server_is() {
    let (address, _closing) = server(SECOND * 120).await;
    let began = tokio::time::Instant::now();
    let mut silent = TcpStream::connect(address).await.unwrap();
    assert!(is_closed(&mut silent).await);
    assert_eq!(began.elapsed().as_secs(), 10);
}
