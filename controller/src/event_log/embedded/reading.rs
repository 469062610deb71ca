//! Reading the log: whole batches, every number checked to be there.

use redb::{ReadTransaction, ReadableTable};

use super::{Head, batch};
use crate::embedded::Fault;
use crate::embedded::tables::{LOG_BATCHES, LOG_HEADS};
use crate::event_log::{LogError, RecordBatch, Sequence, event_crc};
use crate::exporter::record::Anchor;

pub(super) fn read(
    transaction: &ReadTransaction,
    organization: &str,
    from: Sequence,
    limit_bytes: usize,
) -> Result<Result<Vec<RecordBatch>, LogError>, Fault> {
    let Some(head) = Head::read(&transaction.open_table(LOG_HEADS)?, organization)? else {
        return Ok(Ok(Vec::new()));
    };
    if from >= head.next {
        return Ok(Ok(Vec::new()));
    }
    if from < head.first {
        return Ok(Err(damaged(from, &format!("trimmed: the log begins at {}", head.first))));
    }
    let table = transaction.open_table(LOG_BATCHES)?;
    let Some(start) = start_of_batch(&table, organization, from)? else {
        return Ok(Err(damaged(from, "the record batch is missing")));
    };
    let mut read: Vec<RecordBatch> = Vec::new();
    let mut bytes = 0;
    let mut expected = start;
    for row in table.range((organization, start)..(organization, head.next))? {
        let (key, value) = row?;
        let (_, first) = key.value();
        if first != expected {
            return Ok(Err(damaged(expected, "the record batch is missing")));
        }
        let batch = match batch::unpack(organization, first, value.value()) {
            Ok(batch) => batch,
            Err(what) => return Ok(Err(damaged(first, what))),
        };
        expected = batch.last() + 1;
        if expected <= from {
            return Ok(Err(damaged(from, "the record batch is missing")));
        }
        bytes += batch.bytes.len();
        read.push(batch);
        if bytes >= limit_bytes {
            return Ok(Ok(read));
        }
    }
    if expected == head.next {
        Ok(Ok(read))
    } else {
        Ok(Err(damaged(expected, "the record batch is missing")))
    }
}

/// The fingerprint of the last event before the log's end, when it is still there.
pub(crate) fn anchor_before(
    batches: &impl ReadableTable<(&'static str, u64), &'static [u8]>,
    organization: &str,
    head: &Head,
) -> Result<Result<Option<Anchor>, LogError>, Fault> {
    if head.next == head.first {
        return Ok(Ok(None));
    }
    let sequence = head.next - 1;
    let Some(first) = start_of_batch(batches, organization, sequence)? else {
        return Ok(Err(damaged(sequence, "the record batch is missing")));
    };
    let Some(value) = batches.get((organization, first))? else {
        return Ok(Err(damaged(sequence, "the record batch is missing")));
    };
    match batch::unpack(organization, first, value.value()) {
        Ok(batch) if batch.last() == sequence => {
            let crc = event_crc(sequence, batch.event(batch.ends.len() - 1));
            Ok(Ok(Some(Anchor { sequence, crc })))
        }
        Ok(_) => Ok(Err(damaged(sequence, "the record batch is missing"))),
        Err(what) => Ok(Err(damaged(sequence, what))),
    }
}

/// The first sequence of the batch that must hold `sequence`.
fn start_of_batch(
    batches: &impl ReadableTable<(&'static str, u64), &'static [u8]>,
    organization: &str,
    sequence: Sequence,
) -> Result<Option<Sequence>, Fault> {
    match batches.range((organization, 0)..=(organization, sequence))?.next_back() {
        Some(row) => Ok(Some(row?.0.value().1)),
        None => Ok(None),
    }
}

fn damaged(at: Sequence, what: &str) -> LogError {
    LogError::Damaged { at, what: what.to_owned() }
}
