//! Wrapped to an age recipient: the Secret holds an age file, which any age tool opens with the right identity.

use std::io::Read as _;
use std::path::PathBuf;

use futures::FutureExt as _;
use zeroize::Zeroizing;

use super::{AgeWrapping, Answer, KeyWrapper, WrapError};
use crate::seal::{Identity, open_file, seal_file};
use crate::secret::Plaintext;
use crate::sync::schedule::Class;

/// The longest identity file that is read, and the longest that comes out of a wrapped one, in bytes.
const LONGEST: usize = 64 * 1024;

/// See the module.
pub(super) struct Age {
    settings: AgeWrapping,
}

impl Age {
    pub(super) const fn new(settings: AgeWrapping) -> Self {
        Self { settings }
    }

    fn open(file: Option<PathBuf>, wrapped: &[u8]) -> Result<Plaintext, WrapError> {
        let Some(path) = file else { return Err(super::not_set_up(super::Wrapper::Age)) };
        let identities = identities(&path)?;
        open_file(&identities, wrapped, LONGEST)
            .map_err(|error| WrapError::new(Class::Refused, format!("its private half {error}")))
    }
}

/// Reads the file afresh each time: it may be mounted later, and replaced, and is not kept.
fn identities(path: &PathBuf) -> Result<Vec<Identity>, WrapError> {
    let problem = |what: &str| WrapError::new(Class::Transient, format!("the identity file {} {what}", path.display()));
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
    let file = std::fs::File::open(path).map_err(|_| problem("cannot be read"))?;
    file.take(LONGEST as u64 + 1).read_to_end(&mut bytes).map_err(|_| problem("cannot be read"))?;
    if bytes.len() > LONGEST {
        return Err(problem("is too long to be one"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| problem("is not text"))?;
    Identity::parse_all(text).map_err(|error| problem(&format!("cannot be used: {error}")))
}

impl KeyWrapper for Age {
    fn name(&self) -> String {
        let ids: Vec<String> = self.settings.recipients.iter().map(|one| one.key_id().to_string()).collect();
        format!("age:{}", ids.join(","))
    }

    fn wrap<'a>(&'a self, identity: &'a Plaintext) -> Answer<'a, Vec<u8>> {
        let wrapped = seal_file(&self.settings.recipients, identity);
        let refused = |error| WrapError::new(Class::Terminal, format!("cannot wrap a key: {error}"));
        std::future::ready(wrapped.map_err(refused)).boxed()
    }

    fn unwrap<'a>(&'a self, wrapped: &'a [u8]) -> Answer<'a, Plaintext> {
        let (file, wrapped) = (self.settings.identity_file.clone(), wrapped.to_vec());
        let opening = tokio::task::spawn_blocking(move || Self::open(file, &wrapped));
        async { opening.await.unwrap_or_else(|_| Err(WrapError::new(Class::Transient, "unwrapping failed"))) }.boxed()
    }
}
