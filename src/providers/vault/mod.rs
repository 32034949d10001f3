//! HashiCorp Vault and OpenBao: KV version 1 and 2.
//!
//! | module | what it is |
//! | --- | --- |
//! | `settings` | what a provider is made from |
//! | `http` | one request to the server, its answer in wiped memory |
//! | `login` | what each auth method sends |
//! | `session` | the one token of a provider: taken, renewed, replaced, given back |
//! | `path` | where a key lies in a KV engine |
//! | `kv`, `find` | reading one secret, reading many |
//! | `transit` | encrypting and decrypting with a key of the server |
//!
//! The HTTP client is `reqwest` itself. `vaultrs` was weighed and left: it keeps tokens and login bodies in plain
//! strings of types with `Debug`, takes settings from `VAULT_*` variables unless each is given, can send no header of
//! ours, and puts the whole body of an answer that it cannot parse into its error.

mod fault;
mod find;
mod http;
mod kv;
mod login;
mod path;
mod session;
mod settings;
mod transit;

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt as _};

pub use self::settings::{Auth, ClientCertificate, KvVersion, Settings};
pub use self::transit::Transit;

use self::http::Http;
use self::path::Engine;
use self::session::Session;
use crate::providers::{Cause, Gate, Provider, ProviderError};
use crate::sync::remote::{Answer, Request};

/// How many requests of one fetch are under way at once.
const READS: usize = 16;

/// The name in metrics, which is upstream's.
const NAME: &str = "HashiCorp/Vault";

/// Makes the provider; nothing is sent before the first request.
///
/// # Errors
/// [`Cause::Misconfigured`] where an address, a certificate or a header cannot be used.
pub fn connect(settings: Settings, gate: Gate) -> Result<Arc<dyn Provider>, ProviderError> {
    let engine = Engine::new(settings.mount.as_deref(), settings.version)?;
    let http = Arc::new(Http::new(&settings, gate)?);
    let session = Session::new(Arc::clone(&http), settings.auth)?;
    Ok(Arc::new(Vault { engine, session }))
}

/// One store of a Vault.
struct Vault {
    engine: Engine,
    session: Session,
}

impl Vault {
    async fn answer(&self, request: Request) -> Result<Answer, ProviderError> {
        match request {
            Request::Value(lookup) => kv::value(&self.session, &self.engine, &lookup).await.map(Answer::One),
            Request::Metadata(lookup) => kv::metadata(&self.session, &self.engine, &lookup).await.map(Answer::One),
            Request::Find(find) => find::all(&self.session, &self.engine, &find).await.map(Answer::Many),
        }
    }
}

impl Provider for Vault {
    fn name(&self) -> &'static str {
        NAME
    }

    fn batch_size(&self) -> usize {
        READS
    }

    fn fetch(&self, requests: Vec<Request>) -> BoxFuture<'_, Vec<Result<Answer, ProviderError>>> {
        Box::pin(stream::iter(requests).map(|request| self.answer(request)).buffered(READS).collect())
    }

    fn validate(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        Box::pin(self.session.validate())
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.session.close())
    }
}

/// An error of the store's settings.
fn misconfigured(message: impl Into<String>) -> ProviderError {
    ProviderError::new(Cause::Misconfigured, message)
}

/// An error of a request.
fn invalid(message: impl Into<String>) -> ProviderError {
    ProviderError::new(Cause::Invalid, message)
}
