//! What can go wrong with one request, as plain data: an answer that refuses, or no answer at all.
//!
//! The only place that looks into the SDK's errors; [`super::diagnose`] turns the data into words and remedies.

use std::error::Error;
use std::io;

use aws_config::imds::client::error::ImdsError;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::dns::ResolveDnsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::guard::Forbidden;

/// Most bytes of a stranger's words that are kept.
pub(crate) const WORDS_MAX_BYTES: usize = 1024;
/// Most bytes of a stranger's error code that are kept; real ones are below 50.
const CODE_MAX_BYTES: usize = 100;

/// Most bytes of an error's body that are looked at; real ones are below 2 KiB.
const ERROR_BODY_MAX_BYTES: usize = 16 * 1024;

/// Why one request did not do what it was for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The other side answered.
    Answered(Answer),
    /// No answer came.
    Transport(Transport),
    /// There was nothing to sign the request with, or it could not be built.
    NotSendable(NotSendable),
}

/// An answer that is not the hoped-for one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The parsed error code.
    pub(crate) code: Option<String>,
    /// The parsed message.
    pub(crate) message: Option<String>,
    /// The header `x-amz-bucket-region`.
    pub(crate) bucket_region: Option<String>,
}

/// Why no answer came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transport {
    /// What broke.
    pub(crate) kind: TransportKind,
    /// Whether the other side may have the request.
    pub(crate) sent: Sent,
    /// Details in words; may be empty.
    pub(crate) words: String,
}

/// Whether the other side may have received a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// No connection was ever there.
    No,
    /// A connection was there.
    Perhaps,
}

/// What broke on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TransportKind {
    /// The guard refused the address.
    Forbidden(Forbidden),
    /// The name does not resolve.
    Unresolved,
    /// Nothing listens there, or the way there is closed.
    ConnectFailed,
    /// The certificate or the handshake.
    Tls,
    /// Too slow.
    TimedOut,
    /// The connection broke before the answer was complete.
    Broken,
}

/// Why a request was never made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotSendable {
    /// The controller has no AWS identity.
    NoIdentity,
    /// The controller's identity could not be fetched.
    IdentityUnavailable(String),
    /// The parameters do not make a request.
    Malformed(String),
}

/// A transport failure on its way through the SDK, as the source of its connector error.
#[derive(Debug, thiserror::Error)]
#[error("{words}")]
pub(crate) struct TransportError {
    pub(crate) kind: TransportKind,
    pub(crate) sent: Sent,
    pub(crate) words: String,
}

impl Failure {
    /// No answer within the time allowed; the request may have arrived.
    pub(crate) fn timed_out(seconds: u64) -> Self {
        Self::Transport(Transport {
            kind: TransportKind::TimedOut,
            sent: Sent::Perhaps,
            words: format!("no answer within {seconds} s"),
        })
    }

