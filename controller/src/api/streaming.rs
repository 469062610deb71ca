//! Start, pause, check: the calls that change or prove whether events flow.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use barndoor_crds::name::DestinationUid;
use barndoor_crds::reason::Reason;
use barndoor_crds::rest::{DryRun, ExportObject, Problem};
use barndoor_crds::settings::{Batch, Format};
use barndoor_crds::status::CheckReport;
use http::StatusCode;
use jiff::Timestamp;

use super::access::{At, WriteExports};
use super::body::JsonBody;
use super::refusal::{Answer, Refusal};
use super::{AppState, exports};
use crate::connection::KeySource;
use crate::destinations::{
    AdjustError, Auth, Declaration, DeclaredAuth, Destination, SettingsChange, StorageError, Wish,
};

/// How long a check may take, in seconds: start and check answer within 20.
const CHECK_TIMEOUT_SECONDS: u64 = 19;

/// Checks the connection, then streams. When the check fails, nothing changes.
#[utoipa::path(
    post, path = "/api/system-management/public/v1/exports/{org}/{name}/start", tag = "exports",
    params(("org" = String, Path, description = "Organization"), ("name" = String, Path, description = "Destination")),
    responses(
        (status = 200, body = ExportObject),
        (status = 400, body = Problem, description = "No destination is declared"),
        (status = 409, body = Problem, description = "It was changed while it was being checked; nothing was started"),
        (status = 422, body = Problem, description = "The check failed; nothing changed"),
    )
)]
pub(super) async fn start(State(state): State<AppState>, at: At<WriteExports>) -> Answer<Json<ExportObject>> {
    let found = state.destinations.find(&at.organization, &at.name).await?;
    let destination = found.ok_or_else(|| no_destination(&at))?;
    if destination.wish == Wish::Streaming {
        return Ok(Json(exports::shown(&state, destination).await?.export()));
    }
    let report = check_and_save(&state, &destination).await?;
    if !report.healthy {
        return Err(Refusal::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            report.reason.name(),
            format!("not started, because the connection check failed: {}", report.message),
        )
        .with_remedy(report.remedy));
    }
    let started = match start_as_checked(&state, &at, &destination).await {
        Ok(started) => started.ok_or_else(|| no_destination(&at))?,
        Err(AdjustError::OtherVersion) => return started_by_another(&state, &at).await,
        Err(AdjustError::Storage(error)) => return Err(error.into()),
    };
    state.exporters.declare(&started).await;
    Ok(Json(exports::shown(&state, started).await?.export()))
}

/// The check speaks of one version: another one, or another destination of the same name, is not started.
async fn start_as_checked(
    state: &AppState,
    at: &At<WriteExports>,
    checked: &Destination,
) -> Result<Option<Destination>, AdjustError> {
    let change = SettingsChange {
        wish: Some(Wish::Streaming),
        expected: Some(checked.version()),
        ..SettingsChange::default()
    };
    state.destinations.adjust(&at.organization, &at.name, change).await
}

/// What was changed while it was being checked may have been started by the change.
async fn started_by_another(state: &AppState, at: &At<WriteExports>) -> Answer<Json<ExportObject>> {
    let found = state.destinations.find(&at.organization, &at.name).await?;
    let now = found.ok_or_else(|| no_destination(at))?;
    if now.wish == Wish::Streaming {
        return Ok(Json(exports::shown(state, now).await?.export()));
    }
    Err(Refusal::new(
        StatusCode::CONFLICT,
        "ChangedMeanwhile",
        "not started, because the destination was changed while it was being checked",
    )
    .with_remedy("start it again"))
}

fn no_destination(at: &At<WriteExports>) -> Refusal {
    Refusal::new(
        StatusCode::BAD_REQUEST,
        "NoDestination",
        format!("organization {} has no destination named {}", at.organization, at.name),
    )
    .with_remedy("PUT its destination first")
}

/// Pauses: after the answer no new upload begins. The same again changes nothing.
#[utoipa::path(
    post, path = "/api/system-management/public/v1/exports/{org}/{name}/pause", tag = "exports",
    params(("org" = String, Path, description = "Organization"), ("name" = String, Path, description = "Destination")),
    responses((status = 200, body = ExportObject), (status = 404, body = Problem))
)]
pub(super) async fn pause(State(state): State<AppState>, at: At<WriteExports>) -> Answer<Json<ExportObject>> {
    let change = SettingsChange { wish: Some(Wish::Paused), ..SettingsChange::default() };
    let paused = state.destinations.adjust(&at.organization, &at.name, change).await?;
    let paused = paused.ok_or_else(|| at.not_found())?;
    state.exporters.declare(&paused).await;
    Ok(Json(exports::shown(&state, paused).await?.export()))
}

