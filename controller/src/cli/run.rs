//! `run`: everything that must hold before the controller is put together, then the controller, until it is stopped.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::logging::{self, InvalidLogLevel};
use super::run_options::RunOptions;
use super::signals;
use super::size::EventLogLimit;
use super::tls_files::{self, TlsFileError};
use crate::api::{self, AppState, IngestBudget, MetricsExposure, Readiness, Tls, Tokens};
use crate::clients::embedded::AdminClientError;
use crate::clock::{Clock, SystemClock};
use crate::connection::{CaCertificatesError, Connection, ConnectionConfig, OwnAccountRoles};
use crate::destinations::StorageError;
use crate::embedded::{
    Embedded, EmbeddedConfig, EventLogLimits, InvalidMasterKey, MasterKey, OpenError, half_of_disk,
};
use crate::exporter::budget::Budget;
use crate::exporter::deliver::{Compute, Ports};
use crate::exporter::retention::JumpWatch;
use crate::exporter::run::{self as exporters, Exporters};
use crate::organizations::EveryName;
use crate::telemetry::Telemetry;

/// Where the master key is read, instead of its file. There is no flag: a flag's value shows in the process list.
pub const MASTER_KEY_VARIABLE: &str = "BARNDOOR_MASTER_KEY";

/// Memory for objects in the making, of all destinations together.
const EXPORT_BUDGET_BYTES: usize = 256 * 1024 * 1024;

/// Memory for ingest bodies on their way in, of all producers together.
const INGEST_BUDGET_BYTES: usize = 256 * 1024 * 1024;

/// How often the event log's size is read for the metrics.
const USAGE_INTERVAL: Duration = Duration::from_secs(15);

