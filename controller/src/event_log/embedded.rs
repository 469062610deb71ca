//! The event log in the embedded database: compressed record batches, durable by group commit.
//!
//! Callers compress; the writer thread numbers, stamps and stores. What is read is checked against what was written.

mod append;
mod batch;
mod heads;
mod idempotency;
mod reading;
#[cfg(test)]
mod tests;
mod trim;

use std::sync::Arc;

use async_trait::async_trait;
use barndoor_crds::name::OrganizationUid;
use tokio::sync::broadcast;

use super::{
    AppendError, Appended, EventLog, Events, Fate, Idempotency, LogError, LogHead, RecordBatch, Sequence,
    TotalUsage, Usage,
};
use crate::embedded::tables::{LOG_HEADS, LOG_TOTAL};
use crate::embedded::{Embedded, Fault};

pub(crate) use self::heads::Head;
pub(crate) use self::reading::anchor_before;

/// redb's page, in bytes.
const PAGE_BYTES: u64 = 4_096;
/// What a row takes beside its value: key, offsets, its share of the branches above. Measured: a file of 1,053 MB for
/// 1,049 MB counted so.
const ROW_BYTES: u64 = 128;

/// What a stored value takes on disk: redb gives a large value pages of a power of two, and fills pages of small ones
/// by at least half.
fn disk_bytes(value: usize) -> u64 {
    let row = value as u64 + ROW_BYTES;
    if row * 2 > PAGE_BYTES { row.div_ceil(PAGE_BYTES).next_power_of_two() * PAGE_BYTES } else { row * 2 }
}

#[async_trait]
impl EventLog for Embedded {
    async fn append(
        &self,
        organization: &OrganizationUid,
        events: Events,
        idempotency: Option<Idempotency>,
    ) -> Result<Appended, AppendError> {
        let packed = tokio::task::spawn_blocking(move || batch::pack(events))
            .await
            // The task is never cancelled, so it panicked, or the runtime is going down.
            .unwrap_or_else(|ended| Err(std::io::Error::other(ended)))
            .map_err(|error| LogError::Storage(Arc::new(error)))?;
        let inner = self.inner();
        let request = append::Request {
            organization: organization.clone(),
            packed,
            idempotency,
            limits: inner.limits,
            clock: Arc::clone(&inner.clock),
            database_file: inner.database_file.clone(),
        };
        let (organization, changes) = (organization.clone(), inner.log_changes.clone());
        let appended = inner.database.write(
            request.bytes(),
            move |writing| append::append(writing, request),
            move |appended| {
                // A repeat's answer wakes readers for nothing, which does no harm.
                if let Ok(Appended { fate: Fate::Kept { .. }, note: _ }) = appended {
                    // Nobody may be listening.
                    let _ = changes.send(organization);
                }
            },
        );
        match appended.await {
            Ok(appended) => appended,
            Err(fault) if fault.is_disk_full() => Err(AppendError::Full(super::FullScope::Disk)),
            Err(fault) => Err(AppendError::Storage(fault.into())),
        }
    }

    async fn read(
        &self,
        organization: &OrganizationUid,
        from: Sequence,
        limit_bytes: usize,
    ) -> Result<Vec<RecordBatch>, LogError> {
        let organization = organization.clone();
        let read = self
            .inner()
            .database
            .read(move |transaction| reading::read(transaction, organization.as_str(), from, limit_bytes));
        read.await?
    }

    async fn head(&self, organization: &OrganizationUid) -> Result<Option<LogHead>, LogError> {
        let organization = organization.clone();
        let head = self
            .inner()
            .database
            .read(move |transaction| Head::read(&transaction.open_table(LOG_HEADS)?, organization.as_str()));
        Ok(head.await?.map(|head| head.public()))
    }

    async fn trim(&self, organization: &OrganizationUid, before: Sequence) -> Result<(), LogError> {
        loop {
            let organization = organization.clone();
            let trimmed = self.inner().database.write(
                0,
                move |writing| trim::trim(writing, organization.as_str(), before),
                |_| {},
            );
            match trimmed.await? {
                trim::Trimmed::Some => {}
                trim::Trimmed::All => return Ok(()),
            }
        }
    }

    async fn renew_epoch(&self, organization: &OrganizationUid) -> Result<LogHead, LogError> {
        let organization = organization.clone();
        let clock = Arc::clone(&self.inner().clock);
        let renewed = self.inner().database.write(
            0,
            move |writing| {
                let mut heads = writing.table(LOG_HEADS)?;
                let mut head = Head::read_or_create(&mut heads, organization.as_str(), &clock)?;
                head.renew(&clock);
                head.write(&mut heads, organization.as_str())?;
                Ok(head.public())
            },
            |_| {},
        );
        Ok(renewed.await?)
    }

    async fn usage(&self, organization: &OrganizationUid) -> Result<Usage, LogError> {
        let organization = organization.clone();
        let limits = self.inner().limits;
        let usage = self.inner().database.read(move |transaction| {
            let head = Head::read(&transaction.open_table(LOG_HEADS)?, organization.as_str())?;
            Ok(Usage {
                organization_bytes: head.map_or(0, |head| head.disk_bytes),
                organization_limit_bytes: limits.organization_bytes(),
                total_bytes: total(&transaction.open_table(LOG_TOTAL)?)?,
                total_limit_bytes: limits.total_bytes,
            })
        });
        Ok(usage.await?)
    }

    async fn organizations(&self) -> Result<Vec<OrganizationUid>, LogError> {
        let organizations = self.inner().database.read(|transaction| {
            let heads = transaction.open_table(LOG_HEADS)?;
            redb::ReadableTable::iter(&heads)?
                .map(|row| Ok(OrganizationUid::new(row?.0.value())))
                .collect::<Result<_, Fault>>()
        });
        Ok(organizations.await?)
    }

    fn changes(&self) -> broadcast::Receiver<OrganizationUid> {
        self.inner().log_changes.subscribe()
    }
}

impl Embedded {
    /// How full the log is, whichever organization fills it.
    ///
    /// # Errors
    /// When the storage below fails.
    pub async fn total_usage(&self) -> Result<TotalUsage, LogError> {
        let limit_bytes = self.inner().limits.total_bytes;
        let bytes =
            self.inner().database.read(|transaction| total(&transaction.open_table(LOG_TOTAL)?)).await?;
        Ok(TotalUsage { bytes, limit_bytes })
    }
}

/// Bytes on disk of all batches and first answers.
fn total(table: &impl redb::ReadableTable<(), u64>) -> Result<u64, Fault> {
    Ok(table.get(())?.map_or(0, |row| row.value()))
}
