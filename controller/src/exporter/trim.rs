//! Frees the events that nobody needs any more. It reads delivery records themselves, never a cache of them.

use barndoor_crds::name::OrganizationUid;

use crate::destinations::StorageError;
use crate::event_log::{EventLog, LogError};
use crate::exporter::record::DeliveryRecords;

/// Why nothing was freed; it is tried again later.
#[derive(Debug, thiserror::Error)]
pub enum TrimError {
    /// The records could not be read.
    #[error(transparent)]
    Records(#[from] StorageError),
    /// The log could not be trimmed.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Trims the organization's log up to what every destination has resolved, keeping each one's anchor.
pub async fn trim(
    log: &dyn EventLog,
    records: &dyn DeliveryRecords,
    organization: &OrganizationUid,
) -> Result<(), TrimError> {
    // The head first: a destination that gets its place meanwhile gets it at or after this one.
    let Some(head) = log.head(organization).await? else {
        return Ok(());
    };
    let needed = records
        .of_organization(organization)
        .await?
        .into_iter()
        .map(|(_, record)| record.next.saturating_sub(1))
        .min()
        .unwrap_or(head.next);
    if needed > head.first {
        log.trim(organization, needed).await?;
    }
    Ok(())
}