/// Why the controller did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The log level is not one.
    #[error(transparent)]
    LogLevel(#[from] InvalidLogLevel),
    /// The master key is not one.
    #[error("{MASTER_KEY_VARIABLE} is not a key: {0}")]
    MasterKey(#[from] InvalidMasterKey),
    /// A PEM file cannot be used.
    #[error(transparent)]
    TlsFile(#[from] TlsFileError),
    /// The certificate authorities cannot be used.
    #[error("--ca-certificate cannot be used: {0}")]
    CaCertificates(#[from] CaCertificatesError),
    /// The data folder cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The administrator's client cannot be written down.
    #[error(transparent)]
    AdminClient(#[from] AdminClientError),
    /// The disk cannot be measured.
    #[error("the disk of --data-dir cannot be measured ({0}): give --event-log-limit a size such as 20GiB")]
    Disk(#[source] io::Error),
    /// The stored state cannot be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The event log cannot be read.
    #[error(transparent)]
    Log(#[from] crate::event_log::LogError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address} ({source}): choose another with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Requests cannot be served any more.
    #[error("serving requests failed: {0}")]
    Serve(#[source] io::Error),
    /// Signals cannot be waited for.
    #[error("the operating system lets nobody wait for SIGTERM: {0}")]
    Signals(#[source] io::Error),
}

/// Runs the controller until it is told to stop.
///
/// # Errors
/// It did not start; the message says what to change.
pub async fn run(options: RunOptions) -> Result<(), RunError> {
    logging::init(&options.log_level, options.log_format)?;
    let shutdown = signals::shutdown_token().map_err(RunError::Signals)?;
    let tls = match options.tls_files() {
        Some((certificate, key)) => Tls::On(tls_files::server(certificate, key).await?.get_inner()),
        None => Tls::Off,
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let embedded = open(&options, clock.clone()).await?;
    let connection = Arc::new(connect(&options, &embedded, clock.clone())?);
    let listener = listen(&options).await?;
    let public_url = public_url(&options, &listener)?;
    embedded.write_admin_client(&format!("{public_url}/oauth2/token")).await?;

    let telemetry = Arc::new(Telemetry::new(clock.clone()));
    let exporters = Exporters::default();
    let readiness = Readiness::default();
    let state = AppState {
        destinations: Arc::new(embedded.clone()),
        organizations: Arc::new(EveryName),
        records: Arc::new(embedded.clone()),
        log: Arc::new(embedded.clone()),
        tokens: Arc::new(Tokens::new(embedded.token_signing_key().as_bytes())),
        clients: Arc::new(embedded.clone()),
        checks: connection.clone(),
        exporters: exporters.clone(),
        clock: clock.clone(),
        telemetry: telemetry.clone(),
        ingest_budget: IngestBudget::new(INGEST_BUDGET_BYTES),
        readiness: readiness.clone(),
        metrics: if options.hide_metrics { MetricsExposure::Hidden } else { MetricsExposure::Public },
        public_url: public_url.clone(),
    };
    let ports = Arc::new(ports(&options, &embedded, connection, clock, telemetry.clone()));
    let export = exporters::run(exporters, ports, Arc::new(embedded.clone()), shutdown.clone());
    readiness.mark_ready();
    tracing::info!(address = %public_url, data_dir = %options.data_dir.display(), "ready");
    let drain = {
        let shutdown = shutdown.clone();
        async move {
            shutdown.cancelled().await;
            readiness.mark_draining();
        }
    };
    let stopped = tokio::try_join!(
        async {
            ended(
                &shutdown,
                api::serve(listener, api::router(state), tls, drain).await.map_err(RunError::Serve),
            )
        },
        async { ended(&shutdown, export.await.map_err(RunError::Storage)) },
        async { ended(&shutdown, measure(&embedded, &telemetry, &shutdown).await) },
    );
    embedded.close().await;
    stopped.map(|_| ())
}

/// One part's end is everybody's.
fn ended<T>(shutdown: &CancellationToken, result: Result<T, RunError>) -> Result<T, RunError> {
    shutdown.cancel();
    result
}

async fn open(options: &RunOptions, clock: Arc<dyn Clock>) -> Result<Embedded, RunError> {
    let total_bytes = match options.event_log_limit {
        EventLogLimit::HalfOfDisk => half_of_disk(&options.data_dir).map_err(RunError::Disk)?,
        EventLogLimit::Bytes(bytes) => bytes,
    };
    let config = EmbeddedConfig {
        data_dir: options.data_dir.clone(),
        master_key: master_key()?,
        limits: EventLogLimits {
            total_bytes,
            organization_share_percent: options.organization_share.percent(),
        },
        clock,
    };
    let opened = tokio::task::spawn_blocking(move || Embedded::open(config)).await;
    Ok(opened.expect("opening the data folder reports errors and does not panic")?)
}

fn master_key() -> Result<Option<MasterKey>, InvalidMasterKey> {
    match std::env::var_os(MASTER_KEY_VARIABLE) {
        Some(text) if text.is_empty() => Ok(None),
        Some(text) => text.to_str().ok_or(InvalidMasterKey).and_then(MasterKey::parse).map(Some),
        None => Ok(None),
    }
}

fn connect(options: &RunOptions, embedded: &Embedded, clock: Arc<dyn Clock>) -> Result<Connection, RunError> {
    let read = |path: &Path| tls_files::certificates("--ca-certificate", path);
    let config = ConnectionConfig {
        destinations: Arc::new(embedded.clone()),
        clock,
        allowed: options.allow_endpoint.clone().into(),
        principal_arn: options.principal_arn.as_ref().map(|arn| arn.as_str().to_owned()),
        own_account_roles: if options.allow_own_account_roles {
            OwnAccountRoles::Allowed
        } else {
            OwnAccountRoles::Refused
        },
        ca_certificates_pem: options.ca_certificate.as_deref().map(read).transpose()?,
    };
    Ok(Connection::new(config)?)
}

async fn listen(options: &RunOptions) -> Result<TcpListener, RunError> {
    let address = options.listen;
    let bound = TcpListener::bind(address).await;
    let listener = bound.map_err(|source| RunError::Listen { address, source })?;
    if options.listens_in_the_clear() {
        tracing::warn!(%address, "tokens and events cross the network in the clear: use --tls-cert, or a proxy that ends TLS");
    }
    Ok(listener)
}

fn public_url(options: &RunOptions, listener: &TcpListener) -> Result<String, RunError> {
    if let Some(url) = &options.public_url {
        return Ok(url.as_str().trim_end_matches('/').to_owned());
    }
    let address =
        listener.local_addr().map_err(|source| RunError::Listen { address: options.listen, source })?;
    let scheme = if options.tls_files().is_some() { "https" } else { "http" };
    Ok(format!("{scheme}://{address}"))
}

fn ports(
    options: &RunOptions,
    embedded: &Embedded,
    connection: Arc<Connection>,
    clock: Arc<dyn Clock>,
    telemetry: Arc<Telemetry>,
) -> Ports {
    Ports {
        log: Arc::new(embedded.clone()),
        records: Arc::new(embedded.clone()),
        stores: connection,
        clock,
        meter: telemetry,
        budget: Budget::new(EXPORT_BUDGET_BYTES),
        compute: Compute::Threads(Semaphore::new(
            std::thread::available_parallelism().map_or(1, usize::from),
        )),
        retention: options.retention.duration(),
        jumps: Mutex::new(JumpWatch::new(options.retention.duration())),
        jitter: Box::new(rand::random::<f64>),
    }
}

/// Reads the event log's size for the metrics, now and then.
async fn measure(
    embedded: &Embedded,
    telemetry: &Telemetry,
    shutdown: &CancellationToken,
) -> Result<(), RunError> {
    let mut interval = tokio::time::interval(USAGE_INTERVAL);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = interval.tick() => match embedded.total_usage().await {
                Ok(usage) => telemetry.log_usage(usage),
                Err(error) => tracing::warn!(%error, "the event log's size could not be read"),
            },
        }
    }
}
