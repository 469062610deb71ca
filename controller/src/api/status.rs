//! What is said of a destination: its status, the keys it will use, what the customer's AWS account must trust.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use barndoor_crds::aws::{ExternalId, Partition};
use barndoor_crds::policy::{trust_policy, write_policy};
use barndoor_crds::rest::{AwsTrustInfo, PreviewResponse, Problem, StatusResponse, TrustObject};
use http::StatusCode;
use jiff::Timestamp;

use self::compose::{Observation, compose};
use super::AppState;
use super::access::{At, ReadExports};
use super::refusal::{Answer, Refusal};
use crate::connection::PrincipalError;
use crate::destinations::{Auth, Destination};
use crate::event_log::{LogHead, Sequence};
use crate::exporter::object_key::key_pattern;
use crate::exporter::record::DeliveryRecord;

mod compose;

/// How long finding out the controller's own principal may take, in seconds.
const PRINCIPAL_TIMEOUT_SECONDS: u64 = 10;
/// The same where the answer is useful without it.
const PRINCIPAL_PATIENCE_SECONDS: u64 = 2;

/// Says what is known of a destination, live.
#[utoipa::path(
    get, path = "/api/system-management/public/v1/exports/{org}/{name}/status", tag = "exports",
    params(("org" = String, Path, description = "Organization"), ("name" = String, Path, description = "Destination")),
    responses((status = 200, body = StatusResponse), (status = 404, body = Problem))
)]
pub(super) async fn get(State(state): State<AppState>, at: At<ReadExports>) -> Answer<Json<StatusResponse>> {
    let destination = super::find_destination(&state, &at).await?;
    let organization = &destination.organization_uid;
    let record = state.records.load(organization, &destination.uid).await?;
    let head = state.log.head(organization).await?;
    let usage = state.log.usage(organization).await?;
    let oldest_pending_at = match (&record, &head) {
        (Some(record), Some(head)) => oldest_pending(&state, &destination, record, head).await,
        (None, _) | (_, None) => None,
    };
    let health = super::health(&state, &destination).await?;
    let trust = trust(&state, &destination).await?;
    Ok(Json(compose(&Observation {
        destination: &destination,
        record: record.as_ref(),
        head: head.as_ref(),
        oldest_pending_at,
        health: &health,
        activity: state.exporters.activity(&destination.uid).map(|activity| activity.reason),
        usage,
        trust,
        now: state.clock.now(),
    })))
}

/// When the first event that is not resolved was accepted. A status without it is better than none: the log may be
/// trimmed or renewed meanwhile.
async fn oldest_pending(
    state: &AppState,
    destination: &Destination,
    record: &DeliveryRecord,
    head: &LogHead,
) -> Option<Timestamp> {
    let from: Sequence = record.next.max(head.first);
    if from >= head.next {
        return None;
    }
    match state.log.read(&destination.organization_uid, from, 1).await {
        Ok(batches) => batches.first().map(|batch| batch.accepted_at),
        Err(error) => {
            tracing::warn!(%error, destination = %destination.uid, "the oldest waiting event cannot be read");
            None
        }
    }
}

async fn trust(state: &AppState, destination: &Destination) -> Answer<Option<TrustObject>> {
    let principal = state.checks.principal_arn();
    let patience = Duration::from_secs(PRINCIPAL_PATIENCE_SECONDS);
    let Ok(Ok(principal_arn)) = tokio::time::timeout(patience, principal).await else { return Ok(None) };
    let external_id = state.destinations.external_id(&destination.organization, &destination.name).await?;
    Ok(Some(trust_object(principal_arn, &external_id, destination)))
}

fn trust_object(principal_arn: String, external_id: &ExternalId, destination: &Destination) -> TrustObject {
    let place = &destination.place;
    let partition = match &destination.auth {
        Auth::IamRole(role) => role.partition(),
        Auth::AccessKeys => Partition::of_region(place.region.as_str()),
    };
    TrustObject {
        trust_policy: trust_policy(&principal_arn, std::slice::from_ref(external_id)).to_pretty_json(),
        permissions_policy: write_policy(partition, &place.bucket, &place.prefix, None).to_pretty_json(),
        principal_arn,
        external_id: external_id.to_string(),
    }
}

/// Says what the customer's role must trust; the same for ever, also before anything is declared.
#[utoipa::path(
    get, path = "/api/system-management/public/v1/exports/{org}/{name}/destination/aws-trust-info", tag = "exports",
    params(("org" = String, Path, description = "Organization"), ("name" = String, Path, description = "Destination")),
    responses(
        (status = 200, body = AwsTrustInfo),
        (status = 404, body = Problem, description = "The controller has no AWS identity"),
        (status = 503, body = Problem, description = "STS cannot be reached"),
    )
)]
pub(super) async fn aws_trust_info(
    State(state): State<AppState>,
    at: At<ReadExports>,
) -> Answer<Json<AwsTrustInfo>> {
    let external_id = state.destinations.external_id(&at.organization, &at.name).await?;
    let patience = Duration::from_secs(PRINCIPAL_TIMEOUT_SECONDS);
    let principal = tokio::time::timeout(patience, state.checks.principal_arn()).await;
    let principal_arn = principal
        .unwrap_or_else(|_elapsed| Err(PrincipalError::Unreachable("no answer in time".to_owned())))
        .map_err(|error| no_principal(&error))?;
    Ok(Json(AwsTrustInfo { principal_arn, external_id: external_id.to_string() }))
}

fn no_principal(error: &PrincipalError) -> Refusal {
    match error {
        PrincipalError::NoControllerIdentity => {
            Refusal::new(StatusCode::NOT_FOUND, "NoControllerIdentity", error.to_string())
                .with_remedy("use access keys, or ask the operator to run it with AWS credentials")
        }
        PrincipalError::Unreachable(_) => {
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "StsUnreachable", error.to_string())
                .with_remedy("try again")
                .with_retry_after(5)
        }
    }
}

/// Says what keys will look like.
#[utoipa::path(
    get, path = "/api/system-management/public/v1/exports/{org}/{name}/preview", tag = "exports",
    params(("org" = String, Path, description = "Organization"), ("name" = String, Path, description = "Destination")),
    responses((status = 200, body = PreviewResponse), (status = 404, body = Problem))
)]
pub(super) async fn preview(
    State(state): State<AppState>,
    at: At<ReadExports>,
) -> Answer<Json<PreviewResponse>> {
    let destination = super::find_destination(&state, &at).await?;
    Ok(Json(preview_of(&destination)))
}

fn preview_of(destination: &Destination) -> PreviewResponse {
    PreviewResponse {
        bucket: destination.place.bucket.to_string(),
        prefix: destination.place.prefix.to_string(),
        key_pattern: key_pattern(&destination.place.prefix, &destination.uid),
    }
}
