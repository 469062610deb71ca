//! Organizations, as a port: which name is which tenant.

use async_trait::async_trait;
use barndoor_crds::name::{OrganizationName, OrganizationUid};

use crate::destinations::StorageError;

/// Finds the identity behind an organization's name.
#[async_trait]
pub trait Organizations: Send + Sync + 'static {
    /// The organization's uid; `None` when there is no such organization.
    async fn find(&self, name: &OrganizationName) -> Result<Option<OrganizationUid>, StorageError>;
}

/// Every name is an organization, and its own uid: embedded mode, which needs no creation step.
#[derive(Clone, Copy, Debug, Default)]
pub struct EveryName;

#[async_trait]
impl Organizations for EveryName {
    async fn find(&self, name: &OrganizationName) -> Result<Option<OrganizationUid>, StorageError> {
        Ok(Some(OrganizationUid::from(name)))
    }
}
