//! Tokens and OAuth2 clients.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::secret::Secret;

/// What a client may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub enum Scope {
    /// Read exports.
    #[serde(rename = "exports:read")]
    ExportsRead,
    /// Change exports.
    #[serde(rename = "exports:write")]
    ExportsWrite,
    /// Send events.
    #[serde(rename = "events:write")]
    EventsWrite,
    /// Everything, and the clients themselves.
    #[serde(rename = "admin")]
    Admin,
}

/// A scope that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a scope must be exports:read, exports:write, events:write or admin")]
pub struct UnknownScope;

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 4] = [Self::ExportsRead, Self::ExportsWrite, Self::EventsWrite, Self::Admin];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ExportsRead => "exports:read",
            Self::ExportsWrite => "exports:write",
            Self::EventsWrite => "events:write",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        Self::ALL.into_iter().find(|scope| scope.name() == text).ok_or(UnknownScope)
    }
}

/// The form of `POST /oauth2/token`; id and secret may also come as Basic authentication.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenRequest {
    /// `client_credentials`.
    #[serde(default)]
    pub grant_type: String,
    /// Who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, write_only)]
    pub client_secret: Option<Secret>,
}

/// The answer to a token request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenAnswer {
    /// The bearer token.
    #[schema(value_type = String)]
    pub access_token: Secret,
    /// Seconds it is valid.
    pub expires_in: u64,
    /// Always `Bearer`.
    pub token_type: String,
}

/// An OAuth2 client, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClientSummary {
    /// Its id.
    pub client_id: String,
    /// The only organization it may touch; null means every one.
    pub organization: Option<String>,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// `GET clients`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClientList {
    /// Every client, in id order.
    pub items: Vec<ClientSummary>,
}

/// `POST clients`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewClient {
    /// The only organization it may touch; null or absent means every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 63)]
    pub organization: Option<String>,
    /// What it may do.
    #[schema(max_items = 4)]
    pub scopes: Vec<Scope>,
}

/// The answer to `POST clients`: the only time that the secret is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreatedClient {
    /// Its id.
    pub client_id: String,
    /// Its secret; not stored in clear, so it cannot be shown again.
    #[schema(value_type = String)]
    pub client_secret: Secret,
    /// The only organization it may touch; null means every one.
    pub organization: Option<String>,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Where it gets its tokens.
    pub token_url: String,
}

/// The file `admin-client.json`, and every other client file that the command line reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminClientFile {
    /// Its id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// Where it gets its tokens, absolute.
    pub token_url: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_spelled_the_same_everywhere() {
        for scope in Scope::ALL {
            assert_eq!(serde_json::to_value(scope).expect("json"), scope.name());
            assert_eq!(scope.name().parse(), Ok(scope));
        }
    }

    #[test]
    fn tokens_and_client_secrets_are_not_in_the_debug_output() {
        let token = TokenAnswer {
            access_token: Secret::new("hunter2"),
            expires_in: 3_600,
            token_type: "Bearer".into(),
        };
        let file = AdminClientFile {
            client_id: "admin".into(),
            client_secret: Secret::new("hunter2"),
            token_url: String::new(),
        };
        assert!(!format!("{token:?}{file:?}").contains("hunter2"));
    }
}
