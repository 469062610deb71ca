//! `run`: everything that must hold before the controller is put together, then the controller, until it is stopped.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use axum_server::tls_rustls::RustlsConfig;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::data_dir::{self, DataDirError};
use super::logging::{self, InvalidLogLevel};
use super::master_key::{InvalidMasterKey, MasterKey};
use super::run_options::RunOptions;
use super::signals;
use super::tls_files::{self, TlsFileError};

/// Why the controller did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The log level is not one.
    #[error(transparent)]
    LogLevel(#[from] InvalidLogLevel),
    /// The master key is not one.
    #[error(transparent)]
    MasterKey(#[from] InvalidMasterKey),
    /// A PEM file cannot be used.
    #[error(transparent)]
    TlsFile(#[from] TlsFileError),
    /// The data folder cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address} ({source}): choose another with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Signals cannot be waited for.
    #[error("the operating system lets nobody wait for SIGTERM: {0}")]
    Signals(#[source] io::Error),
}

/// What the outside world has given: checked, loaded, open.
#[derive(Debug)]
pub struct Prepared {
    /// The flags.
    pub options: RunOptions,
    /// The data folder, absolute.
    pub data_dir: PathBuf,
    /// The master key, when it is not in the data folder.
    pub master_key: Option<MasterKey>,
    /// What HTTPS is served with; `None` means plain HTTP.
    pub tls: Option<RustlsConfig>,
    /// More authorities to trust at destinations' endpoints, as PEM.
    pub ca_certificates: Option<Vec<u8>>,
    /// Bound, not accepting yet.
    pub listener: TcpListener,
    /// Cancelled by the first SIGTERM or SIGINT.
    pub shutdown: CancellationToken,
}

/// Runs the controller until it is told to stop.
///
/// # Errors
/// It did not start; the message says what to change.
pub async fn run(options: RunOptions) -> Result<(), RunError> {
    let prepared = prepare(options).await?;
    prepared.shutdown.cancelled().await;
    Ok(())
}

async fn prepare(options: RunOptions) -> Result<Prepared, RunError> {
    logging::init(&options.log_level, options.log_format)?;
    let shutdown = signals::shutdown_token().map_err(RunError::Signals)?;
    let master_key = MasterKey::from_environment()?;
    let tls = match options.tls_files() {
        Some((certificate, key)) => Some(tls_files::server(certificate, key).await?),
        None => None,
    };
    let ca_certificates = match &options.ca_certificate {
        Some(path) => Some(tls_files::certificates("--ca-certificate", path)?),
        None => None,
    };
    let data_dir = data_dir::prepare(&options.data_dir)?;
    let address = options.listen;
    let listener = TcpListener::bind(address).await.map_err(|source| RunError::Listen { address, source })?;
    if options.listens_in_the_clear() {
        tracing::warn!(%address, "tokens and events cross the network in the clear: use --tls-cert, or a proxy that ends TLS");
    }
    Ok(Prepared { options, data_dir, master_key, tls, ca_certificates, listener, shutdown })
}
