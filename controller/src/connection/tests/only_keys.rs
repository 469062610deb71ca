//! The least that can stand for the destinations' port.

use async_trait::async_trait;
use barndoor_crds::aws::ExternalId;
use barndoor_crds::name::{DestinationName, DestinationUid, OrganizationName};
use tokio::sync::broadcast;

use super::keys;
use crate::destinations::{
    AccessKeys, AccessKeysError, AdjustError, Change, Declaration, DeclareError, Destination, Destinations,
    Health, SettingsChange, StorageError,
};

/// Destinations that know one pair of keys and nothing else.
pub(super) struct OnlyKeys;

#[async_trait]
impl Destinations for OnlyKeys {
    async fn find(
        &self,
        _: &OrganizationName,
        _: &DestinationName,
    ) -> Result<Option<Destination>, StorageError> {
        Ok(None)
    }

    async fn list(
        &self,
        _: &OrganizationName,
        _: Option<&DestinationName>,
        _: usize,
    ) -> Result<Vec<Destination>, StorageError> {
        Ok(Vec::new())
    }

    async fn all(&self) -> Result<Vec<Destination>, StorageError> {
        Ok(Vec::new())
    }

    async fn declare(
        &self,
        _: &OrganizationName,
        _: &DestinationName,
        _: Declaration,
    ) -> Result<Destination, DeclareError> {
        Err(DeclareError::KeysRequired)
    }

    async fn adjust(
        &self,
        _: &OrganizationName,
        _: &DestinationName,
        _: SettingsChange,
    ) -> Result<Option<Destination>, AdjustError> {
        Ok(None)
    }

    async fn remove(
        &self,
        _: &OrganizationName,
        _: &DestinationName,
    ) -> Result<Option<DestinationUid>, StorageError> {
        Ok(None)
    }

    async fn access_keys(&self, destination: &Destination) -> Result<AccessKeys, AccessKeysError> {
        if destination.name.as_str() == "without-keys" { Err(AccessKeysError::NotFound) } else { Ok(keys()) }
    }

    async fn has_access_keys(&self, _: &Destination) -> Result<bool, StorageError> {
        Ok(true)
    }

    async fn external_id(
        &self,
        _: &OrganizationName,
        _: &DestinationName,
    ) -> Result<ExternalId, StorageError> {
        Ok(ExternalId::from_bytes([0xab; 32]))
    }

    async fn health(&self, _: &DestinationUid) -> Result<Option<Health>, StorageError> {
        Ok(None)
    }

    async fn save_health(&self, _: &DestinationUid, _: Health) -> Result<(), StorageError> {
        Ok(())
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        broadcast::channel(1).1
    }
}
