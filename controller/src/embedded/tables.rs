//! The tables of the database file, and how their JSON values are read and written. Changing one that exists needs a
//! new [`FORMAT`].

use redb::{ReadTransaction, TableDefinition, WriteTransaction};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::database::Fault;

/// The version of everything below. A newer one is never opened.
pub(super) const FORMAT: u64 = 1;

/// Numbers about the file itself: [`META_FORMAT`].
pub(super) const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
/// The key of the format version in [`META`].
pub(super) const META_FORMAT: &str = "format";

/// (purpose, id) → sealed bytes: the key check, External ID root keys, the token-signing key.
pub(super) const KEYRING: TableDefinition<(&str, u32), &[u8]> = TableDefinition::new("keyring");

/// organization uid → epoch, first kept, next, bytes ever appended, bytes on disk (of [`LOG_BATCHES`] and [`IDEMPOTENCY`]).
pub(crate) const LOG_HEADS: TableDefinition<&str, (&str, u64, u64, u64, u64)> =
    TableDefinition::new("log_heads");
/// (organization uid, first sequence) → an encoded record batch.
pub(crate) const LOG_BATCHES: TableDefinition<(&str, u64), &[u8]> = TableDefinition::new("log_batches");
/// () → the same bytes on disk, of all organizations.
pub(crate) const LOG_TOTAL: TableDefinition<(), u64> = TableDefinition::new("log_total");
/// A row of [`IDEMPOTENCY`].
pub(crate) type Answer = (&'static [u8; 32], u8, u64, u64, &'static [u8]);
/// (organization uid, key) → body hash, fate's kind, its two numbers, note.
pub(crate) const IDEMPOTENCY: TableDefinition<(&str, &str), Answer> = TableDefinition::new("idempotency");
/// (milliseconds since 1970, organization uid, key) → nothing: the same rows, oldest first.
pub(crate) const IDEMPOTENCY_AGES: TableDefinition<(i64, &str, &str), ()> =
    TableDefinition::new("idempotency_ages");

/// (organization uid, destination uid) → delivery record, JSON.
pub(crate) const DELIVERY_RECORDS: TableDefinition<(&str, &str), &[u8]> =
    TableDefinition::new("delivery_records");

/// (organization uid, destination name) → destination, JSON.
pub(crate) const DESTINATIONS: TableDefinition<(&str, &str), &[u8]> = TableDefinition::new("destinations");
/// destination uid → health, JSON. Every destination has a row.
pub(crate) const HEALTH: TableDefinition<&str, &[u8]> = TableDefinition::new("health");
/// (destination uid, field) → sealed bytes.
pub(crate) const ACCESS_KEYS: TableDefinition<(&str, &str), &[u8]> = TableDefinition::new("access_keys");

/// client id → client with salt and hash of its secret, JSON.
pub(crate) const CLIENTS: TableDefinition<&str, &[u8]> = TableDefinition::new("clients");

/// Creates every table, so that no reader meets a missing one.
pub(super) fn create_all(transaction: &WriteTransaction) -> Result<(), redb::TableError> {
    transaction.open_table(META)?;
    transaction.open_table(KEYRING)?;
    transaction.open_table(LOG_HEADS)?;
    transaction.open_table(LOG_BATCHES)?;
    transaction.open_table(LOG_TOTAL)?;
    transaction.open_table(IDEMPOTENCY)?;
    transaction.open_table(IDEMPOTENCY_AGES)?;
    transaction.open_table(DELIVERY_RECORDS)?;
    transaction.open_table(DESTINATIONS)?;
    transaction.open_table(HEALTH)?;
    transaction.open_table(ACCESS_KEYS)?;
    transaction.open_table(CLIENTS)?;
    Ok(())
}

/// The format version of an opened file; `None` when the file is not one of ours.
pub(super) fn format_of(transaction: &ReadTransaction) -> Option<u64> {
    let table = transaction.open_table(META).ok()?;
    table.get(META_FORMAT).ok()?.map(|version| version.value())
}

/// Reads a JSON value.
pub(crate) fn decode<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(bytes).map_err(|error| Fault::Unreadable { what, why: error.to_string() })
}

/// Writes a JSON value.
pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain data with string keys always serialises")
}
