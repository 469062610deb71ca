//! Splits a decoded ingest body into lines as it arrives, and sorts them into events and rejected lines.
//!
//! It holds what is accepted and at most one unfinished line; it must not know HTTP or compression.

use std::collections::BTreeMap;
use std::io;

use aws_lc_rs::digest::{Context, SHA256};
use barndoor_crds::rest::{RejectedLine, RejectionReason};

use super::PIECE_BYTES;
use super::budget::{Busy, Reservation};
use super::event_line::{self, EVENT_MAX_BYTES, Rejection};
use crate::event_log::Events;

/// Most decoded bytes of one body: 32 MiB.
pub(super) const DECODED_MAX_BYTES: usize = 32 * 1024 * 1024;
/// Most rejected lines that an answer lists; the others are counted.
pub(super) const REJECTED_LISTED_MAX: usize = 1_000;

/// Why no more of a body is taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinesError {
    /// It is longer than [`DECODED_MAX_BYTES`].
    #[error("the body is longer than {DECODED_MAX_BYTES} bytes when decoded")]
    TooManyBytes,
    /// There is no memory for it now.
    #[error(transparent)]
    Busy(#[from] Busy),
}

/// Whether the body's SHA-256 is wanted: only an idempotency key needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fingerprint {
    /// It is.
    Sha256,
    /// It is not, and costs nothing.
    None,
}

/// Lines that are not events: the first ones in full, all of them counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rejected {
    /// At most [`REJECTED_LISTED_MAX`], in line order.
    pub(super) listed: Vec<RejectedLine>,
    /// How many for each reason.
    pub(super) by_reason: BTreeMap<RejectionReason, u64>,
}

impl Rejected {
    /// How many lines.
    pub(super) fn count(&self) -> u64 {
        self.by_reason.values().sum()
    }

    fn add(&mut self, line: u64, rejection: &Rejection) {
        let reason = rejection.reason();
        *self.by_reason.entry(reason).or_default() += 1;
        if self.listed.len() < REJECTED_LISTED_MAX {
            self.listed.push(RejectedLine { line, reason, message: rejection.to_string() });
        }
    }
}

/// A whole body, sorted.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    /// The events, in order.
    pub(super) events: Events,
    /// The others.
    pub(super) rejected: Rejected,
    /// SHA-256 of the decoded body, when it was wanted.
    pub(super) sha256: Option<[u8; 32]>,
}

/// A body on its way in.
pub(super) struct Lines {
    sorted: Sorted,
    line_number: u64,
    unfinished: Unfinished,
    decoded_bytes: usize,
    digest: Option<Context>,
    reservation: Reservation,
}

/// The beginning of a line whose end has not arrived.
enum Unfinished {
    Kept(Vec<u8>),
    /// Already too long to be an event: only counted.
    TooLong {
        bytes: usize,
    },
}

impl Lines {
    /// An empty body, and the memory that grows with it.
    pub(super) fn new(fingerprint: Fingerprint, reservation: Reservation) -> Self {
        Self {
            sorted: Sorted::default(),
            line_number: 0,
            unfinished: Unfinished::Kept(Vec::new()),
            decoded_bytes: 0,
            digest: match fingerprint {
                Fingerprint::Sha256 => Some(Context::new(&SHA256)),
                Fingerprint::None => None,
            },
            reservation,
        }
    }

    /// Takes the next decoded bytes.
    ///
    /// # Errors
    /// The body is too long, or there is no memory for it.
    pub(super) fn push(&mut self, mut chunk: &[u8]) -> Result<(), LinesError> {
        self.decoded_bytes += chunk.len();
        if self.decoded_bytes > DECODED_MAX_BYTES {
            return Err(LinesError::TooManyBytes);
        }
        self.reservation.cover(PIECE_BYTES + self.held_bytes() + chunk.len())?;
        if let Some(digest) = &mut self.digest {
            digest.update(chunk);
        }
        while let Some((line, rest)) = split_line(chunk) {
            self.end_line(line);
            chunk = rest;
        }
        self.keep(chunk);
        Ok(())
    }

    /// The body is complete; its last line needs no line feed.
    pub(super) fn finish(mut self) -> (Sorted, Reservation) {
        self.end_line(b"");
        self.sorted.sha256 = self.digest.map(|digest| {
            let mut sha256 = [0; 32];
            sha256.copy_from_slice(digest.finish().as_ref());
            sha256
        });
        (self.sorted, self.reservation)
    }

    /// Bytes of memory that are held.
    fn held_bytes(&self) -> usize {
        let unfinished = match &self.unfinished {
            Unfinished::Kept(start) => start.len(),
            Unfinished::TooLong { .. } => 0,
        };
        self.sorted.events.bytes.len() + unfinished
    }

    fn keep(&mut self, part: &[u8]) {
        match &mut self.unfinished {
            // One byte more than an event may have, for the carriage return.
            Unfinished::Kept(start) if start.len() + part.len() <= EVENT_MAX_BYTES + 1 => {
                start.extend_from_slice(part);
            }
            Unfinished::Kept(start) => {
                self.unfinished = Unfinished::TooLong { bytes: start.len() + part.len() };
            }
            Unfinished::TooLong { bytes } => *bytes += part.len(),
        }
    }

