//! Who calls, and whether they may: the token, its client, the organization, the scope, in this order and before
//! anything is looked up.

use std::marker::PhantomData;

use axum::extract::{FromRequestParts, RawPathParams};
use barndoor_crds::name::{DestinationName, InvalidName, OrganizationName};
use barndoor_crds::rest::Scope;
use http::StatusCode;
use http::header::AUTHORIZATION;
use http::request::Parts;

use super::AppState;
use super::refusal::{Answer, Refusal};
use crate::clients::Client;

/// What a handler asks of its caller.
pub(super) trait Permission: Send + Sync + 'static {
    /// The scope; `admin` holds every other one.
    const SCOPE: Scope;
}

macro_rules! permissions {
    ($($type:ident = $scope:ident : $doc:literal,)*) => {
        $(
            #[doc = $doc]
            pub(super) struct $type;
            impl Permission for $type {
                const SCOPE: Scope = Scope::$scope;
            }
        )*
    };
}

permissions! {
    ReadExports = ExportsRead: "May look at destinations.",
    WriteExports = ExportsWrite: "May change destinations.",
    WriteEvents = EventsWrite: "May send events.",
    Administer = Admin: "May change clients.",
}

/// A caller with a permission.
pub(super) struct Caller<P> {
    /// The client behind the token.
    pub(super) client: Client,
    permission: PhantomData<P>,
}

/// A caller with a permission in the organization of the path.
pub(super) struct InOrganization<P> {
    /// The organization.
    pub(super) organization: OrganizationName,
    permission: PhantomData<P>,
}

/// A caller with a permission, and the destination of the path.
pub(super) struct At<P> {
    /// The organization.
    pub(super) organization: OrganizationName,
    /// The destination.
    pub(super) name: DestinationName,
    permission: PhantomData<P>,
}

impl<P> At<P> {
    /// The answer when there is no such destination.
    pub(super) fn not_found(&self) -> Refusal {
        Refusal::not_found(format!(
            "organization {} has no destination named {}",
            self.organization, self.name
        ))
    }
}

impl<P: Permission> FromRequestParts<AppState> for Caller<P> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Answer<Self> {
        let client = authenticate(parts, state).await?;
        require_scope(&client, P::SCOPE)?;
        Ok(Self { client, permission: PhantomData })
    }
}

impl<P: Permission> FromRequestParts<AppState> for InOrganization<P> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Answer<Self> {
        let client = authenticate(parts, state).await?;
        let path = path(parts).await?;
        let organization = authorize::<P>(&client, &path)?;
        Ok(Self { organization, permission: PhantomData })
    }
}

impl<P: Permission> FromRequestParts<AppState> for At<P> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Answer<Self> {
        let client = authenticate(parts, state).await?;
        let path = path(parts).await?;
        let organization = authorize::<P>(&client, &path)?;
        let name = parse::<DestinationName>(&path, "name")?;
        Ok(Self { organization, name, permission: PhantomData })
    }
}

async fn authenticate(parts: &Parts, state: &AppState) -> Answer<Client> {
    let header = parts.headers.get(AUTHORIZATION).ok_or_else(|| {
        unauthorized("the request has no Authorization header", "send Authorization: Bearer <token>")
    })?;
    let token = header
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    let client_id = token.and_then(|token| state.tokens.client_id(token, state.clock.now()));
    let client = match client_id {
        Some(id) => state.clients.find(&id).await?,
        None => None,
    };
    client.ok_or_else(|| {
        unauthorized(
            "the token has expired, was not issued here, or its client was removed",
            "get a new one from /oauth2/token",
        )
    })
}

fn unauthorized(detail: &str, remedy: &str) -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, "Unauthorized", detail).with_remedy(remedy)
}

async fn path(parts: &mut Parts) -> Answer<Vec<(String, String)>> {
    let params = RawPathParams::from_request_parts(parts, &()).await.map_err(|rejection| {
        // No name has bytes that are not UTF-8; the rejection says in which parameter they are.
        let in_name = rejection.body_text().contains("`name`");
        let field = if in_name { "name" } else { "organization_id" };
        Refusal::field(field, InvalidName { field }.to_string())
    })?;
    Ok(params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// Another organization's things are not there, before anything else is said of them.
fn authorize<P: Permission>(client: &Client, path: &[(String, String)]) -> Answer<OrganizationName> {
    let organization = parse::<OrganizationName>(path, "org")?;
    if client.organization.as_ref().is_some_and(|own| *own != organization) {
        return Err(unknown_organization(&organization));
    }
    require_scope(client, P::SCOPE)?;
    Ok(organization)
}

/// The answer for an organization that is not there, or not the caller's.
pub(super) fn unknown_organization(organization: &OrganizationName) -> Refusal {
    Refusal::not_found(format!("there is no organization named {organization}"))
}

fn require_scope(client: &Client, scope: Scope) -> Answer<()> {
    if client.scopes.iter().any(|held| *held == scope || *held == Scope::Admin) {
        return Ok(());
    }
    Err(Refusal::new(
        StatusCode::FORBIDDEN,
        "MissingScope",
        format!("this client does not have the scope {scope}"),
    )
    .with_remedy("use another client, or have one made with this scope"))
}

fn parse<N>(path: &[(String, String)], parameter: &str) -> Answer<N>
where
    N: std::str::FromStr<Err = InvalidName>,
{
    let text = path.iter().find(|(name, _)| name == parameter).map_or("", |(_, value)| value);
    text.parse().map_err(|error: InvalidName| Refusal::field(error.field, error.to_string()))
}
