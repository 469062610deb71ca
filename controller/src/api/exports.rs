//! Exports and their destinations: list, read, declare, remove.

use axum::Json;
use axum::extract::{RawQuery, State};
use barndoor_crds::name::DestinationName;
use barndoor_crds::rest::{DestinationObject, ExportObject, ListResponse, Problem, PutDestination};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::StatusCode;
use serde::Deserialize;

use super::access::{At, InOrganization, ReadExports, WriteExports};
use super::body::JsonBody;
use super::refusal::{Answer, Refusal};
use super::shown::{Shown, StoredKeys};
use super::{AppState, declaration};
use crate::destinations::{DeclareError, Destination, StorageError};

/// Exports on a page when the client does not say, and the most.
const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 500;

/// Lists an organization's exports in name order.
#[utoipa::path(
    get, path = "/api/system-management/public/v1/exports/{org}", tag = "exports",
    params(
        ("org" = String, Path, description = "Organization"),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before"),
        ("limit" = Option<usize>, Query, description = "Exports on a page, at most 500", minimum = 1, maximum = 500),
    ),
    responses((status = 200, body = ListResponse), (status = 400, body = Problem), (status = 404, body = Problem))
)]
pub(super) async fn list(
    State(state): State<AppState>,
    at: InOrganization<ReadExports>,
    RawQuery(query): RawQuery,
) -> Answer<Json<ListResponse>> {
    let page = Page::parse(query.as_deref().unwrap_or_default())?;
    // One more than asked for tells whether there is another page.
    let mut found = state.destinations.list(&at.organization, page.after.as_ref(), page.limit + 1).await?;
    let more = found.len() > page.limit;
    found.truncate(page.limit);
    let next_cursor =
        found.last().filter(|_| more).map(|last| BASE64_URL_SAFE_NO_PAD.encode(last.name.as_str()));
    let mut items = Vec::with_capacity(found.len());
    for destination in found {
        items.push(shown(&state, destination).await?.export());
    }
    Ok(Json(ListResponse { items, next_cursor }))
}

/// Reads an export.
#[utoipa::path(
    get, path = "/api/system-management/public/v1/exports/{org}/{name}", tag = "exports",
    params(("org" = String, Path, description = "Organization"), ("name" = String, Path, description = "Destination")),
    responses((status = 200, body = ExportObject), (status = 404, body = Problem))
)]
pub(super) async fn get(State(state): State<AppState>, at: At<ReadExports>) -> Answer<Json<ExportObject>> {
    Ok(Json(find_shown(&state, &at).await?.export()))
}

/// Reads an export's destination.
#[utoipa::path(
    get, path = "/api/system-management/public/v1/exports/{org}/{name}/destination", tag = "exports",
    params(("org" = String, Path, description = "Organization"), ("name" = String, Path, description = "Destination")),
    responses((status = 200, body = DestinationObject), (status = 404, body = Problem))
)]
pub(super) async fn get_destination(
    State(state): State<AppState>,
    at: At<ReadExports>,
) -> Answer<Json<DestinationObject>> {
    Ok(Json(find_shown(&state, &at).await?.destination()))
}

/// Declares a destination: creates it paused, or changes it and keeps whether it streams. Nothing is probed.
#[utoipa::path(
    put, path = "/api/system-management/public/v1/exports/{org}/{name}/destination", tag = "exports",
    params(("org" = String, Path, description = "Organization"), ("name" = String, Path, description = "Destination")),
    request_body = PutDestination,
    responses(
        (status = 200, body = DestinationObject),
        (status = 400, body = Problem),
        (status = 403, body = Problem, description = "Another provider than s3"),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "The organization has too many destinations"),
    )
)]
pub(super) async fn put_destination(
    State(state): State<AppState>,
    at: At<WriteExports>,
    body: JsonBody,
) -> Answer<Json<DestinationObject>> {
    require_s3(&body)?;
    let declaration = parse_declaration(body.parse()?)?;
    super::find_organization(&state, &at.organization).await?;
    let before = state.destinations.find(&at.organization, &at.name).await?;
    let destination = state
        .destinations
        .declare(&at.organization, &at.name, declaration)
        .await
        .map_err(refused_declaration)?;
    state.exporters.declare(&destination).await;
    if before.is_some_and(|before| !before.connects_like(&destination)) {
        let mut health = super::health(&state, &destination).await?;
        health.forget_evidence();
        state.destinations.save_health(&destination.uid, health).await?;
    }
    Ok(Json(shown(&state, destination).await?.declared()))
}

