//! The public keys, for everybody to seal to.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::watch::Receiver;

use super::answer::{Dialect, Problem};
use crate::controllers::PublishedKeys;
use crate::seal::{Keyring, Recipient};

/// What is known of the keys.
#[derive(Clone)]
pub(super) struct Published {
    pub(super) keys: PublishedKeys,
    pub(super) keyring: Receiver<Option<Arc<Keyring>>>,
}

/// What somebody reads who asks for a certificate where there is none.
const NONE: &str = "this controller has no certificate for kubeseal; its native keys are at /v1/keys, for bulla seal. \
    To let kubeseal seal too, run the controller with --kubeseal-certificates=true, or add a kubernetes.io/tls Secret \
    with an RSA key and the label sealedsecrets.bitnami.com/sealed-secrets-key=active to its namespace. \
    See docs/kubeseal.md\n";

impl Published {
    /// The newest active certificate.
    pub(super) fn certificate(&self, request: &Request<Body>) -> Response {
        let dialect = Dialect::of(request.headers());
        let newest = match &*self.keyring.borrow() {
            None => return not_yet().said_in(dialect).into_response(),
            Some(keyring) => keyring.active_certificate().map(Recipient::key_id),
        };
        match newest.and_then(|id| self.keys.certificate(&id)) {
            Some(pem) => ([(header::CONTENT_TYPE, "application/x-pem-file")], pem).into_response(),
            None => {
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no-certificate", NONE).said_in(dialect).into_response()
            }
        }
    }

    /// All keys in JSON.
    pub(super) fn listing(&self) -> Response {
        let json = self.keys.json();
        if json.is_empty() {
            return not_yet().into_response();
        }
        ([(header::CONTENT_TYPE, "application/json")], json.to_string()).into_response()
    }
}

/// The answer while the keys are being read.
pub(super) fn not_yet() -> Problem {
    let text = "the sealing keys are not known yet: the controller is starting, or cannot reach the API server\n";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no-keys", text)
}
