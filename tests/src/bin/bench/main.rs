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
    let batches: Vec<Batch> = (0..BATCHES).map(|_| batch(&mut generator)).collect();
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

fn batch(generator: &mut Generator) -> Batch {
    generator.take(BATCH_EVENTS).map(|event| (event.event_type, event.line.into_bytes())).collect()
}

/// What something took: wall clock, and this thread's CPU time where the system tells.
struct Took {
    wall: Duration,
    cpu: Duration,
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Took) {
    let (began, cpu_before) = (Instant::now(), thread_cpu());
    let result = work();
    let wall = began.elapsed();
    let cpu = thread_cpu().zip(cpu_before).map_or(wall, |(after, before)| after.saturating_sub(before));
    (result, Took { wall, cpu })
}

/// Linux only; elsewhere the wall clock stands in for it.
fn thread_cpu() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn per_second(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}
