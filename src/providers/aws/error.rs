//! What AWS refuses, in our words.

use std::error::Error;
use std::time::Duration;

use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};

use crate::providers::{Cause, ProviderError};

/// Characters of a message of AWS that may stand in a status.
const LONGEST: usize = 300;

/// Why a call about `what` (empty where the caller adds that) failed. Only an error's own code and message are looked at, never a body.
pub(super) fn explain<E>(what: &str, error: &SdkError<E>) -> ProviderError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    let (cause, why) = match error {
        SdkError::ServiceError(refusal) if refusal.err().code().is_some() || status >= 300 => {
            let header = |name| error.raw_response().and_then(|response| response.headers().get(name));
            let after = header("retry-after").and_then(|seconds| seconds.trim().parse().ok());
            let (code, message) = (refusal.err().code().unwrap_or_default(), refusal.err().message());
            return refused(what, code, message.unwrap_or_default(), status, after.map(Duration::from_secs));
        }
        SdkError::TimeoutError(_) => (Cause::Unavailable, "AWS did not answer in time".to_owned()),
        SdkError::DispatchFailure(failure) if failure.is_user() => {
            (Cause::Misconfigured, format!("AWS cannot be called: {}", root(error)))
        }
        SdkError::DispatchFailure(_) => (Cause::Unavailable, format!("no answer from AWS: {}", root(error))),
        SdkError::ResponseError(_) if status == 429 => {
            (Cause::Throttled { after: None }, "AWS answered 429".to_owned())
        }
        // What could not be read may be a secret: nothing of it is repeated.
        SdkError::ServiceError(_) | SdkError::ResponseError(_) => {
            (Cause::Unavailable, format!("AWS answered {status}, and the answer does not make sense"))
        }
        SdkError::ConstructionFailure(_) => {
            (Cause::Misconfigured, format!("the request cannot be written: {}", root(error)))
        }
        _ => (Cause::Unavailable, "the call failed".to_owned()),
    };
    ProviderError::new(cause, about(what, &why))
}

fn about(what: &str, why: &str) -> String {
    if what.is_empty() { why.to_owned() } else { format!("{what}: {why}") }
}

/// The error that an answer's `code` and `message` stand for. `status` is 0 where the answer as a whole was a success.
pub(super) fn refused(what: &str, code: &str, message: &str, status: u16, after: Option<Duration>) -> ProviderError {
    let cause = cause(code, message, status, after);
    let why = sanitised(message);
    let text = match (code.is_empty(), why.is_empty()) {
        (true, true) => format!("the server answered {status}"),
        (true, false) => why,
        (false, true) => sanitised(code),
        (false, false) => format!("{}: {why}", sanitised(code)),
    };
    ProviderError::new(cause, about(what, &text))
}

fn cause(code: &str, message: &str, status: u16, after: Option<Duration>) -> Cause {
    let code = code.strip_suffix("Exception").unwrap_or(code);
    match code {
        // The secret is there: what is missing may be deleted from the cluster too.
        "ResourceNotFound" if lacks_version(message) => Cause::Invalid,
        "ResourceNotFound" | "ParameterNotFound" | "InvalidResourceId" => Cause::Missing,
        "InvalidRequest" | "InvalidParameter" if is_being_deleted(message) => Cause::Missing,
        "AccessDenied" | "OptInRequired" | "UnauthorizedOperation" => Cause::Denied,
        "ExpiredToken"
        | "ExpiredTokenId"
        | "RequestExpired"
        | "UnrecognizedClient"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "InvalidSignature"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "AuthFailure"
        | "InvalidIdentityToken"
        | "IDPRejectedClaim" => Cause::Unauthenticated,
        "Throttling"
        | "Throttled"
        | "TooManyRequests"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "SlowDown"
        | "BandwidthLimitExceeded"
        | "ProvisionedThroughputExceeded"
        | "PriorRequestNotComplete" => Cause::Throttled { after },
        _ if status == 429 => Cause::Throttled { after },
        "InternalServiceError"
        | "InternalServerError"
        | "InternalFailure"
        | "InternalService"
        | "ServiceUnavailable"
        | "RequestTimeout"
        | "IDPCommunicationError" => Cause::Unavailable,
        _ if status >= 500 => Cause::Unavailable,
        "RegionDisabled" | "UnknownOperation" | "InvalidAction" => Cause::Misconfigured,
        // Whoever answered so is not AWS.
        "" if status >= 300 => Cause::Misconfigured,
        _ => Cause::Invalid,
    }
}

