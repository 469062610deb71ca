//! Where each organization's log begins and ends, and what it takes on disk.

use std::sync::Arc;

use redb::{ReadableTable, Table};
use ulid::Ulid;

use crate::clock::Clock;
use crate::embedded::{Fault, random};
use crate::event_log::{LogEpoch, LogHead, Sequence};

/// A row of the heads' table: epoch, first kept, next, bytes ever appended, bytes on disk.
pub(super) type Row = (&'static str, u64, u64, u64, u64);

/// The first event's number.
const FIRST_SEQUENCE: Sequence = 1;

/// A head with what its log takes on disk.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    epoch: Ulid,
    /// The oldest sequence still kept.
    pub(crate) first: Sequence,
    /// The sequence of the next event.
    pub(crate) next: Sequence,
    /// Decoded bytes ever appended.
    pub(super) appended_bytes: u64,
    /// Bytes on disk of what is kept.
    pub(super) disk_bytes: u64,
}

impl Head {
    /// The log's identity.
    pub(crate) fn epoch(&self) -> LogEpoch {
        LogEpoch::new(self.epoch)
    }

    pub(super) fn public(&self) -> LogHead {
        LogHead {
            epoch: self.epoch(),
            first: self.first,
            next: self.next,
            appended_bytes: self.appended_bytes,
        }
    }

    /// The head of a log that has nothing yet.
    pub(super) fn new(clock: &Arc<dyn Clock>) -> Self {
        Self {
            epoch: epoch_after(None, clock),
            first: FIRST_SEQUENCE,
            next: FIRST_SEQUENCE,
            appended_bytes: 0,
            disk_bytes: 0,
        }
    }

    /// Gives the log a new identity.
    pub(super) fn renew(&mut self, clock: &Arc<dyn Clock>) {
        self.epoch = epoch_after(Some(self.epoch), clock);
    }

    /// Reads an organization's head.
    pub(crate) fn read(
        heads: &impl ReadableTable<&'static str, Row>,
        organization: &str,
    ) -> Result<Option<Self>, Fault> {
        let Some(row) = heads.get(organization)? else {
            return Ok(None);
        };
        let (epoch, first, next, appended_bytes, disk_bytes) = row.value();
        let epoch = Ulid::from_string(epoch)
            .map_err(|error| Fault::Unreadable { what: "log epoch", why: error.to_string() })?;
        Ok(Some(Self { epoch, first, next, appended_bytes, disk_bytes }))
    }

    /// Writes an organization's head.
    pub(super) fn write(
        &self,
        heads: &mut Table<'_, &'static str, Row>,
        organization: &str,
    ) -> Result<(), Fault> {
        let epoch = self.epoch();
        let row = (epoch.as_str(), self.first, self.next, self.appended_bytes, self.disk_bytes);
        heads.insert(organization, row)?;
        Ok(())
    }

    /// Reads an organization's head, making one if there is none.
    pub(crate) fn read_or_create(
        heads: &mut Table<'_, &'static str, Row>,
        organization: &str,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, Fault> {
        if let Some(head) = Self::read(heads, organization)? {
            return Ok(head);
        }
        let head = Self::new(clock);
        head.write(heads, organization)?;
        Ok(head)
    }
}

/// A new epoch that sorts after the old one, even when the clock was set back.
fn epoch_after(old: Option<Ulid>, clock: &Arc<dyn Clock>) -> Ulid {
    let now = u64::try_from(clock.now().as_millisecond()).unwrap_or(0);
    let earliest = old.map_or(0, |old| old.timestamp_ms() + 1);
    Ulid::from_parts(now.max(earliest), u128::from_be_bytes(random()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    struct At(i64);

    impl Clock for At {
        fn now(&self) -> Timestamp {
            Timestamp::from_second(self.0).expect("a time")
        }
    }

    #[test]
    fn a_renewed_epoch_sorts_later_even_when_the_clock_was_set_back() {
        let early: Arc<dyn Clock> = Arc::new(At(1_000));
        let late: Arc<dyn Clock> = Arc::new(At(2_000_000_000));
        let mut head = Head::new(&late);
        for clock in [&early, &late, &early] {
            let before = head.epoch();
            head.renew(clock);
            assert!(head.epoch() > before);
        }
        assert_eq!(Ulid::from_string(head.epoch().as_str()), Ok(head.epoch), "lower case is read too");
    }
}
