//! OAuth2 clients, as a port: who may ask for a token, for which organization, and to do what.
//!
//! It knows identities and rights; it must not know HTTP or tokens.

use std::collections::BTreeSet;
use std::fmt;

use async_trait::async_trait;
use barndoor_crds::name::OrganizationName;
pub use barndoor_crds::rest::Scope;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::destinations::StorageError;

pub mod embedded;

/// Clients that there may be.
pub const MAX_CLIENTS: usize = 10_000;

/// A client's `client_id`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientId(String);

impl ClientId {
    /// Wraps text that may or may not be a known client's.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A client without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Its `client_id`.
    pub id: ClientId,
    /// The one organization it is for; `None` means every one.
    pub organization: Option<OrganizationName>,
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
    /// When it was added.
    pub created_at: Timestamp,
    /// What it is for, in its owner's words.
    pub description: String,
}

/// What a new client shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewClient {
    /// The one organization it is for; `None` means every one.
    pub organization: Option<OrganizationName>,
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
    /// What it is for, in its owner's words.
    pub description: String,
}

/// A client's `client_secret`, in clear: seen once, when it is made. No `Serialize`, nothing in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientSecret(String);

impl ClientSecret {
    /// Wraps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The text, to be shown or compared once.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret(..)")
    }
}

/// Why a client was not added.
#[derive(Debug, thiserror::Error)]
pub enum AddClientError {
    /// There are as many as there may be.
    #[error("there are {limit} clients, which is the most: remove one first")]
    TooMany {
        /// The most.
        limit: usize,
    },
    /// The storage below failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Where clients are kept.
#[async_trait]
pub trait Clients: Send + Sync + 'static {
    /// Adds a client. Its secret is given here and never again.
    ///
    /// # Errors
    /// Nothing was added.
    async fn add(&self, client: NewClient) -> Result<(Client, ClientSecret), AddClientError>;

    /// The clients in the order of their ids, after `after`, at most `limit`.
    async fn list(&self, after: Option<&ClientId>, limit: usize) -> Result<Vec<Client>, StorageError>;

    /// The client of this id.
    async fn find(&self, id: &ClientId) -> Result<Option<Client>, StorageError>;

    /// Removes a client; `None` when there is none.
    async fn remove(&self, id: &ClientId) -> Result<Option<Client>, StorageError>;

    /// The client of this id if the secret is its own.
    async fn verify(&self, id: &ClientId, secret: &ClientSecret) -> Result<Option<Client>, StorageError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown_by_accident() {
        assert_eq!(format!("{:?}", ClientSecret::new("hush")), "ClientSecret(..)");
    }
}