/// What a secret is refused with that has no such version: `Secrets Manager can't find the specified secret value for
/// staging label: AWSPREVIOUS`, or `… for VersionId: …`.
fn lacks_version(message: &str) -> bool {
    ["secret value for staging label", "secret value for VersionId"].iter().any(|words| message.contains(words))
}

/// What a secret that waits for its deletion is refused with.
fn is_being_deleted(message: &str) -> bool {
    ["marked for deletion", "scheduled for deletion", "marked deleted"].iter().any(|words| message.contains(words))
}

/// The innermost cause: a refused connection, a certificate that is not trusted.
fn root(error: &(dyn Error + 'static)) -> String {
    let mut root = error;
    while let Some(next) = root.source() {
        root = next;
    }
    sanitised(&root.to_string())
}

/// The first line without what changes from call to call (that would look like a new error each time) or names an
/// access key.
pub(super) fn sanitised(message: &str) -> String {
    let line = message.trim().lines().next().unwrap_or_default();
    let mut text = String::with_capacity(line.len().min(LONGEST));
    let mut rest = line;
    while !rest.is_empty() {
        let lower = rest.to_ascii_lowercase();
        let noise = ["request id: ", "requestid: ", "credential="]
            .iter()
            .filter_map(|word| lower.find(word).map(|at| (at, at + word.len())))
            .min();
        let Some((start, end)) = noise else {
            text.push_str(rest);
            break;
        };
        text.push_str(rest[..start].trim_end_matches([' ', ',', ';']));
        let length = rest[end..].find([' ', ',', ';', ')']).unwrap_or(rest.len() - end);
        rest = &rest[end + length..];
    }
    let text: String = text.chars().filter(|letter| !letter.is_control()).take(LONGEST).collect();
    text.trim().trim_end_matches([',', ';']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_from_call_to_call_is_left_out() {
        for (message, text) in [
            ("api error X, request id: 1-2-3, more", "api error X, more"),
            ("not valid Credential=AKIA/2026/eu, SignedHeaders=a", "not valid, SignedHeaders=a"),
            ("RequestID: abc", ""),
            ("one\ntwo", "one"),
            ("  plain ", "plain"),
        ] {
            assert_eq!(sanitised(message), text);
        }
        assert_eq!(sanitised(&"ä".repeat(1000)).chars().count(), LONGEST);
    }

    #[test]
    fn codes_have_causes() {
        let after = Some(Duration::from_secs(3));
        for (code, message, status, expected) in [
            ("ResourceNotFoundException", "", 400, Cause::Missing),
            ("ResourceNotFoundException", "Secrets Manager can't find the specified secret.", 400, Cause::Missing),
            ("ResourceNotFoundException", "the specified secret value for staging label: X", 400, Cause::Invalid),
            ("ResourceNotFoundException", "the specified secret value for VersionId: 1-2", 400, Cause::Invalid),
            ("ParameterNotFound", "", 400, Cause::Missing),
            ("InvalidRequestException", "it was marked for deletion.", 400, Cause::Missing),
            ("InvalidRequestException", "", 400, Cause::Invalid),
            ("ParameterVersionNotFound", "", 400, Cause::Invalid),
            ("DecryptionFailure", "", 400, Cause::Invalid),
            ("AccessDeniedException", "", 400, Cause::Denied),
            ("AccessDenied", "", 403, Cause::Denied),
            ("ExpiredTokenException", "", 400, Cause::Unauthenticated),
            ("UnrecognizedClientException", "", 400, Cause::Unauthenticated),
            ("InvalidSignatureException", "", 400, Cause::Unauthenticated),
            ("ThrottlingException", "", 400, Cause::Throttled { after }),
            ("TooManyRequestsException", "", 400, Cause::Throttled { after }),
            ("", "", 429, Cause::Throttled { after }),
            ("InternalServiceError", "", 500, Cause::Unavailable),
            ("", "", 503, Cause::Unavailable),
            ("RegionDisabledException", "", 403, Cause::Misconfigured),
            ("", "", 404, Cause::Misconfigured),
        ] {
            assert_eq!(cause(code, message, status, after), expected, "{code} {status}");
        }
    }
}
