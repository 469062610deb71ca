//! Log output: for people on a terminal, JSON everywhere else.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::TryInitError;

/// Why logging was not set up.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// The filter cannot be read.
    #[error("the log filter cannot be read: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// It was set up before.
    #[error(transparent)]
    AlreadySetUp(#[from] TryInitError),
}

/// Sends log events that pass the filter (such as `info` or `barndoor_controller=debug`) to standard error.
///
/// # Errors
/// The filter is malformed, or logging was set up before.
pub fn set_up(filter: &str) -> Result<(), LogsError> {
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::util::SubscriberInitExt;

    let registry = tracing_subscriber::registry().with(EnvFilter::try_new(filter)?);
    let layer = tracing_subscriber::fmt::layer().with_writer(stderr);
    if stderr().is_terminal() {
        registry.with(layer).try_init()?;
    } else {
        registry.with(layer.json().flatten_event(true)).try_init()?;
    }
    Ok(())
}
