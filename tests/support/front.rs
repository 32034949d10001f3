//! A TLS front before the API server that stands in for one thing only: its service proxy.
//!
//! The API server refuses to proxy to an endpoint on the loopback, and the test bed has no other address. So kubeseal
//! is given this front's address: `/api/v1/namespaces/NS/services/http:NAME:PORT/proxy/...` is answered by the program
//! under test, with the headers that the API server would send, and everything else by the real API server.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::sync::CancellationToken;

use crate::support::apiserver::ApiServer;
use crate::support::identities;

/// A running front; it ends when dropped.
pub(crate) struct Front {
    port: u16,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

struct Way {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    api: SocketAddr,
    /// What the path of a proxied request begins with.
    prefix: String,
    program: SocketAddr,
}

impl Front {
    /// Stands before `api` and answers for the Service `name` with a port named `http` from `program`.
    pub(crate) fn start(api: &ApiServer, namespace: &str, name: &str, program: SocketAddr) -> Self {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let certificates: Result<Vec<_>, _> =
            CertificateDer::pem_file_iter(api.folder().join("server.pem")).expect("a certificate").collect();
        let key = PrivateKeyDer::from_pem_file(api.folder().join("server.key")).expect("a key");
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_no_client_auth()
            .with_single_cert(certificates.expect("a certificate"), key)
            .expect("a certificate with its key");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(api.ca_file()).expect("a CA")).expect("a CA's certificate");
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let way = Arc::new(Way {
            acceptor: TlsAcceptor::from(Arc::new(server)),
            connector: TlsConnector::from(Arc::new(client)),
            api: (Ipv4Addr::LOCALHOST, api.port()).into(),
            prefix: format!("/api/v1/namespaces/{namespace}/services/http:{name}:http/proxy"),
            program,
        });
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        listener.set_nonblocking(true).expect("a socket's setting");
        let port = listener.local_addr().expect("a port").port();
        let stop = CancellationToken::new();
        let token = stop.clone();
        // A runtime of its own: tests wait for kubeseal without looking after theirs.
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                tokio::select! {
                    () = token.cancelled() => {}
                    () = accept(listener, way) => {}
                }
            });
        });
        Self { port, stop, thread: Some(thread) }
    }

    /// A kubeconfig of the administrator that leads here, with `namespace` as the one in use.
    pub(crate) fn kubeconfig(&self, api: &ApiServer, namespace: &str) -> PathBuf {
        let path = api.folder().join(format!("front-{}.kubeconfig", self.port));
        let url = format!("https://127.0.0.1:{}", self.port);
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "front",
            "clusters": [{"name": "front", "cluster": {"server": url, "certificate-authority": api.ca_file()}}],
            "users": [{"name": "admin", "user": {"token": identities::ADMIN}}],
            "contexts": [{"name": "front", "context": {"cluster": "front", "user": "admin", "namespace": namespace}}],
        });
        identities::write(&path, &config.to_string());
        path
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

async fn accept(listener: std::net::TcpListener, way: Arc<Way>) {
    let listener = TcpListener::from_std(listener).expect("a listener");
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let way = Arc::clone(&way);
        // A connection that breaks is the client's to notice.
        tokio::spawn(async move { drop(serve(stream, &way).await) });
    }
}

/// One request a connection.
async fn serve(stream: TcpStream, way: &Way) -> std::io::Result<()> {
    let mut client = way.acceptor.accept(stream).await?;
    let mut received = Vec::new();
    let end = loop {
        if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if client.read_buf(&mut received).await? == 0 {
            return Ok(());
        }
    };
    let head = String::from_utf8_lossy(&received[..end]).into_owned();
    let rest = &received[end + 4..];
    let (line, headers) = head.split_once("\r\n").unwrap_or((&head, ""));
    let path = line.split(' ').nth(1).unwrap_or_default();
    let proxied = path.strip_prefix(&way.prefix).map(|inner| line.replacen(path, inner, 1));
    let is_proxied = proxied.is_some();
    let mut head = proxied.unwrap_or_else(|| line.to_owned());
    for header in headers.lines() {
        let name = header.split(':').next().unwrap_or_default().to_ascii_lowercase();
        // The API server does not hand its clients' tokens on.
        if name == "connection" || is_proxied && name == "authorization" {
            continue;
        }
        head.push_str("\r\n");
        head.push_str(header);
    }
    if is_proxied {
        head.push_str("\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: https");
    }
    head.push_str("\r\nConnection: close\r\n\r\n");
    let sent = [head.as_bytes(), rest].concat();
    if is_proxied {
        relay(client, TcpStream::connect(way.program).await?, &sent).await
    } else {
        let name = ServerName::IpAddress(Ipv4Addr::LOCALHOST.into());
        let server = way.connector.connect(name, TcpStream::connect(way.api).await?).await?;
        relay(client, server, &sent).await
    }
}

async fn relay(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    mut server: impl AsyncRead + AsyncWrite + Unpin,
    sent: &[u8],
) -> std::io::Result<()> {
    server.write_all(sent).await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}
