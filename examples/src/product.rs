//! The product as a child process: found, started on a free port, ready, and ended by its id whatever happens.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use barndoor_crds::rest::AdminClientFile;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// Names the binary when it is not beside this one.
pub const BINARY_VARIABLE: &str = "BARNDOOR_EXPORT_BIN";
/// The binary's name.
const BINARY: &str = "barndoor-export";
/// It promises to be ready within 10 s; a machine busy with compiling gets more.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// It promises to end within 20 s of SIGTERM.
const END_WITHIN: Duration = Duration::from_secs(20);
/// Lines of the log that a failure shows.
const LOG_TAIL_LINES: usize = 20;

/// Why the product does not run.
#[derive(Debug, thiserror::Error)]
pub enum ProductError {
    /// There is no binary.
    #[error(
        "barndoor-export was not found at {}: build it with `cargo build --release`, or name it in {BINARY_VARIABLE}",
        .0.display()
    )]
    NotFound(PathBuf),
    /// It cannot be started.
    #[error("barndoor-export cannot be started: {0}")]
    Start(#[from] io::Error),
    /// It ended or never got ready.
    #[error("barndoor-export {what}; its log ends with:\n{log}")]
    NotReady {
        /// What happened.
        what: String,
        /// The log's last lines.
        log: String,
    },
    /// Its client file cannot be read.
    #[error("{} cannot be read: {why}", file.display())]
    ClientFile {
        /// Which file.
        file: PathBuf,
        /// Why.
        why: String,
    },
}

/// The running product. Dropping it kills the process; [`Product::end`] does so gently.
pub struct Product {
    child: Child,
    address: SocketAddr,
    data_folder: PathBuf,
    log: PathBuf,
}

/// Where the binary is: named in the environment, or beside this program.
///
/// # Errors
/// When there is no file.
pub fn find_binary() -> Result<PathBuf, ProductError> {
    let named = std::env::var_os(BINARY_VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from);
    let binary = match named {
        Some(binary) => binary,
        None => std::env::current_exe()?.with_file_name(BINARY),
    };
    if binary.is_file() { Ok(binary) } else { Err(ProductError::NotFound(binary)) }
}

impl Product {
    /// Starts the binary with its data below `folder`, allows loopback stores, and returns when it is ready.
    ///
    /// # Errors
    /// See [`ProductError`]; the process has ended then.
    pub async fn start(binary: &Path, folder: &Path) -> Result<Self, ProductError> {
        // Given back at once: the product takes it a moment later.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let data_folder = folder.join("data");
        let log = folder.join("barndoor-export.log");
        let output = File::create(&log)?;
        let child = Command::new(binary)
            .args(["run", "--allow-endpoint", "loopback", "--listen", &address.to_string(), "--data-dir"])
            .arg(&data_folder)
            // Keys are used here: no search for an identity on networks that have none.
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()?;
        let mut product = Self { child, address, data_folder, log };
        product.wait_until_ready().await?;
        Ok(product)
    }

    async fn wait_until_ready(&mut self) -> Result<(), ProductError> {
        let deadline = Instant::now() + READY_WITHIN;
        let url = format!("{}/readyz", self.url());
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Err(self.not_ready(format!("ended with {status}")));
            }
            let answer = timeout(Duration::from_secs(2), reqwest::get(&url)).await;
            if matches!(answer, Ok(Ok(answer)) if answer.status().is_success()) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(self.not_ready(format!("was not ready within {} s", READY_WITHIN.as_secs())));
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    fn not_ready(&self, what: String) -> ProductError {
        ProductError::NotReady { what, log: self.log_tail() }
    }

    /// The last lines of its log.
    pub fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The file with the client that may do everything.
    pub fn client_file(&self) -> PathBuf {
        self.data_folder.join("admin-client.json")
    }

    /// The client that may do everything.
    ///
    /// # Errors
    /// When the file is not there or not what it should be.
    pub fn admin_client(&self) -> Result<AdminClientFile, ProductError> {
        let file = self.client_file();
        std::fs::read_to_string(&file)
            .map_err(|error| error.to_string())
            // The parser's message may quote the file, which holds a secret: the place in it is enough.
            .and_then(|text| {
                serde_json::from_str(&text)
                    .map_err(|error| format!("not a client file at line {}", error.line()))
            })
            .map_err(|why| ProductError::ClientFile { file, why })
    }

    /// Asks the process to end and waits for it; kills it when it takes too long.
    pub async fn end(mut self) {
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(pid) = pid {
            // Fails only when it has just ended by itself.
            let _ = kill_process(pid, Signal::TERM);
        }
        if timeout(END_WITHIN, self.child.wait()).await.is_err() {
            // The last resort; that it has ended meanwhile is as good.
            let _ = self.child.kill().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn a_product_that_ends_at_once_is_reported_with_its_own_words() {
        crate::rest::install_tls_provider();
        let folder = tempfile::tempdir().expect("a folder");
        let script = folder.path().join("broken");
        std::fs::write(&script, "#!/bin/sh\necho 'the disk is on fire' >&2\nexit 3\n").expect("disk");
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("disk");
        let refusal = match Product::start(&script, folder.path()).await {
            Ok(_) => panic!("it cannot be ready"),
            Err(refusal) => refusal.to_string(),
        };
        assert!(refusal.contains("the disk is on fire") && refusal.contains("exit status: 3"), "{refusal}");
    }
}
