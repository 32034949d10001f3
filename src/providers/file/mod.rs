//! An age-encrypted YAML file: the embedded provider of demos, hosts and air-gapped sites.
//!
//! The file is a map. A key of its top level is a remote secret; so is an entry further down, by its path with `/`
//! between the keys. A string is its bytes, a number its digits as they were written, a list or map its JSON text.
//! It is read and decrypted anew for each fetch, which is one for all that is asked at that time: in between nothing
//! of it is in memory.

mod content;
mod tree;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _};

use self::tree::Tree;
use super::names::Names;
use super::{Cause, Gate, Provider, ProviderError};
use crate::seal::{self, FileError, Identity};
use crate::secret::Plaintext;
use crate::sync::remote::{Answer, Document, Fetched, Find, Lookup, Request};

/// The longest file that is read, in bytes, as well as the longest content.
pub const MAX_FILE: usize = 16 << 20;

/// A store in one file.
pub struct Settings {
    /// Where the encrypted bytes are.
    pub source: Source,
    /// The keys that may open it.
    pub identities: Vec<Identity>,
}

/// Where the encrypted bytes are.
pub enum Source {
    /// In a file that is read again for each fetch.
    Path(PathBuf),
    /// Here, binary or armored.
    Bytes(Vec<u8>),
}

struct Store {
    file: Arc<Sealed>,
    gate: Gate,
}

struct Sealed {
    source: Source,
    identities: Vec<Identity>,
}

/// Makes the store. The file is not read yet.
///
/// # Errors
/// If there is no identity to open it with.
pub fn connect(settings: Settings, gate: Gate) -> Result<Arc<dyn Provider>, ProviderError> {
    let Settings { source, identities } = settings;
    if identities.is_empty() {
        return Err(ProviderError::new(
            Cause::Misconfigured,
            format!("{}: no identity to open it with", named(&source)),
        ));
    }
    Ok(Arc::new(Store { file: Arc::new(Sealed { source, identities }), gate }))
}

impl Provider for Store {
    fn name(&self) -> &'static str {
        "File"
    }

    fn batch_size(&self) -> usize {
        1000
    }

    fn fetch(&self, requests: Vec<Request>) -> BoxFuture<'_, Vec<Result<Answer, ProviderError>>> {
        async move {
            if requests.is_empty() {
                return Vec::new();
            }
            let requests = Arc::new(requests);
            let asked = Arc::clone(&requests);
            let answered = self.read(move |tree| asked.iter().map(|request| answer(tree, request)).collect());
            answered.await.unwrap_or_else(|error| requests.iter().map(|_| Err(error.clone())).collect())
        }
        .boxed()
    }

    fn validate(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        self.read(|_| ()).boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }
}

impl Store {
    /// Opens the file for as long as `ask` looks into it, beside the runtime's own threads.
    async fn read<T: Send + 'static>(&self, ask: impl FnOnce(&Tree) -> T + Send + 'static) -> Result<T, ProviderError> {
        let file = Arc::clone(&self.file);
        let work = async {
            let done = tokio::task::spawn_blocking(move || file.open().map(|tree| ask(&tree))).await;
            // It did not end by itself: the runtime is going down.
            done.unwrap_or_else(|_| Err(ProviderError::new(Cause::Unavailable, "reading the file was given up")))
        };
        self.gate.call("ReadFile", work).await
    }
}

impl Sealed {
    fn open(&self) -> Result<Tree, ProviderError> {
        let name = named(&self.source);
        let refused = |error: FileError| ProviderError::new(Cause::Misconfigured, format!("{name} {error}"));
        let plaintext = match &self.source {
            Source::Path(path) => {
                let file = read(path).map_err(|error| error.named(&name))?;
                seal::open_file(&self.identities, &file, MAX_FILE).map_err(refused)?
            }
            Source::Bytes(file) => seal::open_file(&self.identities, file, MAX_FILE).map_err(refused)?,
        };
        content::parse(plaintext.expose())
            .map_err(|error| ProviderError::new(Cause::Misconfigured, format!("{name}, decrypted, {error}")))
    }
}

/// Why the file could not be read.
enum ReadError {
    Io(io::Error),
    NotAFile,
    TooLarge,
}

impl ReadError {
    fn named(&self, name: &str) -> ProviderError {
        let (cause, why) = match self {
            // The one secret that is missing would be deleted; the file that holds all of them is another matter.
            Self::Io(error) if error.kind() == io::ErrorKind::NotFound => {
                (Cause::Misconfigured, "does not exist".to_owned())
            }
            Self::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                (Cause::Denied, "may not be read".to_owned())
            }
            Self::Io(error) => (Cause::Unavailable, format!("cannot be read: {}", error.kind())),
            Self::NotAFile => (Cause::Misconfigured, "is not a regular file".to_owned()),
            Self::TooLarge => (Cause::Misconfigured, format!("is too large: at most {MAX_FILE} bytes are read")),
        };
        ProviderError::new(cause, format!("{name} {why}"))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ReadError> {
    // Before it is opened: a pipe would make us wait for a writer.
    let metadata = fs::metadata(path).map_err(ReadError::Io)?;
    if !metadata.is_file() {
        return Err(ReadError::NotAFile);
    }
    let mut bytes = Vec::new();
    let limit = MAX_FILE as u64 + 1;
    File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map_err(ReadError::Io)?;
    if bytes.len() > MAX_FILE { Err(ReadError::TooLarge) } else { Ok(bytes) }
}

/// How errors call it.
fn named(source: &Source) -> String {
    match source {
        Source::Path(path) => format!("the file {}", path.display()),
        Source::Bytes(_) => "the store's age file".to_owned(),
    }
}

fn answer(tree: &Tree, request: &Request) -> Result<Answer, ProviderError> {
    let invalid = |message: String| Err(ProviderError::new(Cause::Invalid, message));
    match request {
        Request::Value(Lookup { key, version: Some(version) }) if !version.is_empty() => {
            invalid(format!("{key:?}: a file has no versions, so no {version:?}"))
        }
        Request::Value(Lookup { key, .. }) => match tree.get(key) {
            Some(value) => Ok(Answer::One(fetched(value))),
            None => Err(ProviderError::new(Cause::Missing, format!("the file holds no {key:?}"))),
        },
        Request::Metadata(Lookup { key, .. }) => invalid(format!("{key:?}: what is in a file has no metadata")),
        Request::Find(Find { tags, .. }) if !tags.is_empty() => {
            invalid("find.tags: what is in a file has no tags".to_owned())
        }
        Request::Find(find) => {
            let names = Names::of(find)?;
            let found = tree.find(find.path.as_deref(), |name| names.has(name));
            Ok(Answer::Many(found.into_iter().map(|(name, value)| (name, fetched(value))).collect::<BTreeMap<_, _>>()))
        }
    }
}

fn fetched(value: Plaintext) -> Fetched {
    Fetched { document: Document::Opaque(value), version: None }
}
