//! OAuth2 clients, as a port: who may call the API, and the key that tokens are signed with.

use async_trait::async_trait;
use barndoor_crds::name::OrganizationName;
use barndoor_crds::rest::{Scope, Secret};
use jiff::Timestamp;

use crate::destinations::StorageError;

/// A client, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its id.
    pub id: String,
    /// The only organization it may touch; `None` means every one.
    pub organization: Option<OrganizationName>,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Where clients are kept.
#[async_trait]
pub trait Clients: Send + Sync + 'static {
    /// Makes a client; the only time that its secret is known in clear.
    async fn add(
        &self,
        organization: Option<OrganizationName>,
        scopes: Vec<Scope>,
    ) -> Result<(Client, Secret), StorageError>;

    /// Every client, in id order.
    async fn list(&self) -> Result<Vec<Client>, StorageError>;

    /// Removes a client; whether there was one.
    async fn remove(&self, id: &str) -> Result<bool, StorageError>;

    /// The client with this id and secret.
    async fn verify(&self, id: &str, secret: &Secret) -> Result<Option<Client>, StorageError>;

    /// The client with this id.
    async fn find(&self, id: &str) -> Result<Option<Client>, StorageError>;

    /// The key that tokens are signed with: the same for ever and on every replica.
    async fn token_signing_key(&self) -> Result<[u8; 32], StorageError>;
}
