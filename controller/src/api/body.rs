//! Reads small request bodies: bounded in size and time, and refused in words that name the mistake.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::refusal::{Answer, Refusal};

/// The longest JSON body, in bytes.
pub(super) const JSON_MAX_BYTES: usize = 64 * 1024;
/// How much of a parser's message is repeated, in characters: it may name a field as long as the body.
const PARSER_MESSAGE_MAX: usize = 400;
/// How long a small body may take to arrive, in seconds.
const BODY_TIMEOUT_SECONDS: u64 = 20;

/// A JSON body, with its bytes for a second look.
pub(super) struct JsonBody {
    bytes: Bytes,
}

impl JsonBody {
    /// Whether nothing was sent.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.iter().all(u8::is_ascii_whitespace)
    }

    /// The body as a `T`.
    ///
    /// # Errors
    /// 400 with line, column and what is wrong, never with what was sent.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Answer<T> {
        // A list would be taken for the fields in their order.
        if self.bytes.trim_ascii_start().starts_with(b"[") {
            return Err(invalid_body("a list, expected an object"));
        }
        serde_json::from_slice(&self.bytes).map_err(|error| invalid_body(&without_value(&error.to_string())))
    }
}

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = Refusal;

    async fn from_request(request: Request, _state: &S) -> Answer<Self> {
        let (parts, body) = request.into_parts();
        let bytes = read(body, JSON_MAX_BYTES).await?;
        if !bytes.is_empty() {
            require_content_type(&parts.headers, &["application/json"])?;
        }
        Ok(Self { bytes })
    }
}

fn invalid_body(what: &str) -> Refusal {
    let detail = format!("the request body is not what is expected: {what}");
    Refusal::new(StatusCode::BAD_REQUEST, "InvalidBody", detail)
}

/// The whole body, up to `max_bytes`.
pub(super) async fn read(body: Body, max_bytes: usize) -> Answer<Bytes> {
    let read = Limited::new(body, max_bytes).collect();
    match tokio::time::timeout(Duration::from_secs(BODY_TIMEOUT_SECONDS), read).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(too_large(format!("the request body is longer than {max_bytes} bytes")))
        }
        Ok(Err(_broken)) => Err(broken_off()),
        Err(_elapsed) => Err(too_slow(BODY_TIMEOUT_SECONDS)),
    }
}

/// 413 naming the limit.
pub(super) fn too_large(detail: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "BodyTooLarge", detail)
}

/// 408 naming the limit.
pub(super) fn too_slow(seconds: u64) -> Refusal {
    Refusal::new(
        StatusCode::REQUEST_TIMEOUT,
        "BodyTooSlow",
        format!("the request body did not arrive within {seconds} seconds"),
    )
}

/// 400 when the connection ended inside the body.
pub(super) fn broken_off() -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "BodyIncomplete", "the request body ended before it was complete")
}

/// Refuses a content type that is not one of these; none at all counts as the first.
pub(super) fn require_content_type(headers: &HeaderMap, allowed: &[&str]) -> Answer<()> {
    let Some(sent) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let media_type = sent.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if allowed.iter().any(|allowed| media_type.eq_ignore_ascii_case(allowed)) {
        return Ok(());
    }
    Err(Refusal::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "UnsupportedMediaType",
        format!("this request body must have Content-Type: {}", allowed.join(" or ")),
    ))
}

/// A parser's message without the value it met, which may be a secret in the wrong field, and not much longer than ours.
fn without_value(message: &str) -> String {
    let kept = ["invalid type: ", "invalid value: ", "unknown variant "].into_iter().find_map(|start| {
        let kind = message.strip_prefix(start)?.split(['"', '`']).next()?.trim_end();
        let (_, expected) = message.rsplit_once(", expected ")?;
        let kind = kind.split(',').next().unwrap_or(kind);
        Some(format!("{}, expected {expected}", format!("{start}{kind}").trim_end_matches([':', ' '])))
    });
    kept.unwrap_or_else(|| message.chars().take(PARSER_MESSAGE_MAX).collect())
}

#[cfg(test)]
mod tests {
    use barndoor_crds::rest::PutDestination;

    use super::*;

    fn refusal(text: &'static str) -> String {
        let body = JsonBody { bytes: Bytes::from_static(text.as_bytes()) };
        format!("{:?}", body.parse::<PutDestination>().expect_err("refused"))
    }

    #[test]
    fn malformed_json_is_refused_with_line_and_column() {
        assert!(refusal("{\n \"endpoint\": x}").contains("expected value at line 2 column 14"));
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_refused_without_repeating_it() {
        for (text, kind) in [
            (r#"{"secret_access_key": 123456}"#, "integer, expected a string at line 1"),
            (r#"{"use_ssl": "hunter2"}"#, "string, expected a boolean at line 1"),
            (r#"{"endpoint": ["hunter2"]}"#, "sequence, expected a string at line 1"),
            (
                r#"{"addressing": "hunter2"}"#,
                "unknown variant, expected one of `auto`, `path`, `virtual` at line 1",
            ),
            (r#"["s3", "hunter2"]"#, "a list, expected an object"),
            (r#"{"use_ssl": "a, expected \"hunter2"}"#, "string, expected a boolean at line 1"),
        ] {
            let refusal = refusal(text);
            assert!(refusal.contains(kind), "{refusal}");
            assert!(!refusal.contains("hunter2") && !refusal.contains("123456"), "{refusal}");
        }
    }

    #[test]
    fn a_content_type_may_carry_parameters_and_may_be_absent() {
        let check = |value: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(CONTENT_TYPE, value.parse().expect("a header"));
            }
            require_content_type(&headers, &["application/json"]).is_ok()
        };
        assert!(
            check(None) && check(Some("application/json")) && check(Some("Application/JSON; charset=utf-8"))
        );
        assert!(!check(Some("text/plain")) && !check(Some("application/x-www-form-urlencoded")));
    }
}
