//! The REST API: exports, settings, ingest, tokens, clients, and what an operator's machinery asks.
//!
//! A handler parses, asks a port, and answers. It must not know how objects are delivered, nor what keeps the data.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post};
use barndoor_crds::name::{OrganizationName, OrganizationUid};
use barndoor_crds::rest::PREFIX;
use http::StatusCode;
use tower_http::catch_panic::CatchPanicLayer;

use crate::clients::Clients;
use crate::clock::Clock;
use crate::destinations::{Destination, Destinations, Health, StorageError};
use crate::event_log::EventLog;
use crate::exporter::record::DeliveryRecords;
use crate::exporter::run::Exporters;
use crate::organizations::Organizations;
use crate::telemetry::Telemetry;

mod access;
mod body;
pub mod checks;
mod clients;
mod declaration;
mod exports;
mod ingest;
mod observe;
mod openapi;
mod operations;
mod refusal;
mod serve;
mod settings;
mod shown;
mod status;
mod streaming;
mod token;

#[cfg(test)]
mod tests;

pub use checks::Checks;
pub use ingest::IngestBudget;
pub use operations::{MetricsExposure, Readiness};
pub use serve::{Tls, serve};
pub use token::Tokens;

/// Everything that handlers ask.
#[derive(Clone)]
pub struct AppState {
    /// The declared state.
    pub destinations: Arc<dyn Destinations>,
    /// Which name is which tenant.
    pub organizations: Arc<dyn Organizations>,
    /// Every destination's place in the log.
    pub records: Arc<dyn DeliveryRecords>,
    /// Accepted events.
    pub log: Arc<dyn EventLog>,
    /// Who may call.
    pub clients: Arc<dyn Clients>,
    /// The customer's side.
    pub checks: Arc<dyn Checks>,
    /// Running deliveries.
    pub exporters: Exporters,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Figures.
    pub telemetry: Arc<Telemetry>,
    /// Signed with the key that is kept with the data, so that tokens outlive a restart.
    pub tokens: Arc<Tokens>,
    /// Memory for bodies on their way in.
    pub ingest_budget: IngestBudget,
    /// Whether requests can be served yet.
    pub readiness: Readiness,
    /// Whether metrics are shown.
    pub metrics: MetricsExposure,
    /// How clients reach this API, without a final slash.
    pub public_url: String,
}

/// The whole API.
pub fn router(state: AppState) -> Router {
    let api = Router::new()
        .route("/exports/{org}", get(exports::list))
        .route("/exports/{org}/{name}", get(exports::get))
        .route(
            "/exports/{org}/{name}/destination",
            get(exports::get_destination).put(exports::put_destination).delete(exports::delete_destination),
        )
        .route("/exports/{org}/{name}/destination/aws-trust-info", get(status::aws_trust_info))
        .route("/exports/{org}/{name}/settings", patch(settings::patch))
        .route("/exports/{org}/{name}/start", post(streaming::start))
        .route("/exports/{org}/{name}/pause", post(streaming::pause))
        .route("/exports/{org}/{name}/check", post(streaming::check))
        .route("/exports/{org}/{name}/status", get(status::get))
        .route("/exports/{org}/{name}/preview", get(status::preview))
        .route("/events/{org}", post(ingest::post))
        .route("/clients", get(clients::list).post(clients::add))
        .route("/clients/{client_id}", delete(clients::remove));
    Router::new()
        .nest(PREFIX, api)
        .route("/oauth2/token", post(token::issue))
        .route("/livez", get(operations::livez))
        .route("/readyz", get(operations::readyz))
        .route("/metrics", get(operations::metrics))
        .route("/openapi.json", get(operations::openapi))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(CatchPanicLayer::custom(observe::panicked))
        .layer(from_fn_with_state(state.clone(), observe::observe))
        .with_state(state)
}

async fn no_route() -> Response {
    refusal::Refusal::not_found("there is nothing at this path")
        .with_remedy("see /openapi.json for what there is")
        .into_response()
}

async fn no_method() -> Response {
    refusal::Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "MethodNotAllowed",
        "this path does not take this method",
    )
    .with_remedy("see the Allow header")
    .into_response()
}

async fn find_destination<P>(state: &AppState, at: &access::At<P>) -> refusal::Answer<Destination> {
    let found = state.destinations.find(&at.organization, &at.name).await?;
    found.ok_or_else(|| at.not_found())
}

/// What is known of its health: what the exporter saw is newer than what was saved.
async fn health(state: &AppState, destination: &Destination) -> Result<Health, StorageError> {
    match state.exporters.activity(&destination.uid) {
        Some(activity) => Ok(activity.health),
        None => Ok(state.destinations.health(&destination.uid).await?.unwrap_or_default()),
    }
}

async fn find_organization(state: &AppState, name: &OrganizationName) -> refusal::Answer<OrganizationUid> {
    let found = state.organizations.find(name).await?;
    found.ok_or_else(|| access::unknown_organization(name))
}
