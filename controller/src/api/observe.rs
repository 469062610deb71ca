//! What every request gets, whatever handles it: an id, a log line without secrets, figures, `no-store`.

use std::any::Any;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use http::{HeaderName, HeaderValue, StatusCode};
use tracing::Instrument;

use super::AppState;
use super::refusal::Refusal;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest request id that is taken over from a client, in bytes.
const REQUEST_ID_MAX_BYTES: usize = 64;

/// Wraps a request. Logged are method, route, status and time: never headers, queries or bodies.
pub(super) async fn observe(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let id = request_id(&request);
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let started = Instant::now();
    let span = tracing::info_span!("request", id = id.to_str().unwrap_or_default());
    let mut response = next.run(request).instrument(span.clone()).await;
    let (status, elapsed) = (response.status(), started.elapsed());
    state.telemetry.answered(&method, &route, status, elapsed);
    let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| tracing::info!(%method, route, status = status.as_u16(), milliseconds, "answered"));
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The client's own id where it is short and plain, else a new one.
fn request_id(request: &Request) -> HeaderValue {
    let plain = |value: &&HeaderValue| {
        (1..=REQUEST_ID_MAX_BYTES).contains(&value.len())
            && value.as_bytes().iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
    };
    let sent = request.headers().get(REQUEST_ID).filter(plain).cloned();
    sent.unwrap_or_else(|| {
        HeaderValue::from_str(&ulid::Ulid::new().to_string()).expect("a ULID is letters and digits")
    })
}

/// The answer to a request whose handler panicked.
pub(super) fn panicked(_panic: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("a request handler panicked");
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal", "the request failed inside this service")
        .with_remedy("the operator finds the cause in the log under this answer's x-request-id")
        .into_response()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use http::header::CONTENT_TYPE;
    use tower::ServiceExt;
    use tower_http::catch_panic::CatchPanicLayer;

    use super::*;

    async fn broken() -> StatusCode {
        assert!(CACHE_CONTROL.as_str().is_empty(), "a defect");
        StatusCode::OK
    }

    #[tokio::test]
    async fn a_handler_that_panics_is_answered_with_a_problem() {
        let router = Router::new().route("/", get(broken)).layer(CatchPanicLayer::custom(panicked));
        let request = Request::get("/").body(Body::empty()).expect("a request");
        let response = router.oneshot(request).await.expect("infallible");
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    }
}
