//! First answers, kept under the producers' keys in the same transaction as the events they speak of.

use std::time::Duration;

use jiff::Timestamp;

use super::{Appended, Head, disk_bytes, total};
use crate::embedded::tables::{IDEMPOTENCY, IDEMPOTENCY_AGES, LOG_HEADS, LOG_TOTAL};
use crate::embedded::{Fault, Writing};
use crate::event_log::{Fate, Idempotency};

/// How long a key gets its first answer again.
const KEPT: Duration = Duration::from_hours(24);
/// Expired keys that one append removes; more than one, so that sweeping outruns adding.
const SWEPT_PER_APPEND: usize = 4;

/// What an answer holds beside its key and note: body hash, fate, two numbers, in bytes.
const ANSWER_BYTES: usize = 32 + 1 + 8 + 8;

const KEPT_FATE: u8 = 0;
const NOT_KEPT_FATE: u8 = 1;

/// What is known of a key.
pub(super) enum Seen {
    /// Nothing.
    No,
    /// The same body came before: its answer.
    Before(Appended),
    /// Another body came before.
    OtherBody,
}

/// Looks a key up.
pub(super) fn look(writing: &Writing<'_>, organization: &str, asked: &Idempotency) -> Result<Seen, Fault> {
    let table = writing.table(IDEMPOTENCY)?;
    let row = redb::ReadableTable::get(&table, (organization, asked.key.as_str()))?;
    let Some(row) = row else { return Ok(Seen::No) };
    let (body, kind, first, last, note) = row.value();
    if *body != asked.body_sha256 {
        return Ok(Seen::OtherBody);
    }
    let fate = match kind {
        KEPT_FATE => Fate::Kept { first, last },
        NOT_KEPT_FATE => Fate::NotKept { count: first },
        other => {
            return Err(Fault::Unreadable {
                what: "idempotency answer",
                why: format!("unknown kind {other}"),
            });
        }
    };
    Ok(Seen::Before(Appended { fate, note: note.to_vec() }))
}

/// About what an answer takes on disk: its row, and that of its age.
pub(super) fn answer_disk_bytes(asked: &Idempotency) -> u64 {
    rows_disk_bytes(asked.key.len(), asked.note.len())
}

fn rows_disk_bytes(key: usize, note: usize) -> u64 {
    disk_bytes(ANSWER_BYTES + key + note) + disk_bytes(key)
}

/// Stores an answer; its bytes on disk are the caller's to count.
pub(super) fn store(
    writing: &Writing<'_>,
    organization: &str,
    asked: &Idempotency,
    fate: &Fate,
    now: Timestamp,
) -> Result<(), Fault> {
    let mut answers = writing.table(IDEMPOTENCY)?;
    let mut ages = writing.table(IDEMPOTENCY_AGES)?;
    let (kind, first, last) = match fate {
        Fate::Kept { first, last } => (KEPT_FATE, *first, *last),
        Fate::NotKept { count } => (NOT_KEPT_FATE, *count, 0),
    };
    let key = asked.key.as_str();
    answers.insert((organization, key), (&asked.body_sha256, kind, first, last, asked.note.as_slice()))?;
    ages.insert((now.as_millisecond(), organization, key), ())?;
    Ok(())
}

/// Whether there was anything to remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Swept {
    /// Nothing was written.
    Nothing,
    /// Some rows are gone.
    Some,
}

/// Removes a few answers that have expired, and takes them off what is counted as used.
pub(super) fn sweep(writing: &Writing<'_>, now: Timestamp) -> Result<Swept, Fault> {
    let Ok(before) = now.checked_sub(KEPT) else { return Ok(Swept::Nothing) };
    let mut ages = writing.table(IDEMPOTENCY_AGES)?;
    let mut swept = Swept::Nothing;
    for _ in 0..SWEPT_PER_APPEND {
        let Some(oldest) = redb::ReadableTable::first(&ages)? else { break };
        let (at, organization, key) = oldest.0.value();
        if at >= before.as_millisecond() {
            break;
        }
        let (organization, key) = (organization.to_owned(), key.to_owned());
        drop(oldest);
        ages.remove((at, organization.as_str(), key.as_str()))?;
        remove(writing, &organization, &key)?;
        swept = Swept::Some;
    }
    Ok(swept)
}

fn remove(writing: &Writing<'_>, organization: &str, key: &str) -> Result<(), Fault> {
    let mut answers = writing.table(IDEMPOTENCY)?;
    let Some(note_bytes) = answers.remove((organization, key))?.map(|answer| answer.value().4.len()) else {
        return Ok(());
    };
    let freed_bytes = rows_disk_bytes(key.len(), note_bytes);
    let mut heads = writing.table(LOG_HEADS)?;
    if let Some(mut head) = Head::read(&heads, organization)? {
        head.disk_bytes = head.disk_bytes.saturating_sub(freed_bytes);
        head.write(&mut heads, organization)?;
    }
    let mut totals = writing.table(LOG_TOTAL)?;
    let left = total(&totals)?.saturating_sub(freed_bytes);
    totals.insert((), left)?;
    Ok(())
}
