//! What an exporter reads before it cuts: its record, the anchor, what waits and since when.

use std::sync::PoisonError;

use jiff::Timestamp;

use super::{Exporter, Flow, TurnError};
use crate::event_log::{LogHead, Sequence, event_crc};
use crate::exporter::cut::Pending;
use crate::exporter::decide::{AnchorFinding, Observation, Passed, Step};
use crate::exporter::record::DeliveryRecord;
use crate::exporter::retention::{Dropping, expiry};

/// Decoded bytes read from the log at once.
pub(super) const READ_BYTES: usize = 4 * 1024 * 1024;

/// What the log says of the first unresolved event; remembered, because it cannot change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Oldest {
    pub(super) sequence: Sequence,
    pub(super) accepted_at: Timestamp,
    pub(super) bytes_before: u64,
}

impl Exporter {
    /// Takes the record over, before anything else; whether there is one.
    pub(super) async fn open(&mut self) -> Result<bool, TurnError> {
        let ports = self.ports.clone();
        let Some(record) = ports.records.load(&self.organization, &self.uid).await? else {
            return Ok(false);
        };
        let log = match ports.log.head(&self.organization).await? {
            Some(log) => log,
            None => ports.log.renew_epoch(&self.organization).await?,
        };
        let anchor = self.find_anchor(&record, &log).await?;
        self.record = Some(record);
        let opened = self.act(Observation::Opened { log: &log, anchor, now: self.now() }).await;
        let step = match opened {
            Ok(step) => step,
            Err(error) => {
                self.forget();
                return Err(error);
            }
        };
        if step == Step::RenewLog {
            tracing::error!(
                organization = %self.organization, destination = %self.uid,
                "the event log is not the one this destination's place is in; all it holds is sent"
            );
            let log = ports.log.renew_epoch(&self.organization).await?;
            self.act(Observation::LogRenewed { log: &log, now: self.now() }).await?;
        }
        Ok(true)
    }

    pub(super) async fn find_anchor(
        &self,
        record: &DeliveryRecord,
        log: &LogHead,
    ) -> Result<AnchorFinding, TurnError> {
        let Some(anchor) = record.anchor else {
            return Ok(AnchorFinding::Matches);
        };
        if anchor.sequence < log.first {
            return Ok(AnchorFinding::Matches);
        }
        if anchor.sequence >= log.next {
            return Ok(AnchorFinding::Differs);
        }
        let batches = self.ports.log.read(&self.organization, anchor.sequence, 1).await?;
        let same = batches.first().is_some_and(|batch| {
            let index = usize::try_from(anchor.sequence - batch.first).unwrap_or(usize::MAX);
            index < batch.ends.len() && event_crc(anchor.sequence, batch.event(index)) == anchor.crc
        });
        Ok(if same { AnchorFinding::Matches } else { AnchorFinding::Differs })
    }

    /// Whether the oldest event that waits is older than the retention, and may be dropped.
    pub(super) fn is_outlived(&self, oldest: Option<Oldest>) -> bool {
        let now = self.now();
        let steady = self.ports.clock.steady();
        let dropping = self.ports.jumps.lock().unwrap_or_else(PoisonError::into_inner).look(now, steady);
        dropping == Dropping::Allowed
            && oldest.is_some_and(|oldest| oldest.accepted_at < expiry(now, self.ports.retention))
    }

    /// Drops a run of events that are older than the retention.
    pub(super) async fn expire(&mut self) -> Result<Flow, TurnError> {
        let before = expiry(self.now(), self.ports.retention);
        let next = self.record().next;
        let passed = {
            let batches = self.ports.log.read(&self.organization, next, READ_BYTES).await?;
            batches.iter().take_while(|batch| batch.accepted_at < before).last().map(|batch| Passed {
                last: batch.last(),
                last_crc: event_crc(batch.last(), batch.event(batch.ends.len() - 1)),
            })
        };
        let Some(passed) = passed else { return Ok(Flow::Again) };
        self.act(Observation::Expired(passed)).await?;
        self.ports.meter.dropped(passed.last + 1 - next);
        tracing::warn!(
            organization = %self.organization, destination = %self.uid, events = passed.last + 1 - next,
            "events older than the retention were dropped"
        );
        Ok(Flow::Again)
    }

    pub(super) async fn oldest(&mut self) -> Result<Option<Oldest>, TurnError> {
        let next = self.record().next;
        if let Some(oldest) = self.oldest.filter(|oldest| oldest.sequence == next) {
            return Ok(Some(oldest));
        }
        self.oldest = self.look_at(next).await?;
        Ok(self.oldest)
    }

    pub(super) async fn look_at(&self, sequence: Sequence) -> Result<Option<Oldest>, TurnError> {
        let batches = self.ports.log.read(&self.organization, sequence, 1).await?;
        Ok(batches.first().map(|batch| Oldest {
            sequence,
            accepted_at: batch.accepted_at,
            bytes_before: batch.bytes_before,
        }))
    }

    pub(super) async fn pending(&self, oldest: Oldest) -> Result<Option<Pending>, TurnError> {
        let head = self.ports.log.head(&self.organization).await?;
        Ok(head.map(|head| Pending {
            events: head.next.saturating_sub(oldest.sequence),
            bytes: head.appended_bytes.saturating_sub(oldest.bytes_before),
            oldest_accepted_at: oldest.accepted_at,
        }))
    }
}
