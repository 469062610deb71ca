//! Destinations in the embedded database. Every change is one write: declaration, keys, health, place in the log.

mod access_keys;
mod declaration;
mod rows;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use barndoor_crds::aws::ExternalId;
use barndoor_crds::name::{DestinationName, DestinationUid, OrganizationName, OrganizationUid};
use redb::ReadableTable;
use tokio::sync::broadcast;
use ulid::Ulid;

use super::{
    AccessKeys, AccessKeysError, AdjustError, Change, Declaration, DeclareError, Destination, Destinations,
    Health, SettingsChange, StorageError, Wish,
};
use crate::embedded::tables::{DELIVERY_RECORDS, DESTINATIONS, HEALTH, decode, encode};
use crate::embedded::{Embedded, random};

/// Destinations that one organization may have.
pub const MAX_DESTINATIONS_PER_ORGANIZATION: usize = 1_000;
/// About what a declaration writes, in bytes.
const DECLARATION_BYTES: usize = 4 * 1024;

#[async_trait]
impl Destinations for Embedded {
    async fn find(
        &self,
        organization: &OrganizationName,
        name: &DestinationName,
    ) -> Result<Option<Destination>, StorageError> {
        let (organization, name) = (organization.clone(), name.clone());
        let found = self.inner().database.read(move |transaction| {
            rows::find(&transaction.open_table(DESTINATIONS)?, &organization, &name)
        });
        Ok(found.await?)
    }

    async fn list(
        &self,
        organization: &OrganizationName,
        after: Option<&DestinationName>,
        limit: usize,
    ) -> Result<Vec<Destination>, StorageError> {
        let (organization, after) = (organization.clone(), after.cloned());
        let found = self.inner().database.read(move |transaction| {
            rows::list(&transaction.open_table(DESTINATIONS)?, &organization, after.as_ref(), limit)
        });
        Ok(found.await?)
    }

    async fn all(&self) -> Result<Vec<Destination>, StorageError> {
        let found = self.inner().database.read(|transaction| {
            let mut found = Vec::new();
            for row in transaction.open_table(DESTINATIONS)?.iter()? {
                found.push(decode(rows::WHAT, row?.1.value())?);
            }
            Ok(found)
        });
        Ok(found.await?)
    }

    async fn declare(
        &self,
        organization: &OrganizationName,
        name: &DestinationName,
        declaration: Declaration,
    ) -> Result<Destination, DeclareError> {
        let (organization, name) = (organization.clone(), name.clone());
        let inner = self.inner();
        let (clock, master_key) = (Arc::clone(&inner.clock), Arc::clone(&inner.master_key));
        let changes = inner.destination_changes.clone();
        let declared = inner.database.write(
            DECLARATION_BYTES,
            move |writing| {
                let mut table = writing.table(DESTINATIONS)?;
                let old = rows::find(&table, &organization, &name)?;
                if old.is_none() && rows::count(&table, &organization)? >= MAX_DESTINATIONS_PER_ORGANIZATION {
                    writing.wrote_nothing();
                    return Ok(Err(DeclareError::TooMany { limit: MAX_DESTINATIONS_PER_ORGANIZATION }));
                }
                let stored_keys = match &old {
                    Some(old) => access_keys::are_stored(writing, &old.uid)?,
                    None => false,
                };
                if matches!(declaration.auth, super::DeclaredAuth::StoredAccessKeys) && !stored_keys {
                    writing.wrote_nothing();
                    return Ok(Err(DeclareError::KeysRequired));
                }
                let new_uid = || {
                    let now = u64::try_from(clock.now().as_millisecond()).unwrap_or(0);
                    let ulid = Ulid::from_parts(now, u128::from_be_bytes(random()));
                    DestinationUid::new(ulid.to_string().to_ascii_lowercase())
                };
                let outcome = declaration::declared(old.as_ref(), &organization, &name, declaration, new_uid);
                access_keys::apply(writing, &master_key, &outcome.destination, outcome.keys)?;
                rows::write(&mut table, &outcome.destination)?;
                if old.is_none() {
                    let health = encode(&Health::default());
                    writing.table(HEALTH)?.insert(outcome.destination.uid.as_str(), health.as_slice())?;
                }
                Ok(Ok((outcome.destination, outcome.effect)))
            },
            move |declared| {
                if let Ok((destination, declaration::Effect::Changed)) = declared {
                    // Nobody may be listening.
                    let _ = changes.send(Change::Declared(Box::new(destination.clone())));
                }
            },
        );
        let (destination, _) = declared.await.map_err(StorageError::from)??;
        Ok(destination)
    }

