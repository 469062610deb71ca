//! Delivery records: JSON, swapped by revision.

use async_trait::async_trait;
use barndoor_crds::name::{DestinationUid, OrganizationUid};
use redb::ReadableTable;

use super::tables::{DELIVERY_RECORDS, decode, encode};
use super::{Embedded, Fault};
use crate::destinations::StorageError;
use crate::exporter::record::{DeliveryRecord, DeliveryRecords, RecordError};

const WHAT: &str = "delivery record";

/// Whether the organization has a place in the log: events are kept for it.
pub(crate) fn any(
    records: &impl ReadableTable<(&'static str, &'static str), &'static [u8]>,
    organization: &str,
) -> Result<bool, Fault> {
    match records.range((organization, "")..)?.next() {
        Some(row) => Ok(row?.0.value().0 == organization),
        None => Ok(false),
    }
}

#[async_trait]
impl DeliveryRecords for Embedded {
    async fn load(
        &self,
        organization: &OrganizationUid,
        destination: &DestinationUid,
    ) -> Result<Option<DeliveryRecord>, StorageError> {
        let (organization, destination) = (organization.clone(), destination.clone());
        let record = self.inner().database.read(move |transaction| {
            let records = transaction.open_table(DELIVERY_RECORDS)?;
            let row = records.get((organization.as_str(), destination.as_str()))?;
            row.map(|row| decode(WHAT, row.value())).transpose()
        });
        Ok(record.await?)
    }

    async fn compare_and_swap(
        &self,
        organization: &OrganizationUid,
        destination: &DestinationUid,
        record: DeliveryRecord,
    ) -> Result<(), RecordError> {
        let (organization, destination) = (organization.clone(), destination.clone());
        let value = encode(&record);
        let swapped = self.inner().database.write(
            value.len(),
            move |writing| {
                let mut records = writing.table(DELIVERY_RECORDS)?;
                let key = (organization.as_str(), destination.as_str());
                let stored: Option<DeliveryRecord> =
                    records.get(key)?.map(|row| decode(WHAT, row.value())).transpose()?;
                if stored.is_none_or(|stored| stored.revision.checked_add(1) != Some(record.revision)) {
                    writing.wrote_nothing();
                    return Ok(Err(RecordError::Lost));
                }
                records.insert(key, value.as_slice())?;
                Ok(Ok(()))
            },
            |_| {},
        );
        swapped.await.map_err(StorageError::from)?
    }

    async fn of_organization(
        &self,
        organization: &OrganizationUid,
    ) -> Result<Vec<(DestinationUid, DeliveryRecord)>, StorageError> {
        let organization = organization.clone();
        let found = self.inner().database.read(move |transaction| {
            let records = transaction.open_table(DELIVERY_RECORDS)?;
            let mut found = Vec::new();
            for row in records.range((organization.as_str(), "")..)? {
                let (key, value) = row?;
                let (of, destination) = key.value();
                if of != organization.as_str() {
                    break;
                }
                found.push((DestinationUid::new(destination), decode(WHAT, value.value())?));
            }
            Ok(found)
        });
        Ok(found.await?)
    }
}
