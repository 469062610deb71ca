//! First answers, kept under the producers' keys in the same transaction as the events they speak of.

use std::time::Duration;

use jiff::Timestamp;

use super::Appended;
use crate::embedded::tables::{Answer, IDEMPOTENCY, IDEMPOTENCY_AGES};
use crate::embedded::{Fault, Writing};
use crate::event_log::{Fate, Idempotency};

/// How long a key gets its first answer again.
const KEPT: Duration = Duration::from_hours(24);
/// Expired keys that one append removes; more than one, so that sweeping outruns adding.
const SWEPT_PER_APPEND: usize = 4;

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

/// Stores an answer and removes a few that have expired.
pub(super) fn store(
    writing: &Writing<'_>,
    organization: &str,
    asked: &Idempotency,
    fate: &Fate,
    now: Timestamp,
) -> Result<(), Fault> {
    let mut answers = writing.table(IDEMPOTENCY)?;
    let mut ages = writing.table(IDEMPOTENCY_AGES)?;
    sweep(&mut answers, &mut ages, now)?;
    let (kind, first, last) = match fate {
        Fate::Kept { first, last } => (KEPT_FATE, *first, *last),
        Fate::NotKept { count } => (NOT_KEPT_FATE, *count, 0),
    };
    let key = asked.key.as_str();
    answers.insert((organization, key), (&asked.body_sha256, kind, first, last, asked.note.as_slice()))?;
    ages.insert((now.as_millisecond(), organization, key), ())?;
    Ok(())
}

type Answers<'t> = redb::Table<'t, (&'static str, &'static str), Answer>;
type Ages<'t> = redb::Table<'t, (i64, &'static str, &'static str), ()>;

fn sweep(answers: &mut Answers<'_>, ages: &mut Ages<'_>, now: Timestamp) -> Result<(), Fault> {
    let Ok(before) = now.checked_sub(KEPT) else {
        return Ok(());
    };
    for _ in 0..SWEPT_PER_APPEND {
        let Some(oldest) = redb::ReadableTable::first(ages)? else {
            break;
        };
        let (at, organization, key) = oldest.0.value();
        if at >= before.as_millisecond() {
            break;
        }
        let (organization, key) = (organization.to_owned(), key.to_owned());
        drop(oldest);
        answers.remove((organization.as_str(), key.as_str()))?;
        ages.remove((at, organization.as_str(), key.as_str()))?;
    }
    Ok(())
}