    async fn adjust(
        &self,
        organization: &OrganizationName,
        name: &DestinationName,
        change: SettingsChange,
    ) -> Result<Option<Destination>, AdjustError> {
        let (organization, name) = (organization.clone(), name.clone());
        let inner = self.inner();
        let clock = Arc::clone(&inner.clock);
        let changes = inner.destination_changes.clone();
        let adjusted = inner.database.write(
            DECLARATION_BYTES,
            move |writing| {
                let mut table = writing.table(DESTINATIONS)?;
                let Some(old) = rows::find(&table, &organization, &name)? else {
                    writing.wrote_nothing();
                    return Ok(Ok(None));
                };
                if !declaration::is_expected(&old, change.expected.as_ref()) {
                    writing.wrote_nothing();
                    return Ok(Err(AdjustError::OtherVersion));
                }
                let (new, effect) = declaration::adjusted(&old, change);
                let placed = match new.wish {
                    Wish::Paused => rows::Placed::Before,
                    Wish::Streaming => match rows::place_at_end(writing, &new, &clock)? {
                        Ok(placed) => placed,
                        Err(damaged) => {
                            writing.wrote_nothing();
                            return Ok(Err(StorageError(Arc::new(damaged)).into()));
                        }
                    },
                };
                match (effect, placed) {
                    (declaration::Effect::Unchanged, rows::Placed::Before) => writing.wrote_nothing(),
                    (declaration::Effect::Unchanged | declaration::Effect::Changed, _) => {
                        rows::write(&mut table, &new)?;
                    }
                }
                Ok(Ok(Some((new, effect))))
            },
            move |adjusted| {
                if let Ok(Some((destination, declaration::Effect::Changed))) = adjusted {
                    let _ = changes.send(Change::Declared(Box::new(destination.clone())));
                }
            },
        );
        let adjusted = adjusted.await.map_err(StorageError::from)??;
        Ok(adjusted.map(|(destination, _)| destination))
    }

    async fn remove(
        &self,
        organization: &OrganizationName,
        name: &DestinationName,
    ) -> Result<Option<DestinationUid>, StorageError> {
        let (organization, name) = (organization.clone(), name.clone());
        let inner = self.inner();
        let changes = inner.destination_changes.clone();
        let removed = inner.database.write(
            DECLARATION_BYTES,
            move |writing| {
                let mut table = writing.table(DESTINATIONS)?;
                let Some(old) = rows::find(&table, &organization, &name)? else {
                    writing.wrote_nothing();
                    return Ok(None);
                };
                table.remove((old.organization_uid.as_str(), name.as_str()))?;
                access_keys::delete(writing, &old.uid)?;
                writing.table(HEALTH)?.remove(old.uid.as_str())?;
                writing.table(DELIVERY_RECORDS)?.remove((old.organization_uid.as_str(), old.uid.as_str()))?;
                Ok(Some(old.uid))
            },
            move |removed| {
                if let Some(uid) = removed {
                    let _ = changes.send(Change::Removed(uid.clone()));
                }
            },
        );
        Ok(removed.await?)
    }

    async fn access_keys(&self, destination: &Destination) -> Result<AccessKeys, AccessKeysError> {
        let destination = destination.clone();
        let master_key = Arc::clone(&self.inner().master_key);
        let read = self
            .inner()
            .database
            .read(move |transaction| access_keys::read(transaction, &master_key, &destination));
        read.await.map_err(StorageError::from)?
    }

    async fn has_access_keys(&self, destination: &Destination) -> Result<bool, StorageError> {
        let uid = destination.uid.clone();
        let stored =
            self.inner().database.read(move |transaction| access_keys::are_readable(transaction, &uid));
        Ok(stored.await?)
    }

    async fn external_id(
        &self,
        organization: &OrganizationName,
        name: &DestinationName,
    ) -> Result<ExternalId, StorageError> {
        Ok(self.inner().keyring.external_id(&OrganizationUid::from(organization), name))
    }

    async fn health(&self, uid: &DestinationUid) -> Result<Option<Health>, StorageError> {
        let uid = uid.clone();
        let health = self.inner().database.read(move |transaction| {
            let table = transaction.open_table(HEALTH)?;
            let row = table.get(uid.as_str())?;
            row.map(|row| decode("health", row.value())).transpose()
        });
        Ok(health.await?)
    }

    async fn save_health(&self, uid: &DestinationUid, health: Health) -> Result<(), StorageError> {
        let uid = uid.clone();
        let value = encode(&health);
        let saved = self.inner().database.write(
            value.len(),
            move |writing| {
                let mut table = writing.table(HEALTH)?;
                let known = table.get(uid.as_str())?.is_some();
                if known {
                    table.insert(uid.as_str(), value.as_slice())?;
                } else {
                    writing.wrote_nothing();
                }
                Ok(())
            },
            |()| {},
        );
        Ok(saved.await?)
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.inner().destination_changes.subscribe()
    }
}
