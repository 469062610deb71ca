//! The destinations' rows, and the first place in the log.

use std::sync::Arc;

use barndoor_crds::name::{DestinationName, OrganizationName};
use redb::{ReadableTable, Table};

use crate::clock::Clock;
use crate::destinations::Destination;
use crate::embedded::tables::{DELIVERY_RECORDS, LOG_BATCHES, LOG_HEADS, decode, encode};
use crate::embedded::{Fault, Writing};
use crate::event_log::LogError;
use crate::event_log::embedded::{Head, anchor_before};
use crate::exporter::record::{DeliveryRecord, Start};

/// What a row holds, for errors.
pub(super) const WHAT: &str = "destination";

type Key = (&'static str, &'static str);
type Value = &'static [u8];

pub(super) fn find(
    table: &impl ReadableTable<Key, Value>,
    organization: &OrganizationName,
    name: &DestinationName,
) -> Result<Option<Destination>, Fault> {
    let row = table.get((organization.as_str(), name.as_str()))?;
    row.map(|row| decode(WHAT, row.value())).transpose()
}

pub(super) fn list(
    table: &impl ReadableTable<Key, Value>,
    organization: &OrganizationName,
    after: Option<&DestinationName>,
    limit: usize,
) -> Result<Vec<Destination>, Fault> {
    let after = after.map_or("", DestinationName::as_str);
    let mut found = Vec::new();
    for row in table.range((organization.as_str(), after)..)? {
        let (key, value) = row?;
        let (of, name) = key.value();
        if found.len() == limit || of != organization.as_str() {
            break;
        }
        if name != after {
            found.push(decode(WHAT, value.value())?);
        }
    }
    Ok(found)
}

/// How many destinations the organization has.
pub(super) fn count(
    table: &impl ReadableTable<Key, Value>,
    organization: &OrganizationName,
) -> Result<usize, Fault> {
    let mut count = 0;
    for row in table.range((organization.as_str(), "")..)? {
        if row?.0.value().0 != organization.as_str() {
            break;
        }
        count += 1;
    }
    Ok(count)
}

pub(super) fn write(table: &mut Table<'_, Key, Value>, destination: &Destination) -> Result<(), Fault> {
    let key = (destination.organization_uid.as_str(), destination.name.as_str());
    table.insert(key, encode(destination).as_slice())?;
    Ok(())
}

/// Whether a destination's place in the log is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// It had one, or needs none.
    Before,
    /// It was just made.
    Now,
}

/// Gives the destination a place at the log's end unless it has one.
pub(super) fn place_at_end(
    writing: &Writing<'_>,
    destination: &Destination,
    clock: &Arc<dyn Clock>,
) -> Result<Result<Placed, LogError>, Fault> {
    let mut records = writing.table(DELIVERY_RECORDS)?;
    let organization = destination.organization_uid.as_str();
    let key = (organization, destination.uid.as_str());
    if records.get(key)?.is_some() {
        return Ok(Ok(Placed::Before));
    }
    let known = Head::read(&writing.table(LOG_HEADS)?, organization)?;
    let anchor = match known {
        Some(head) => match anchor_before(&writing.table(LOG_BATCHES)?, organization, &head)? {
            Ok(anchor) => anchor,
            Err(damaged) => return Ok(Err(damaged)),
        },
        None => None,
    };
    let head = Head::read_or_create(&mut writing.table(LOG_HEADS)?, organization, clock)?;
    let start = Start { log_epoch: head.epoch(), sequence: head.next, at: clock.now() };
    let record = DeliveryRecord::begin(start, anchor);
    records.insert(key, encode(&record).as_slice())?;
    Ok(Ok(Placed::Now))
}
