//! Log lines of the controller: fields, to the standard error.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use super::run_options::LogFormat;

/// Libraries whose details show what is sent: whole objects, and headers with signatures. A target is its crate's
/// name and what follows.
const QUIET: &str = "aws_=info,h2=info,hyper=info,reqwest=info,rustls=info";

/// `--log-level` is not a filter.
#[derive(Debug, thiserror::Error)]
#[error("--log-level cannot be used ({0}): write error, warn, info, debug or trace")]
pub struct InvalidLogLevel(#[from] ParseError);

/// Installs the subscriber; when there is one already, as in tests, that one stays.
pub(super) fn init(level: &str, format: LogFormat) -> Result<(), InvalidLogLevel> {
    let builder = tracing_subscriber::fmt().with_env_filter(filter(level)?).with_writer(std::io::stderr);
    let _installed = match format {
        LogFormat::Text => builder.with_ansi(colours()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}

/// A level for everything is not one for [`QUIET`] libraries: these show their details only when they are named.
fn filter(level: &str) -> Result<EnvFilter, ParseError> {
    let for_all = level
        .split(',')
        .rev()
        .filter(|part| !part.is_empty())
        .find_map(|part| part.parse::<LevelFilter>().ok());
    // What comes later, or names more of a target, wins: so what was asked for by name stays.
    let capped = for_all.filter(|level| *level > LevelFilter::INFO).map(|_| format!("{QUIET},{level}"));
    EnvFilter::builder().parse(capped.as_deref().unwrap_or(level))
}

fn colours() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use tracing::level_filters::LevelFilter;
    use tracing::{Level, enabled};

    use super::filter;

    /// Whether details of our own, of the SDK, and of the HTTP client are shown, and the SDK's ordinary words.
    fn shown(level: &str) -> (bool, bool, bool, bool) {
        let filter = filter(level).expect("a filter");
        let subscriber = tracing_subscriber::fmt().with_env_filter(filter).finish();
        tracing::subscriber::with_default(subscriber, || {
            (
                enabled!(target: "barndoor_export::exporter", Level::DEBUG),
                enabled!(target: "aws_smithy_runtime::client::orchestrator", Level::DEBUG),
                enabled!(target: "hyper_util::client", Level::DEBUG),
                enabled!(target: "aws_config::profile", Level::INFO),
            )
        })
    }

    #[test]
    fn libraries_that_show_what_is_sent_keep_quiet_unless_they_are_named() {
        for level in ["trace", "debug", "info,debug", "barndoor_export=info,debug"] {
            assert_eq!((shown(level).1, shown(level).2, shown(level).3), (false, false, true), "{level}");
        }
        assert!(shown("debug").0);
        assert_eq!(shown("debug,aws_=trace"), (true, true, false, true));
        assert_eq!(shown("debug,aws_smithy_runtime=trace,hyper=debug"), (true, true, true, true));
        assert_eq!(shown("aws_smithy_runtime=trace"), (false, true, false, false));
    }

    #[test]
    fn a_low_level_is_not_raised() {
        assert_eq!(shown("warn"), (false, false, false, false));
        assert_eq!(shown("error,barndoor_export=debug"), (true, false, false, false));
        assert_eq!(filter("info").expect("a filter").max_level_hint(), Some(LevelFilter::INFO));
        filter("barndoor=loud").expect_err("no level");
    }
}