/// Removes a destination, its credentials and its place in the log.
#[utoipa::path(
    delete, path = "/api/system-management/public/v1/exports/{org}/{name}/destination", tag = "exports",
    params(("org" = String, Path, description = "Organization"), ("name" = String, Path, description = "Destination")),
    responses((status = 204, description = "It is gone, now or before"), (status = 404, body = Problem))
)]
pub(super) async fn delete_destination(
    State(state): State<AppState>,
    at: At<WriteExports>,
) -> Answer<StatusCode> {
    if let Some(uid) = state.destinations.remove(&at.organization, &at.name).await? {
        state.exporters.remove(&uid).await;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Refuses another provider, whatever else the body holds.
pub(super) fn require_s3(body: &JsonBody) -> Answer<()> {
    #[derive(Deserialize)]
    struct Provider {
        #[serde(default)]
        provider: Option<serde_json::Value>,
    }
    let Provider { provider } = body.parse()?;
    match declaration::refused_provider(provider.as_ref()) {
        None => Ok(()),
        Some(sentence) => Err(Refusal::new(StatusCode::FORBIDDEN, "UnsupportedProvider", sentence)),
    }
}

/// The declaration in a body.
pub(super) fn parse_declaration(body: PutDestination) -> Answer<crate::destinations::Declaration> {
    declaration::parse(body).map_err(|error| Refusal::field(error.field, error.message))
}

/// The refusal for keys that are neither sent nor stored.
pub(super) fn keys_required() -> Refusal {
    Refusal::field("access_key_id", DeclareError::KeysRequired.to_string())
}

fn refused_declaration(error: DeclareError) -> Refusal {
    match error {
        DeclareError::KeysRequired => keys_required(),
        DeclareError::TooMany { .. } => {
            Refusal::new(StatusCode::CONFLICT, "TooManyDestinations", error.to_string())
        }
        DeclareError::Storage(error) => error.into(),
    }
}

async fn find_shown<P>(state: &AppState, at: &At<P>) -> Answer<Shown> {
    let destination = super::find_destination(state, at).await?;
    Ok(shown(state, destination).await?)
}

/// The destination with what is answered of it beside its declaration.
pub(super) async fn shown(state: &AppState, destination: Destination) -> Result<Shown, StorageError> {
    let keys = if state.destinations.has_access_keys(&destination).await? {
        StoredKeys::Present
    } else {
        StoredKeys::Absent
    };
    let external_id = state.destinations.external_id(&destination.organization, &destination.name).await?;
    Ok(Shown { destination, keys, external_id })
}

/// Which page of a list is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Page {
    after: Option<DestinationName>,
    limit: usize,
}

impl Page {
    fn parse(query: &str) -> Answer<Self> {
        let mut page = Self { after: None, limit: PAGE_DEFAULT };
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "cursor" if value.is_empty() => {}
                "cursor" => page.after = Some(parse_cursor(&value)?),
                "limit" => page.limit = parse_limit(&value)?,
                _ => return Err(Refusal::field("query", "the query parameters are cursor and limit")),
            }
        }
        Ok(page)
    }
}

fn parse_cursor(text: &str) -> Answer<DestinationName> {
    let name = BASE64_URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    name.and_then(|name| name.parse().ok())
        .ok_or_else(|| Refusal::field("cursor", "cursor must be the next_cursor of the page before"))
}

fn parse_limit(text: &str) -> Answer<usize> {
    text.parse()
        .ok()
        .filter(|limit| (1..=PAGE_MAX).contains(limit))
        .ok_or_else(|| Refusal::field("limit", format!("limit must be between 1 and {PAGE_MAX}")))
}
