//! One append, inside the writer's transaction: every check first, every write after.

use std::path::PathBuf;
use std::sync::Arc;

use barndoor_crds::name::OrganizationUid;

use super::batch::{Packed, Place};
use super::idempotency::{self, Seen};
use super::{Appended, disk_bytes, total};
use crate::clock::Clock;
use crate::embedded::tables::{DELIVERY_RECORDS, LOG_BATCHES, LOG_HEADS, LOG_TOTAL};
use crate::embedded::{EventLogLimits, Fault, Room, Writing, any_delivery_record};
use crate::event_log::embedded::Head;
use crate::event_log::{AppendError, Fate, FullScope, Idempotency};

/// All that an append needs.
pub(super) struct Request {
    pub(super) organization: OrganizationUid,
    pub(super) packed: Vec<Packed>,
    pub(super) idempotency: Option<Idempotency>,
    pub(super) limits: EventLogLimits,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) database_file: PathBuf,
}

impl Request {
    /// About how much it writes.
    pub(super) fn bytes(&self) -> usize {
        let note = self.idempotency.as_ref().map_or(0, |asked| asked.note.len());
        note + self.packed.iter().map(Packed::len).sum::<usize>()
    }
}

pub(super) fn append(
    writing: &Writing<'_>,
    request: Request,
) -> Result<Result<Appended, AppendError>, Fault> {
    let Request { organization, packed, idempotency, limits, clock, database_file } = request;
    let organization = organization.as_str();

    if let Some(asked) = &idempotency {
        match idempotency::look(writing, organization, asked)? {
            Seen::No => {}
            Seen::Before(answer) => {
                writing.wrote_nothing();
                return Ok(Ok(answer));
            }
            Seen::OtherBody => {
                writing.wrote_nothing();
                return Ok(Err(AppendError::KeyReused));
            }
        }
    }
    let wanted = !packed.is_empty() && any_delivery_record(&writing.table(DELIVERY_RECORDS)?, organization)?;
    let not_kept = Fate::NotKept { count: packed.iter().map(|packed| u64::from(packed.count)).sum() };
    if !wanted && idempotency.is_none() {
        writing.wrote_nothing();
        return Ok(Ok(Appended { fate: not_kept, note: Vec::new() }));
    }
    let now = clock.now();
    // Before the limits are looked at: what has expired must not keep a full log full.
    let swept = idempotency::sweep(writing, now)?;
    let mut head = Head::read(&writing.table(LOG_HEADS)?, organization)?.unwrap_or_else(|| Head::new(&clock));
    let used = total(&writing.table(LOG_TOTAL)?)?;
    let batches: u64 = if wanted { packed.iter().map(|packed| disk_bytes(packed.len())).sum() } else { 0 };
    let more = batches + idempotency.as_ref().map_or(0, idempotency::answer_disk_bytes);
    let room = Room::look(&database_file).map_err(|error| Fault::from(redb::StorageError::Io(error)))?;
    if let Some(scope) = full(limits, room, head.disk_bytes, used, more) {
        if swept == idempotency::Swept::Nothing {
            writing.wrote_nothing();
        }
        return Ok(Err(AppendError::Full(scope)));
    }
    writing.table(LOG_TOTAL)?.insert((), used + more)?;
    head.disk_bytes += more;
    let fate = if wanted { store(writing, organization, &mut head, packed, now)? } else { not_kept };
    head.write(&mut writing.table(LOG_HEADS)?, organization)?;
    if let Some(asked) = &idempotency {
        idempotency::store(writing, organization, asked, &fate, now)?;
    }
    Ok(Ok(Appended { fate, note: idempotency.map_or_else(Vec::new, |asked| asked.note) }))
}

/// Which limit `more` bytes would pass.
fn full(limits: EventLogLimits, room: Room, organization: u64, total: u64, more: u64) -> Option<FullScope> {
    if total + more > limits.total_bytes {
        Some(FullScope::Log)
    } else if organization + more > limits.organization_bytes() {
        Some(FullScope::Organization)
    } else if !room.fits(more, total) {
        Some(FullScope::Disk)
    } else {
        None
    }
}

fn store(
    writing: &Writing<'_>,
    organization: &str,
    head: &mut Head,
    packed: Vec<Packed>,
    accepted_at: jiff::Timestamp,
) -> Result<Fate, Fault> {
    let mut batches = writing.table(LOG_BATCHES)?;
    let first = head.next;
    for packed in packed {
        let (count, event_bytes) = (u64::from(packed.count), packed.event_bytes);
        let place = Place { organization, first: head.next, accepted_at, bytes_before: head.appended_bytes };
        batches.insert((organization, head.next), packed.placed(place).as_slice())?;
        head.next += count;
        head.appended_bytes += event_bytes;
    }
    Ok(Fate::Kept { first, last: head.next - 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_that_is_reached_is_named() {
        let limits = EventLogLimits { total_bytes: 1_000, organization_share_percent: 50 };
        let room = Room { free: u64::MAX / 2, file: 0 };
        assert_eq!(full(limits, room, 0, 0, 500), None);
        assert_eq!(full(limits, room, 1, 1, 500), Some(FullScope::Organization));
        assert_eq!(full(limits, room, 0, 501, 500), Some(FullScope::Log));
        assert_eq!(full(limits, Room { free: 0, file: 0 }, 0, 0, 1), Some(FullScope::Disk));
    }
}