    fn end_line(&mut self, end: &[u8]) {
        self.line_number += 1;
        match &mut self.unfinished {
            Unfinished::Kept(start) if start.is_empty() => self.sorted.take(self.line_number, end),
            Unfinished::Kept(_) => {
                self.keep(end);
                match std::mem::replace(&mut self.unfinished, Unfinished::Kept(Vec::new())) {
                    Unfinished::Kept(line) => self.sorted.take(self.line_number, &line),
                    Unfinished::TooLong { bytes } => self.sorted.reject_too_long(self.line_number, bytes),
                }
            }
            Unfinished::TooLong { bytes } => {
                let bytes = *bytes + end.len();
                self.unfinished = Unfinished::Kept(Vec::new());
                self.sorted.reject_too_long(self.line_number, bytes);
            }
        }
    }
}

impl Sorted {
    fn take(&mut self, line_number: u64, line: &[u8]) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        match event_line::parse(line) {
            Ok(event_type) => self.events.push(event_type, line),
            Err(rejection) => self.rejected.add(line_number, &rejection),
        }
    }

    fn reject_too_long(&mut self, line_number: u64, bytes: usize) {
        self.rejected.add(line_number, &Rejection::TooLarge { bytes });
    }
}

/// The bytes before the first line feed and those after it.
fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = bytes;
    // Searches with memchr; reading from memory cannot fail.
    let consumed = io::BufRead::skip_until(&mut rest, b'\n').ok()?;
    Some((bytes[..consumed].strip_suffix(b"\n")?, rest))
}

/// For decoders that write what they decoded.
impl io::Write for Lines {
    fn write(&mut self, decoded: &[u8]) -> io::Result<usize> {
        self.push(decoded).map_err(io::Error::other)?;
        Ok(decoded.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest::digest;
    use proptest::prelude::*;

    use super::super::budget::tests::reservation;
    use super::*;

    fn event(id: &str) -> String {
        format!(r#"{{"id":"{id}","type":"AUDIT","timestamp":"2026-01-31T12:00:00Z"}}"#)
    }

    fn sorted(chunks: &[&[u8]]) -> Sorted {
        let mut lines = Lines::new(Fingerprint::Sha256, reservation());
        for chunk in chunks {
            lines.push(chunk).expect("within the limit");
        }
        lines.finish().0
    }

    fn text(sorted: &Sorted) -> String {
        String::from_utf8(sorted.events.bytes.clone()).expect("UTF-8")
    }

    #[test]
    fn lines_are_taken_unchanged_without_their_ends_and_empty_ones_are_skipped() {
        let body = format!("{}\r\n\n  \t\r\n {} \n{}", event("1"), event("2"), event("3"));
        let sorted = sorted(&[body.as_bytes()]);
        assert_eq!(text(&sorted), format!("{}\n {} \n{}\n", event("1"), event("2"), event("3")));
        assert_eq!((sorted.events.len(), sorted.rejected.count()), (3, 0));
    }

    #[test]
    fn rejected_lines_are_numbered_from_one_and_the_others_are_taken_all_the_same() {
        let body = format!("{}\n\nnonsense\n{}\n[]\n", event("1"), event("2"));
        let sorted = sorted(&[body.as_bytes()]);
        let lines: Vec<_> = sorted.rejected.listed.iter().map(|r| (r.line, r.reason)).collect();
        assert_eq!(lines, [(3, RejectionReason::InvalidJson), (5, RejectionReason::NotAnObject)]);
        assert_eq!(sorted.events.len(), 2);
    }

    #[test]
    fn a_line_too_long_to_be_an_event_is_not_held_in_memory() {
        let mut lines = Lines::new(Fingerprint::None, reservation());
        for _ in 0..64 {
            lines.push(&vec![b'x'; 16 * 1024]).expect("within the limit");
            assert!(lines.held_bytes() <= EVENT_MAX_BYTES + 1);
        }
        lines.push(format!("\n{}\n", event("1")).as_bytes()).expect("within the limit");
        let (sorted, _) = lines.finish();
        assert_eq!(sorted.rejected.listed[0].message, "the event is 1048576 bytes long; the most is 262144");
        assert_eq!((sorted.events.len(), sorted.rejected.count()), (1, 1));
    }

    #[test]
    fn a_long_list_of_rejected_lines_is_cut_and_counted() {
        let sorted = sorted(&["x\n".repeat(REJECTED_LISTED_MAX + 5).as_bytes()]);
        assert_eq!(sorted.rejected.listed.len(), REJECTED_LISTED_MAX);
        assert_eq!(sorted.rejected.count(), REJECTED_LISTED_MAX as u64 + 5);
    }

    #[test]
    fn a_body_over_the_decoded_limit_is_refused() {
        let mut lines = Lines::new(Fingerprint::None, reservation());
        assert!(lines.push(&vec![b'\n'; DECODED_MAX_BYTES]).is_ok());
        assert!(matches!(lines.push(b"\n"), Err(LinesError::TooManyBytes)));
    }

    proptest! {
        #[test]
        fn where_the_body_is_cut_into_chunks_makes_no_difference(cuts in proptest::collection::vec(0_usize..300, 0..6)) {
            let body = format!("{}\r\nx\n\n{}\r\n{}", event("1"), event("2"), event("3"));
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(body.len())).collect();
            cuts.extend([0, body.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &body.as_bytes()[pair[0]..pair[1]]).collect();
            let (whole, cut) = (sorted(&[body.as_bytes()]), sorted(&chunks));
            prop_assert_eq!(&whole.events, &cut.events);
            prop_assert_eq!(&whole.rejected, &cut.rejected);
            let expected = digest(&SHA256, body.as_bytes());
            prop_assert_eq!(cut.sha256.as_ref().map(<[u8; 32]>::as_slice), Some(expected.as_ref()));
        }
    }
}
