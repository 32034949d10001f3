//! Answers that say no: a status, and a short text that says why and what to do next.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A request that is not answered with what it asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    /// The word in the audit log.
    pub(super) outcome: &'static str,
    text: Cow<'static, str>,
    retry_after: Option<Duration>,
    dialect: Dialect,
}

/// How the text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// As plain text, for people.
    Text,
    /// As Kubernetes' `Status`: of plain text, kubeseal's client library shows people a part of the codes only.
    Status,
}

impl Dialect {
    /// What the client understands: only one that speaks to the API server asks for one of these two.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let accepts = |kind: &str| {
            let mut accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
            accepted.any(|value| value.contains(kind))
        };
        if accepts("application/json") || accepts("application/x-pem-file") { Self::Status } else { Self::Text }
    }
}

impl Problem {
    pub(super) fn new(status: StatusCode, outcome: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status, outcome, text: text.into(), retry_after: None, dialect: Dialect::Text }
    }

    /// Says when to come back. kubeseal then does so by itself.
    pub(super) fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    pub(super) fn said_in(self, dialect: Dialect) -> Self {
        Self { dialect, ..self }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (kind, body) = match self.dialect {
            Dialect::Text => ("text/plain; charset=utf-8", self.text.into_owned()),
            Dialect::Status => {
                let status = json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                    "message": self.text.trim_end(), "code": self.status.as_u16(),
                });
                ("application/json", status.to_string())
            }
        };
        let mut response = (self.status, [(header::CONTENT_TYPE, kind)], body).into_response();
        if let Some(wait) = self.retry_after {
            // Whole seconds, never early and never "now".
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            let allowed = HeaderValue::from_static("POST");
            response.headers_mut().insert(header::ALLOW, allowed);
        }
        response
    }
}

/// The answer where all that could serve it is taken.
pub(super) fn busy() -> Problem {
    let text = "too many requests are being worked on: come back in a moment\n";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", text).retry_after(Duration::from_secs(1))
}