    /// What an SDK error says.
    pub(crate) fn from_sdk<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match error {
            SdkError::ServiceError(service) => {
                let raw = Answer::from_raw(service.raw());
                let bounded = |text: &str, max_bytes| Some(printable(text, max_bytes));
                Self::Answered(Answer {
                    code: service.err().code().and_then(|code| bounded(code, CODE_MAX_BYTES)).or(raw.code),
                    message: service
                        .err()
                        .message()
                        .and_then(|words| bounded(words, WORDS_MAX_BYTES))
                        .or(raw.message),
                    ..raw
                })
            }
            SdkError::ResponseError(response) => Self::Answered(Answer::from_raw(response.raw())),
            SdkError::TimeoutError(_) => Self::Transport(Transport {
                kind: TransportKind::TimedOut,
                sent: Sent::Perhaps,
                words: String::new(),
            }),
            SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) => Self::unsent(error),
            // The enum is open; what a later SDK adds is treated as the least certain.
            _ => Self::Transport(Transport {
                kind: TransportKind::Broken,
                sent: Sent::Perhaps,
                words: "the SDK reported an unknown kind of error".to_owned(),
            }),
        }
    }

    fn unsent<E: Error + 'static>(error: &SdkError<E, HttpResponse>) -> Self {
        if let Some(transport) = chain(error).find_map(|e| e.downcast_ref::<TransportError>()) {
            let TransportError { kind, sent, words } = transport;
            return Self::Transport(Transport { kind: *kind, sent: *sent, words: words.clone() });
        }
        let words = printable(&innermost(error), WORDS_MAX_BYTES);
        // A metadata service that hands out no token is one that this machine may not use: as good as none.
        if chain(error).any(|e| matches!(e.downcast_ref(), Some(ImdsError::FailedToLoadToken(_)))) {
            return Self::NotSendable(NotSendable::NoIdentity);
        }
        match chain(error).find_map(|e| e.downcast_ref::<CredentialsError>()) {
            Some(CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_)) => {
                Self::NotSendable(NotSendable::NoIdentity)
            }
            Some(_) => Self::NotSendable(NotSendable::IdentityUnavailable(words)),
            None => match error {
                // The operator's own client reports in the SDK's words.
                SdkError::DispatchFailure(dispatch) if !dispatch.is_user() => {
                    let TransportError { kind, sent, words } = TransportError::classify(error, Sent::Perhaps);
                    Self::Transport(Transport { kind, sent, words })
                }
                _ => Self::NotSendable(NotSendable::Malformed(words)),
            },
        }
    }

    /// The same with every occurrence of what must never be shown blotted out, should the other side echo it.
    pub(crate) fn without(mut self, hidden: &[&str]) -> Self {
        if let Self::Answered(answer) = &mut self {
            for text in
                [&mut answer.code, &mut answer.message, &mut answer.bucket_region].into_iter().flatten()
            {
                for secret in hidden.iter().filter(|secret| !secret.is_empty()) {
                    *text = text.replace(secret, "***");
                }
            }
        }
        self
    }
}

impl Answer {
    /// Status, headers, and code and message where the SDK's stricter parser finds none: some stores wrap AWS's error
    /// element once more.
    fn from_raw(raw: &HttpResponse) -> Self {
        let body = raw.body().bytes().unwrap_or_default();
        let body = String::from_utf8_lossy(&body[..body.len().min(ERROR_BODY_MAX_BYTES)]);
        Self {
            status: raw.status().as_u16(),
            code: element(&body, "Code").map(|code| printable(&code, CODE_MAX_BYTES)),
            message: element(&body, "Message").map(|words| printable(&words, WORDS_MAX_BYTES)),
            bucket_region: raw
                .headers()
                .get("x-amz-bucket-region")
                .map(|region| printable(region, CODE_MAX_BYTES))
                .filter(|region| !region.is_empty()),
        }
    }
}

/// The text of the first XML element of this name that has no attributes and holds text only.
fn element(body: &str, name: &str) -> Option<String> {
    let (_, after) = body.split_once(&format!("<{name}>"))?;
    let (text, _) = after.split_once(&format!("</{name}>"))?;
    if text.is_empty() || text.contains('<') {
        return None;
    }
    let entities =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#39;", "'"), ("&amp;", "&")];
    Some(entities.into_iter().fold(text.to_owned(), |text, (entity, plain)| text.replace(entity, plain)))
}

