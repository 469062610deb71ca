//! Gives every destination its turns: one task keeps the table and one wheel of due times; a turn is a task of its
//! own, so that one destination's trouble delays no other. A destination without work costs an entry in the table.

mod ending;
mod handle;
mod table;
mod wheel;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use self::handle::{Activity, Exporters};
use self::table::{Missed, Table};
use crate::destinations::{Change, Destinations, StorageError};
use crate::exporter::deliver::Ports;

/// How often the log is trimmed where something was delivered, and missed declarations are made up for.
const TICK: Duration = Duration::from_secs(2);

/// Retention is looked after at least this often, also where nothing is streaming.
const RETENTION_LOOK_MAX: Duration = Duration::from_hours(1);

/// Runs all exporters until `shutdown`, then lets PUTs under way end, for a while.
///
/// # Errors
/// When the destinations cannot be read at the start.
pub async fn run(
    exporters: Exporters,
    ports: Arc<Ports>,
    destinations: Arc<dyn Destinations>,
    shutdown: CancellationToken,
) -> Result<(), StorageError> {
    let mut log_changes = ports.log.changes();
    let mut declarations = destinations.changes();
    let mut table = Table::new(exporters, ports, destinations);
    table.look_at_all().await?;
    table.note_all_for_trimming().await;
    let mut tick = tokio::time::interval(TICK);
    loop {
        let due = table.wheel.next().unwrap_or_else(|| Instant::now() + RETENTION_LOOK_MAX);
        let exporters = table.exporters.clone();
        tokio::select! {
            () = shutdown.cancelled() => break,
            change = declarations.recv() => match change {
                Ok(Change::Declared(destination)) => table.declared(*destination).await,
                Ok(Change::Removed(uid)) => table.removed(&uid),
                Err(RecvError::Lagged(_)) => table.missed = Missed::Declarations,
                Err(RecvError::Closed) => break,
            },
            grown = log_changes.recv() => match grown {
                Ok(organization) => table.grown(&organization),
                Err(RecvError::Lagged(_)) => table.grown_somewhere(),
                Err(RecvError::Closed) => break,
            },
            Some(ended) = table.turns.join_next_with_id() => table.ended(ended),
            () = exporters.woken() => table.woken(),
            _ = tick.tick() => table.tick().await,
            () = tokio::time::sleep_until(due) => table.start_due(),
        }
    }
    table.stop().await;
    Ok(())
}
