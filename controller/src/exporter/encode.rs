//! Makes one object of a range of events: filter, format, SHA-256 of the uncompressed bytes, one gzip member.
//!
//! The same range, recipe and version give the same bytes, so that a repeated PUT can only repeat itself.

use std::io::Write;

use aws_lc_rs::digest;
use barndoor_crds::event_type::EventTypeSet;
use barndoor_crds::name::OrganizationName;
use barndoor_crds::settings::Format;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;

use crate::event_log::{LogError, RecordBatch, Sequence, event_crc};
use crate::exporter::format::datadog_line;
use crate::exporter::object_key::{hexadecimal, hour_of};

/// The encoder that new plans are made with. Change the bytes it makes and you must add a version, and keep this one
/// for the plans that are open during the upgrade.
pub const ENCODER_VERSION: u32 = 1;

/// Uncompressed bytes handed to the compressor at once. Fixed, because the compressed bytes may depend on it.
const BLOCK_BYTES: usize = 64 * 1024;

/// Most events that one range may resolve, wanted or not, so that a long run of unwanted ones moves on in batches.
pub const RANGE_EVENTS_MAX: u64 = 1 << 20;

/// Level 2 of zlib-rs: ratio 4.62 at 197 MB/s on 1.1 kB audit events; level 1 is 3.29 at 330, level 6 5.26 at 107.
pub const COMPRESSION_LEVEL: u32 = 2;

/// What makes the bytes of an object, beside its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// The wanted types.
    pub event_types: EventTypeSet,
    /// How one event becomes one line.
    pub format: Format,
    /// Named in formats that carry it.
    pub organization: OrganizationName,
}

/// Where an object ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// At this event exactly: a plan made before is encoded again.
    Sequence(Sequence),
    /// When one of these is reached, or the hour changes, or the log ends.
    Full {
        /// Events in the object.
        events: u64,
        /// Compressed bytes; reached or exceeded by at most one block and one event.
        bytes: usize,
    },
}

/// Whether more events fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// They do.
    Open,
    /// They do not.
    Full,
}

/// A range that was read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The first event read.
    pub from: Sequence,
    /// The last event read.
    pub last: Sequence,
    /// Its fingerprint.
    pub last_crc: u32,
    /// Events in the object.
    pub count: u64,
    /// Events left out by the filter.
    pub filtered: u64,
    /// The hour they were accepted in.
    pub hour: Timestamp,
    /// SHA-256 of the uncompressed bytes, in hexadecimal.
    pub uncompressed_sha256: String,
    /// One gzip member.
    pub body: Bytes,
}

/// Encodes one range.
#[derive(Debug)]
pub struct Encoder {
    recipe: Recipe,
    until: Until,
    from: Sequence,
    next: Sequence,
    last_crc: u32,
    count: u64,
    hour: Option<Timestamp>,
    block: Vec<u8>,
    sha256: DigestContext,
    gzip: GzEncoder<Vec<u8>>,
}

struct DigestContext(digest::Context);

impl std::fmt::Debug for DigestContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DigestContext(..)")
    }
}

impl Encoder {
    /// Begins with event `from`.
    pub fn new(recipe: Recipe, from: Sequence, until: Until) -> Self {
        Self {
            recipe,
            until,
            from,
            next: from,
            last_crc: 0,
            count: 0,
            hour: None,
            block: Vec::with_capacity(BLOCK_BYTES),
            sha256: DigestContext(digest::Context::new(&digest::SHA256)),
            gzip: GzEncoder::new(Vec::new(), Compression::new(COMPRESSION_LEVEL)),
        }
    }

    /// The event it takes next.
    pub const fn next(&self) -> Sequence {
        self.next
    }

    /// Takes as many of the batch's events as fit, beginning with the next one.
    ///
    /// # Errors
    /// When the next event is not in the batch: the log's numbers are not dense.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<Fill, LogError> {
        if batch.first > self.next || batch.last() < self.next {
            return Err(LogError::Damaged {
                at: self.next,
                what: format!("events {} to {} came where it was due", batch.first, batch.last()),
            });
        }
        let hour = hour_of(batch.accepted_at);
        if *self.hour.get_or_insert(hour) != hour && matches!(self.until, Until::Full { .. }) {
            return Ok(Fill::Full);
        }
        let mut index = usize::try_from(self.next - batch.first).expect("an index into a batch in memory");
        while index < batch.ends.len() {
            if self.is_full() {
                return Ok(Fill::Full);
            }
            index = self.take_run(batch, index);
            self.next = batch.first + index as u64;
            self.last_crc = event_crc(self.next - 1, batch.event(index - 1));
        }
        Ok(if self.is_full() { Fill::Full } else { Fill::Open })
    }

    fn is_full(&self) -> bool {
        match self.until {
            Until::Sequence(last) => self.next > last,
            Until::Full { events, bytes } => {
                self.count >= events
                    || self.gzip.get_ref().len() >= bytes
                    || self.next - self.from >= RANGE_EVENTS_MAX
            }
        }
    }

    /// Takes a run of wanted or of unwanted events, at least one; returns the index after it.
    fn take_run(&mut self, batch: &RecordBatch, start: usize) -> usize {
        let wanted = self.recipe.event_types.contains(batch.types[start]);
        let most = match self.until {
            Until::Sequence(last) => last + 1 - self.next,
            Until::Full { events, .. } => {
                let range_left = RANGE_EVENTS_MAX - (self.next - self.from);
                if wanted { range_left.min(events - self.count) } else { range_left }
            }
        };
        let most = start.saturating_add(usize::try_from(most).unwrap_or(usize::MAX)).min(batch.ends.len());
        let first_byte = if start == 0 { 0 } else { batch.ends[start - 1] };
        let end = (start + 1..most)
            .find(|&index| {
                // A block at a time, so that the compressed size is looked at as often.
                self.recipe.event_types.contains(batch.types[index]) != wanted
                    || (batch.ends[index - 1] - first_byte) as usize >= BLOCK_BYTES
            })
            .unwrap_or(most);
        if wanted {
            match self.recipe.format {
                Format::Json => self.write(batch.lines(start..end)),
                Format::DatadogJson => {
                    for index in start..end {
                        let line =
                            datadog_line(&self.recipe.organization, batch.types[index], batch.event(index));
                        self.write(&line);
                    }
                }
            }
            self.count += (end - start) as u64;
        }
        end
    }

    fn write(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (head, tail) = bytes.split_at(bytes.len().min(BLOCK_BYTES - self.block.len()));
            self.block.extend_from_slice(head);
            bytes = tail;
            if self.block.len() == BLOCK_BYTES {
                self.compress_block();
            }
        }
    }

    fn compress_block(&mut self) {
        self.sha256.0.update(&self.block);
        self.gzip.write_all(&self.block).expect("writing to memory cannot fail");
        self.block.clear();
    }

    /// Ends the object; `None` when no event was taken.
    pub fn finish(mut self) -> Option<Encoded> {
        let hour = self.hour.filter(|_| self.next > self.from)?;
        self.compress_block();
        let sha256 = self.sha256.0.finish();
        Some(Encoded {
            from: self.from,
            last: self.next - 1,
            last_crc: self.last_crc,
            count: self.count,
            filtered: self.next - self.from - self.count,
            hour,
            uncompressed_sha256: hexadecimal(sha256.as_ref()),
            body: self.gzip.finish().expect("writing to memory cannot fail").into(),
        })
    }
}

#[cfg(test)]
mod tests;
