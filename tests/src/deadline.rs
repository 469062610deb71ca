//! Waiting for something to become true, with a limit and a sentence for when it does not.

use std::future::Future;
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(100);

/// Asks `probe` until it answers `Some`.
///
/// # Panics
/// When `limit` has passed; the message repeats `what`.
pub async fn eventually<T, F, R>(what: &str, limit: Duration, mut probe: F) -> T
where
    F: FnMut() -> R,
    R: Future<Output = Option<T>>,
{
    let started = Instant::now();
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(started.elapsed() < limit, "after {limit:?} still waiting for {what}");
        tokio::time::sleep(POLL).await;
    }
}

/// Asks `probe` during the whole of `span`, and panics with its words as soon as it answers `Err`.
///
/// # Panics
/// When the probe finds what must not be.
pub async fn throughout<F, R>(what: &str, span: Duration, mut probe: F)
where
    F: FnMut() -> R,
    R: Future<Output = Result<(), String>>,
{
    let started = Instant::now();
    while started.elapsed() < span {
        if let Err(found) = probe().await {
            panic!("{what} must hold for {span:?}, but after {:?}: {found}", started.elapsed());
        }
        tokio::time::sleep(POLL).await;
    }
}