impl TransportError {
    /// Classifies what hyper, rustls or the resolver reported.
    pub(crate) fn classify(error: &(dyn Error + 'static), sent: Sent) -> Self {
        let io_kind = |kinds: &[io::ErrorKind]| {
            chain(error).filter_map(|e| e.downcast_ref::<io::Error>()).any(|e| kinds.contains(&e.kind()))
        };
        let kind = if let Some(forbidden) = chain(error).find_map(|e| e.downcast_ref::<Forbidden>()) {
            TransportKind::Forbidden(*forbidden)
        } else if chain(error).any(<dyn Error>::is::<rustls::Error>) {
            TransportKind::Tls
        } else if chain(error).any(<dyn Error>::is::<ResolveDnsError>) {
            TransportKind::Unresolved
        } else if io_kind(&[io::ErrorKind::TimedOut]) || innermost(error).contains("timed out") {
            TransportKind::TimedOut
        } else {
            match sent {
                Sent::No => TransportKind::ConnectFailed,
                Sent::Perhaps => TransportKind::Broken,
            }
        };
        let words = innermost(error);
        // rustls goes on with every name of a stranger's certificate.
        let words =
            if kind == TransportKind::Tls { words.split(';').next().unwrap_or_default() } else { &words };
        Self { kind, sent, words: printable(words, WORDS_MAX_BYTES) }
    }
}

/// The error and its sources. `io::Error::source` skips the error it carries, so it is looked into by hand.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    /// More than any real chain; a cyclic one must end too.
    const DEPTH_MAX: usize = 32;
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>() {
        Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => error.source(),
    })
    .take(DEPTH_MAX)
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

/// A stranger's text, fit for a terminal, a page and a log: one line, no control or invisible formatting characters,
/// at most `max_bytes`.
pub(crate) fn printable(text: &str, max_bytes: usize) -> String {
    let mut out = String::new();
    for c in text.chars() {
        let c = if c.is_control() || c.is_whitespace() { ' ' } else { c };
        // Zero-width, bidirectional and other format characters could make a message read as something else.
        let invisible = matches!(u32::from(c),
            0xad | 0x61c | 0x180e | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff | 0xfff9..=0xfffb | 0xe0000..=0xe007f);
        if invisible || (c == ' ' && (out.is_empty() || out.ends_with(' '))) {
            continue;
        }
        if out.len() + c.len_utf8() > max_bytes {
            break;
        }
        out.push(c);
    }
    out.truncate(out.trim_end().len());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_words_become_one_bounded_line() {
        assert_eq!(printable(" a\r\n\tb\u{1b}[31m\u{202e}c\0 ", 100), "a b [31mc");
        assert_eq!(printable(&"ü".repeat(1000), 1001).len(), 1000);
    }

    #[test]
    fn a_wrapped_error_element_is_found_and_markup_is_not_taken_for_words() {
        let body =
            "<ErrorResponse><Errors><Error><Code>AccessDenied</Code><Message>a &lt;b&gt; &amp;amp;</Message>";
        assert_eq!(element(body, "Code").as_deref(), Some("AccessDenied"));
        assert_eq!(element(body, "Message").as_deref(), Some("a <b> &amp;"));
        assert_eq!(element("<Message><b>x</b></Message>", "Message"), None);
    }

    #[test]
    fn what_is_hidden_stays_hidden_even_when_echoed() {
        let answer =
            Answer { status: 403, message: Some("key AKIA1 is bad".to_owned()), ..Answer::default() };
        let Failure::Answered(answer) = Failure::Answered(answer).without(&["AKIA1", ""]) else {
            panic!("an answer")
        };
        assert_eq!(answer.message.as_deref(), Some("key *** is bad"));
    }

    #[test]
    fn a_cause_is_found_behind_io_errors() {
        let forbidden = Forbidden::PlainHttp;
        let error = io::Error::other(io::Error::other(forbidden));
        assert_eq!(TransportError::classify(&error, Sent::No).kind, TransportKind::Forbidden(forbidden));
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(TransportError::classify(&refused, Sent::No).kind, TransportKind::ConnectFailed);
        assert_eq!(TransportError::classify(&refused, Sent::Perhaps).kind, TransportKind::Broken);
        let late = io::Error::from(io::ErrorKind::TimedOut);
        assert_eq!(TransportError::classify(&late, Sent::No).kind, TransportKind::TimedOut);
    }
}