/// Checks the connection step by step; with a body, that of a destination that is not saved.
#[utoipa::path(
    post, path = "/api/system-management/public/v1/exports/{org}/{name}/check", tag = "exports",
    params(("org" = String, Path, description = "Organization"), ("name" = String, Path, description = "Destination")),
    request_body(content = Option<DryRun>),
    responses(
        (status = 200, body = CheckReport, description = "It ran, whatever it found"),
        (status = 400, body = Problem),
        (status = 403, body = Problem, description = "Another provider than s3"),
        (status = 404, body = Problem),
    )
)]
pub(super) async fn check(
    State(state): State<AppState>,
    at: At<WriteExports>,
    body: JsonBody,
) -> Answer<Json<CheckReport>> {
    if body.is_empty() {
        let destination = super::find_destination(&state, &at).await?;
        return Ok(Json(check_and_save(&state, &destination).await?));
    }
    exports::require_s3(&body)?;
    let DryRun(body) = body.parse()?;
    let (destination, keys) = unsaved(&state, &at, exports::parse_declaration(body)?).await?;
    Ok(Json(run_check(&state, &destination, keys).await))
}

/// The destination that a dry run asks about, and the keys it would use.
async fn unsaved(
    state: &AppState,
    at: &At<WriteExports>,
    declaration: Declaration,
) -> Answer<(Destination, KeySource)> {
    let organization_uid = super::find_organization(state, &at.organization).await?;
    let saved = state.destinations.find(&at.organization, &at.name).await?;
    let Declaration { place, as_sent, auth } = declaration;
    let (auth, keys) = match auth {
        DeclaredAuth::IamRole(role) => (Auth::IamRole(role), KeySource::Stored),
        DeclaredAuth::NewAccessKeys(keys) => (Auth::AccessKeys, KeySource::Given(keys)),
        DeclaredAuth::StoredAccessKeys => {
            require_stored_keys(state, saved.as_ref()).await?;
            (Auth::AccessKeys, KeySource::Stored)
        }
    };
    let destination = Destination {
        organization: at.organization.clone(),
        organization_uid,
        name: at.name.clone(),
        uid: saved.map_or_else(|| DestinationUid::new("unsaved"), |saved| saved.uid),
        generation: 0,
        wish: Wish::Paused,
        place,
        as_sent,
        auth,
        include: None,
        format: Format::default_for(&at.name),
        batch: Batch::default(),
    };
    Ok((destination, keys))
}

async fn require_stored_keys(state: &AppState, saved: Option<&Destination>) -> Answer<()> {
    let stored = match saved {
        Some(saved) => state.destinations.has_access_keys(saved).await?,
        None => false,
    };
    if stored { Ok(()) } else { Err(exports::keys_required()) }
}

async fn check_and_save(state: &AppState, destination: &Destination) -> Result<CheckReport, StorageError> {
    let report = run_check(state, destination, KeySource::Stored).await;
    let now_declared = state.destinations.find(&destination.organization, &destination.name).await?;
    if !now_declared.is_some_and(|now| now.uid == destination.uid && now.connects_like(destination)) {
        return Ok(report);
    }
    // The exporter first: what it saves from now on holds this check, and what is saved here all that it saw.
    state.exporters.checked(&destination.uid, &report);
    let health = if let Some(activity) = state.exporters.activity(&destination.uid) {
        activity.health
    } else {
        let mut saved = state.destinations.health(&destination.uid).await?.unwrap_or_default();
        saved.take_check(report.clone());
        saved
    };
    state.destinations.save_health(&destination.uid, health).await?;
    Ok(report)
}

async fn run_check(state: &AppState, destination: &Destination, keys: KeySource) -> CheckReport {
    let check = state.checks.check(destination, keys);
    let patience = Duration::from_secs(CHECK_TIMEOUT_SECONDS);
    let report = tokio::time::timeout(patience, check).await;
    report.unwrap_or_else(|_elapsed| unanswered(state.clock.now(), destination.generation))
}

/// What is reported when the customer's side never answers.
fn unanswered(at: Timestamp, generation: u64) -> CheckReport {
    CheckReport {
        at,
        generation,
        healthy: false,
        reason: Reason::EndpointUnreachable,
        message: format!("the check was not done after {CHECK_TIMEOUT_SECONDS} seconds"),
        remedy: "see whether the endpoint answers, then check again".to_owned(),
        steps: Vec::new(),
    }
}
