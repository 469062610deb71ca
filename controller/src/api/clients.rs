//! OAuth2 clients over REST: list, make, remove. A client of one organization sees and makes that one's only.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use barndoor_crds::name::OrganizationName;
use barndoor_crds::rest::{self, ClientList, ClientSummary, CreatedClient, Problem, Secret};
use http::StatusCode;

use super::AppState;
use super::access::{self, Administer, Caller};
use super::body::JsonBody;
use super::refusal::{Answer, Refusal};
use crate::clients::{AddClientError, Client, ClientId, MAX_CLIENTS, NewClient};

/// Lists clients, without their secrets.
#[utoipa::path(
    get, path = "/api/system-management/public/v1/clients", tag = "access",
    responses((status = 200, body = ClientList), (status = 403, body = Problem))
)]
pub(super) async fn list(
    State(state): State<AppState>,
    caller: Caller<Administer>,
) -> Answer<Json<ClientList>> {
    let clients = state.clients.list(None, MAX_CLIENTS).await?;
    let items =
        clients.into_iter().filter(|client| is_visible(&caller.client, client)).map(summary).collect();
    Ok(Json(ClientList { items }))
}

/// Makes a client; its secret is in this answer and nowhere else.
#[utoipa::path(
    post, path = "/api/system-management/public/v1/clients", tag = "access",
    request_body = rest::NewClient,
    responses(
        (status = 201, body = CreatedClient),
        (status = 400, body = Problem),
        (status = 403, body = Problem),
        (status = 404, body = Problem, description = "Another organization than the caller's own"),
        (status = 409, body = Problem, description = "There are too many clients"),
    )
)]
pub(super) async fn add(
    State(state): State<AppState>,
    caller: Caller<Administer>,
    body: JsonBody,
) -> Answer<(StatusCode, Json<CreatedClient>)> {
    let rest::NewClient { organization, scopes } = body.parse()?;
    let organization = organization
        .map(|name| name.parse::<OrganizationName>())
        .transpose()
        .map_err(|error| Refusal::field("organization", error.to_string()))?;
    if scopes.is_empty() {
        return Err(Refusal::field("scopes", "scopes must name at least one scope"));
    }
    may_make(&caller.client, organization.as_ref())?;
    let client = NewClient { organization, scopes: scopes.into_iter().collect(), description: String::new() };
    let (client, secret) = state.clients.add(client).await.map_err(refused_client)?;
    let ClientSummary { client_id, organization, scopes, created_at: _ } = summary(client);
    let token_url = format!("{}/oauth2/token", state.public_url.trim_end_matches('/'));
    let client_secret = Secret::new(secret.reveal());
    let created = CreatedClient { client_id, client_secret, organization, scopes, token_url };
    Ok((StatusCode::CREATED, Json(created)))
}

/// Removes a client; its tokens are worth nothing from now on.
#[utoipa::path(
    delete, path = "/api/system-management/public/v1/clients/{client_id}", tag = "access",
    params(("client_id" = String, Path, description = "Client")),
    responses((status = 204, description = "It is gone"), (status = 403, body = Problem), (status = 404, body = Problem))
)]
pub(super) async fn remove(
    State(state): State<AppState>,
    caller: Caller<Administer>,
    client_id: Result<Path<String>, PathRejection>,
) -> Answer<StatusCode> {
    let Path(client_id) = client_id.map_err(|_not_utf8| no_client())?;
    let client_id = ClientId::new(client_id);
    let found = state.clients.find(&client_id).await?;
    if !found.is_some_and(|client| is_visible(&caller.client, &client)) {
        return Err(no_client());
    }
    state.clients.remove(&client_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn no_client() -> Refusal {
    Refusal::not_found("there is no such client")
}

fn refused_client(error: AddClientError) -> Refusal {
    match error {
        AddClientError::TooMany { .. } => {
            Refusal::new(StatusCode::CONFLICT, "TooManyClients", error.to_string())
        }
        AddClientError::Storage(error) => error.into(),
    }
}

fn is_visible(caller: &Client, client: &Client) -> bool {
    caller.organization.is_none() || caller.organization == client.organization
}

fn may_make(caller: &Client, organization: Option<&OrganizationName>) -> Answer<()> {
    match (&caller.organization, organization) {
        (None, _) => Ok(()),
        (Some(own), Some(other)) if own == other => Ok(()),
        (Some(_), Some(other)) => Err(access::unknown_organization(other)),
        (Some(own), None) => Err(Refusal::field(
            "organization",
            format!("organization must be {own}: this client may not make one for every organization"),
        )),
    }
}

fn summary(client: Client) -> ClientSummary {
    let Client { id, organization, scopes, created_at, description: _ } = client;
    ClientSummary {
        client_id: id.to_string(),
        organization: organization.map(String::from),
        scopes: scopes.into_iter().collect(),
        created_at,
    }
}
