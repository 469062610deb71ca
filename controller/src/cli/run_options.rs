//! The flags of `run`, parsed once; what they mean together is checked here, what they do is not.

use std::net::SocketAddr;
use std::path::PathBuf;

use barndoor_crds::aws::RoleArn;
use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, ValueEnum};
use url::Url;

use super::duration::Seconds;
use super::size::{EventLogLimit, Share};
use crate::connection::guard::AllowedEndpoint;

const SERVER: &str = "Server";
const EVENTS: &str = "Events";
const DESTINATIONS: &str = "Destinations";
const LOGS: &str = "Logs";

const NEXT: &str = "Example:
  barndoor-export run --data-dir /var/lib/barndoor --listen 0.0.0.0:8443 \\
    --tls-cert server.pem --tls-key server.key --public-url https://audit.example.com

Next: `barndoor-export client add --help`, `barndoor-export check --help`.";

/// Runs the controller: REST, ingest, the event log, and the delivery of events to every destination.
///
/// Everything it must remember is in the data folder; back that folder up. Before it is ready it writes
/// admin-client.json there: an OAuth2 client with every scope, which the other commands use. SIGTERM or Ctrl-C stops
/// it within 20 seconds; a second one at once. Nothing is lost either way.
///
/// Each flag can also be set by the environment variable named beside it; the flag wins. Stored access keys are sealed
/// under a master key: a file in the data folder, made at the first start, or BARNDOOR_MASTER_KEY (32 bytes as
/// 64 hexadecimal characters or base64). The controller's own AWS identity comes from the usual AWS_… variables,
/// profile or instance role.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = NEXT)]
pub struct RunOptions {
    /// Where to listen for REST and ingest.
    ///
    /// Without --tls-cert tokens travel in the clear: stay on loopback, or behind a proxy that ends TLS.
    #[arg(long, env = "BARNDOOR_LISTEN", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080", help_heading = SERVER)]
    pub listen: SocketAddr,

    /// The folder that holds everything: destinations, sealed keys, accepted events, delivery records.
    ///
    /// Made when missing. One controller at a time.
    #[arg(long, env = "BARNDOOR_DATA_DIR", value_name = "FOLDER", default_value = "./barndoor-data", help_heading = SERVER)]
    pub data_dir: PathBuf,

    /// The certificate chain to serve HTTPS with, as PEM; needs --tls-key.
    #[arg(long, env = "BARNDOOR_TLS_CERT", value_name = "FILE", requires = "tls_key", help_heading = SERVER)]
    pub tls_cert: Option<PathBuf>,

    /// The private key of --tls-cert, as PEM.
    #[arg(long, env = "BARNDOOR_TLS_KEY", value_name = "FILE", requires = "tls_cert", help_heading = SERVER)]
    pub tls_key: Option<PathBuf>,

    /// The address that clients reach this controller at, when it is not the one it listens on.
    ///
    /// It becomes part of the token_url in admin-client.json. Example: https://audit.example.com
    #[arg(long, env = "BARNDOOR_PUBLIC_URL", value_name = "URL", value_parser = parse_public_url, help_heading = SERVER)]
    pub public_url: Option<Url>,

    /// Answers 404 at /metrics, which otherwise needs no token.
    #[arg(long, env = "BARNDOOR_HIDE_METRICS", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new(), help_heading = SERVER)]
    pub hide_metrics: bool,

    /// Where accepted events wait until they are delivered.
    #[arg(long, env = "BARNDOOR_EVENT_LOG", value_enum, value_name = "WHERE", default_value_t = EventLogKind::Embedded, help_heading = EVENTS)]
    pub event_log: EventLogKind,

    /// How long undelivered events are kept, from their acceptance: a number and s, m, h or d.
    ///
    /// What is older is dropped, counted and reported.
    #[arg(long, env = "BARNDOOR_RETENTION", value_name = "DURATION", default_value = "30d", help_heading = EVENTS)]
    pub retention: Seconds,

    /// How large the event log may grow on disk: half-of-disk, or a size such as 20GiB.
    ///
    /// Beyond it ingest answers 503 with Retry-After; nothing is dropped.
    #[arg(long, env = "BARNDOOR_EVENT_LOG_LIMIT", value_name = "SIZE", default_value = "half-of-disk", help_heading = EVENTS)]
    pub event_log_limit: EventLogLimit,

    /// How much of the event log one organization may fill.
    ///
    /// One organization's full share does not keep the others out.
    #[arg(long, env = "BARNDOOR_ORGANIZATION_SHARE", value_name = "PERCENT", default_value = "50%", help_heading = EVENTS)]
    pub organization_share: Share,

    /// Allows endpoints at addresses that are refused otherwise, and plain http there: loopback, private, or a network.
    ///
    /// Repeat it, or separate by commas. A destination's endpoint is given by its organization; refused unless covered
    /// are link-local and cloud metadata addresses, loopback and private networks. It also allows role mode at an
    /// endpoint that is not AWS's. Example: --allow-endpoint 10.20.0.0/16
    #[arg(long, env = "BARNDOOR_ALLOW_ENDPOINT", value_name = "loopback|private|CIDR", value_delimiter = ',', action = ArgAction::Append, help_heading = DESTINATIONS)]
    pub allow_endpoint: Vec<AllowedEndpoint>,

    /// More certificate authorities to trust at destinations' endpoints, as PEM, beside the system's.
    #[arg(long, env = "BARNDOOR_CA_CERTIFICATE", value_name = "FILE", help_heading = DESTINATIONS)]
    pub ca_certificate: Option<PathBuf>,

