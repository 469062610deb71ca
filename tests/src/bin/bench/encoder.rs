//! From events in memory to the object that is put: filter, SHA-256, gzip. Beside it, gzip of the same bytes alone.

use std::io::Write;

use barndoor_controller::event_log::{Events, RecordBatch};
use barndoor_controller::exporter::encode::{COMPRESSION_LEVEL, Encoder, Recipe, Until};
use barndoor_crds::event_type::EventTypeSet;
use barndoor_crds::settings::Format;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::{BEGINNING, Batch, per_second, ratio, timed};

/// Bytes handed to the bare compressor at once, as the encoder does.
const BLOCK_BYTES: usize = 64 * 1024;

pub(super) fn measure(batches: &[Batch]) {
    let records = records(batches);
    let events: usize = batches.iter().map(Vec::len).sum();
    let plain: usize = records.iter().map(|record| record.bytes.len()).sum();
    let (encoded, took) = timed(|| {
        let recipe = Recipe {
            event_types: EventTypeSet::included(None),
            format: Format::Json,
            organization: "acme".parse().expect("a constant name"),
        };
        let mut encoder = Encoder::new(recipe, 1, Until::Full { events: u64::MAX, bytes: usize::MAX });
        for record in &records {
            encoder.push(record).expect("the records are dense");
        }
        encoder.finish().expect("there are events")
    });
    let (bare, bare_took) = timed(|| {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::new(COMPRESSION_LEVEL));
        for block in records.iter().flat_map(|record| record.bytes.chunks(BLOCK_BYTES)) {
            gzip.write_all(block).expect("memory takes every write");
        }
        gzip.finish().expect("memory takes every write")
    });
    println!("\nEncoder, one thread, flate2 with zlib-rs at level {COMPRESSION_LEVEL}");
    println!("  MB per CPU second              {:8.0}", per_second(plain, took) / 1e6);
    println!("  compression                    {:8.2}", ratio(plain, encoded.body.len()));
    println!("  CPU seconds per million events {:8.2}", 1e6 / per_second(events, took));
    println!("  the same of gzip alone         {:8.2}", 1e6 / per_second(events, bare_took));
    println!("  encoder / gzip alone           {:8.2}", took.as_secs_f64() / bare_took.as_secs_f64());
    assert!(encoded.body.len().abs_diff(bare.len()) < bare.len() / 100, "both compress alike");
}

fn records(batches: &[Batch]) -> Vec<RecordBatch> {
    let (mut first, mut bytes_before) = (1, 0);
    let mut records = Vec::with_capacity(batches.len());
    for batch in batches {
        let Events { bytes, ends, types } = super::event_log::events(batch);
        let accepted_at = BEGINNING.parse().expect("a constant time");
        let record = RecordBatch { first, accepted_at, bytes_before, bytes: bytes.into(), ends, types };
        first = record.last() + 1;
        bytes_before += record.bytes.len() as u64;
        records.push(record);
    }
    records
}
