//! The benchmark: what the two hot paths cost on this machine, each beside the least that any program would pay.
//!
//! `cargo run --release --package barndoor-tests --bin bench`; what was seen is in docs/performance.md. Figures of
//! different machines differ; the ratios are what to watch.

use std::time::{Duration, Instant};

use barndoor_crds::event_type::EventType;
use barndoor_examples::events::Generator;

mod encoder;
mod event_log;

/// Events in one ingest batch.
const BATCH_EVENTS: usize = 100;

/// Batches of a run: 200,000 events of about 1 kB.
const BATCHES: usize = 2_000;

/// When the generated events begin: the same bytes in every run.
const BEGINNING: &str = "2026-01-02T03:04:05Z";

/// One ingest batch: events with their types.
type Batch = Vec<(EventType, Vec<u8>)>;

#[tokio::main]
async fn main() {
    let beginning = BEGINNING.parse().expect("a constant time");
    let mut generator = Generator::new(1, beginning);
    let mut event = || generator.next().map(|event| (event.event_type, event.line.into_bytes()));
    let batches: Vec<Batch> =
        (0..BATCHES).map(|_| (0..BATCH_EVENTS).filter_map(|_| event()).collect()).collect();
    let events = BATCHES * BATCH_EVENTS;
    let bytes: usize = batches.iter().flatten().map(|(_, line)| line.len() + 1).sum();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let profile = if cfg!(debug_assertions) { "dev: build with --release for figures" } else { "release" };
    println!(
        "{cores} cores, {profile}; {events} events of {} bytes in batches of {BATCH_EVENTS}",
        bytes / events
    );
    encoder::measure(&batches);
    event_log::measure(batches).await;
}

/// What the work gave, and the CPU time of this thread that it took.
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let (began, cpu_before) = (Instant::now(), thread_cpu());
    let result = work();
    let wall = began.elapsed();
    (result, thread_cpu().zip(cpu_before).map_or(wall, |(after, before)| after.saturating_sub(before)))
}

/// Linux only; elsewhere the wall clock stands in for it.
fn thread_cpu() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

fn per_second(count: usize, took: Duration) -> f64 {
    ratio(count, 1) / took.as_secs_f64()
}

#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn ratio(this: usize, that: usize) -> f64 {
    this as f64 / that as f64
}
