//! A build without the feature `otlp` sends no traces.

use super::{BoxedLayer, Error};

/// Nothing: no endpoint can be given.
#[derive(Debug)]
pub(in crate::runtime) enum Traces {}

impl Traces {
    /// # Errors
    /// If an endpoint is given.
    pub(super) fn start(endpoint: Option<String>) -> Result<Option<Self>, Error> {
        match endpoint {
            None => Ok(None),
            Some(_) => Err(Error::Traces { why: "this program was built without the feature `otlp`".to_owned() }),
        }
    }

    pub(super) fn layer(&self) -> BoxedLayer {
        match *self {}
    }

    /// Sends what is left.
    pub(in crate::runtime) async fn end(self) {
        match self {}
    }
}
