//! What an operator's machinery asks: is it alive, is it ready, how does it fare, what can it do. No token needed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;

use super::AppState;
use super::refusal::Refusal;
use crate::telemetry::Exposition;

/// Whether `/readyz` answers 200; shared between the wiring, which sets it, and the API.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Everything that a request needs is there.
    pub fn mark_ready(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Shutdown began: load balancers shall look elsewhere.
    pub fn mark_draining(&self) {
        self.0.store(false, Ordering::Release);
    }

    fn is_ready(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Whether `/metrics` is served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricsExposure {
    /// To anybody who asks.
    #[default]
    Public,
    /// Not at all.
    Hidden,
}

/// Answers as long as the process serves.
#[utoipa::path(get, path = "/livez", tag = "operations", security(()), responses((status = 200)))]
pub(super) async fn livez() -> &'static str {
    "ok\n"
}

/// Answers 200 once requests can be served.
#[utoipa::path(get, path = "/readyz", tag = "operations", security(()), responses((status = 200), (status = 503)))]
pub(super) async fn readyz(State(state): State<AppState>) -> Response {
    if state.readiness.is_ready() {
        "ok\n".into_response()
    } else {
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "NotReady", "not ready yet, or shutting down")
            .with_retry_after(1)
            .into_response()
    }
}

/// Metrics in the OpenMetrics text format.
#[utoipa::path(get, path = "/metrics", tag = "operations", security(()), responses((status = 200), (status = 404)))]
pub(super) async fn metrics(State(state): State<AppState>) -> Response {
    match state.metrics {
        MetricsExposure::Public => {
            ([(CONTENT_TYPE, Exposition::CONTENT_TYPE)], state.telemetry.exposition().0).into_response()
        }
        MetricsExposure::Hidden => Refusal::not_found("metrics are hidden by the operator").into_response(),
    }
}

/// This API's description.
#[utoipa::path(get, path = "/openapi.json", tag = "operations", security(()), responses((status = 200)))]
pub(super) async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], super::openapi::DESCRIPTION.as_str()).into_response()
}
