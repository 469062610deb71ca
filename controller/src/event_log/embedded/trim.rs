//! Frees whole record batches, some at a time so that appends are not kept waiting.

use redb::ReadableTable;

use super::{Head, disk_bytes, total};
use crate::embedded::tables::{LOG_BATCHES, LOG_HEADS, LOG_TOTAL};
use crate::embedded::{Fault, Writing};
use crate::event_log::Sequence;

/// Batches freed in one transaction.
const TRIMMED_AT_ONCE: usize = 256;

/// How far a trim got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trimmed {
    /// There may be more to free.
    Some,
    /// Everything was freed.
    All,
}

pub(super) fn trim(writing: &Writing<'_>, organization: &str, before: Sequence) -> Result<Trimmed, Fault> {
    let mut heads = writing.table(LOG_HEADS)?;
    let Some(mut head) = Head::read(&heads, organization)? else {
        writing.wrote_nothing();
        return Ok(Trimmed::All);
    };
    let mut batches = writing.table(LOG_BATCHES)?;
    // One more than is freed: a batch ends where the next one begins.
    let mut starts = Vec::new();
    for row in batches.range((organization, head.first)..(organization, head.next))?.take(TRIMMED_AT_ONCE + 1)
    {
        let (key, value) = row?;
        starts.push((key.value().1, disk_bytes(value.value().len())));
    }
    let ended = ended_before(&starts, head.next, before);
    if ended == 0 {
        writing.wrote_nothing();
        return Ok(Trimmed::All);
    }
    let freed_bytes: u64 = starts[..ended].iter().map(|(_, bytes)| bytes).sum();
    for (first, _) in &starts[..ended] {
        batches.remove((organization, *first))?;
    }
    head.first = starts.get(ended).map_or(head.next, |(first, _)| *first);
    head.disk_bytes = head.disk_bytes.saturating_sub(freed_bytes);
    head.write(&mut heads, organization)?;
    let mut totals = writing.table(LOG_TOTAL)?;
    let left = total(&totals)?.saturating_sub(freed_bytes);
    totals.insert((), left)?;
    Ok(if ended == TRIMMED_AT_ONCE { Trimmed::Some } else { Trimmed::All })
}

/// How many of the batches, given by their first sequences and at most [`TRIMMED_AT_ONCE`], end before this sequence.
fn ended_before(starts: &[(Sequence, u64)], end: Sequence, before: Sequence) -> usize {
    let ends = starts.iter().skip(1).map(|(first, _)| *first).chain([end]);
    ends.take(TRIMMED_AT_ONCE).take_while(|&end| end <= before).count().min(starts.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_batches_before_the_sequence_are_freed() {
        let starts = [(1, 0), (11, 0), (21, 0)];
        for (before, freed) in [(0, 0), (10, 0), (11, 1), (20, 1), (21, 2), (30, 2), (31, 3), (99, 3)] {
            assert_eq!(ended_before(&starts, 31, before), freed, "before {before}");
        }
        assert_eq!(ended_before(&[], 1, 9), 0);
    }
}