    /// The role that customers' trust policies must name, when it is not what STS says of the controller's identity.
    ///
    /// Needed for roles with a path, which STS leaves out. Example: arn:aws:iam::123456789012:role/platform/barndoor
    #[arg(long, env = "BARNDOOR_PRINCIPAL_ARN", value_name = "ARN", value_parser = parse_principal_arn, help_heading = DESTINATIONS)]
    pub principal_arn: Option<RoleArn>,

    /// Lets destinations use roles of the controller's own AWS account.
    ///
    /// Refused otherwise: a tenant could name one of the operator's roles.
    #[arg(long, env = "BARNDOOR_ALLOW_OWN_ACCOUNT_ROLES", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new(), help_heading = DESTINATIONS)]
    pub allow_own_account_roles: bool,

    /// What to log: error, warn, info, debug, trace, or a tracing filter such as info,barndoor_controller=debug.
    #[arg(long, env = "BARNDOOR_LOG_LEVEL", value_name = "LEVEL", default_value = "info", help_heading = LOGS)]
    pub log_level: String,

    /// How to log, to the standard error.
    #[arg(long, env = "BARNDOOR_LOG_FORMAT", value_enum, value_name = "FORMAT", default_value_t = LogFormat::Text, help_heading = LOGS)]
    pub log_format: LogFormat,
}

/// Where accepted events wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EventLogKind {
    /// In a file of the data folder; one machine.
    Embedded,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people; coloured on a terminal.
    Text,
    /// One JSON object per line, for log collectors.
    Json,
}

impl RunOptions {
    /// The files to serve HTTPS with; `None` means plain HTTP.
    pub fn tls_files(&self) -> Option<(&PathBuf, &PathBuf)> {
        self.tls_cert.as_ref().zip(self.tls_key.as_ref())
    }

    /// Whether tokens would cross a network in the clear.
    pub fn listens_in_the_clear(&self) -> bool {
        self.tls_files().is_none() && !self.listen.ip().is_loopback()
    }
}

fn parse_public_url(text: &str) -> Result<Url, String> {
    let hint = "write it like https://audit.example.com";
    let url = Url::parse(text).map_err(|error| format!("{error}: {hint}"))?;
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if matches!(url.scheme(), "https" | "http") && url.has_host() && plain && url.fragment().is_none() {
        Ok(url)
    } else {
        Err(format!("only http or https, a host and perhaps a port and path: {hint}"))
    }
}

fn parse_principal_arn(text: &str) -> Result<RoleArn, &'static str> {
    text.parse().map_err(|_| "write a role's ARN such as arn:aws:iam::123456789012:role/platform/barndoor")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        run: RunOptions,
    }

    fn run(flags: &[&str]) -> Result<RunOptions, clap::Error> {
        Command::try_parse_from(["run"].iter().chain(flags)).map(|command| command.run)
    }

    #[test]
    fn without_flags_it_listens_on_loopback_and_keeps_thirty_days() {
        let options = run(&[]).expect("the defaults");
        assert_eq!(options.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(options.retention.to_string(), "30d");
        assert_eq!(options.event_log_limit, EventLogLimit::HalfOfDisk);
        assert_eq!(options.organization_share.percent(), 50);
        assert!(options.allow_endpoint.is_empty() && !options.listens_in_the_clear());
    }

    #[test]
    fn allowed_endpoints_repeat_and_split_at_commas() {
        let options = run(&["--allow-endpoint", "loopback,10.0.0.0/8", "--allow-endpoint", "private"]);
        let texts: Vec<String> =
            options.expect("three").allow_endpoint.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["loopback", "10.0.0.0/8", "private"]);
    }

    #[test]
    fn a_certificate_needs_its_key_and_a_key_its_certificate() {
        assert!(run(&["--tls-cert", "a.pem"]).is_err());
        assert!(run(&["--tls-key", "a.key"]).is_err());
        let options = run(&["--tls-cert", "a.pem", "--tls-key", "a.key", "--listen", "0.0.0.0:8443"]);
        assert!(!options.expect("both").listens_in_the_clear());
        assert!(run(&["--listen", "0.0.0.0:8080"]).expect("plain http").listens_in_the_clear());
    }

    #[test]
    fn nonsense_is_refused_with_an_example() {
        for (flag, value, example) in [
            ("--retention", "30", "such as 30d"),
            ("--event-log-limit", "lots", "such as 20GiB"),
            ("--organization-share", "0", "such as 50%"),
            ("--allow-endpoint", "everything", "10.1.0.0/16"),
            ("--principal-arn", "arn:aws:iam::1:root", "arn:aws:iam::123456789012:role/"),
            ("--public-url", "ftp://x", "https://audit.example.com"),
            ("--public-url", "https://user:pass@x", "https://audit.example.com"),
        ] {
            let message = run(&[flag, value]).expect_err(flag).to_string();
            assert!(message.contains(example) && message.contains(flag), "{message}");
        }
    }

    #[test]
    fn every_flag_has_its_environment_variable() {
        use clap::CommandFactory;
        for argument in Command::command().get_arguments() {
            let long = argument.get_long().expect("every flag is long");
            let expected = format!("BARNDOOR_{}", long.to_ascii_uppercase().replace('-', "_"));
            assert_eq!(argument.get_env().and_then(|name| name.to_str()), Some(expected.as_str()));
        }
    }
}
