//! Log lines of the controller: fields, to the standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use super::run_options::LogFormat;

/// `--log-level` is not a filter.
#[derive(Debug, thiserror::Error)]
#[error("--log-level cannot be used ({0}): write error, warn, info, debug or trace")]
pub struct InvalidLogLevel(#[from] ParseError);

/// Installs the subscriber; when there is one already, as in tests, that one stays.
pub(super) fn init(level: &str, format: LogFormat) -> Result<(), InvalidLogLevel> {
    let filter = EnvFilter::builder().parse(level)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _installed = match format {
        LogFormat::Text => builder.with_ansi(colours()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}

fn colours() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
