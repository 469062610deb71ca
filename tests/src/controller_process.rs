//! The real `barndoor-export run` as a child: started, killed, started again on the same data and port.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::rest::{ClientCredentials, Rest};
use crate::s3_client::Keys;
use crate::server_process::{ServerProcess, free_port, read_small, target_folder};

/// design.md: ready at most 10 s after start.
pub const READY_LIMIT: Duration = Duration::from_secs(10);

/// design.md: SIGTERM ends it within 20 s.
pub const STOP_LIMIT: Duration = Duration::from_secs(20);

/// What a controller is started with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    flags: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Options {
    /// For stores on loopback, and without any AWS identity.
    pub fn loopback() -> Self {
        Self::default().flag("--allow-endpoint", "loopback")
    }

    /// One more flag with its value.
    #[must_use]
    pub fn flag(mut self, name: &str, value: &str) -> Self {
        self.flags.extend([name.to_owned(), value.to_owned()]);
        self
    }

    /// One more flag that takes no value.
    #[must_use]
    pub fn switch(mut self, name: &str) -> Self {
        self.flags.push(name.to_owned());
        self
    }

    /// One more variable of the environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// An AWS identity, and where its STS is.
    #[must_use]
    pub fn aws(self, sts_endpoint: &str, region: &str, identity: &Keys) -> Self {
        let with = self
            .variable("AWS_ENDPOINT_URL_STS", sts_endpoint)
            .variable("AWS_REGION", region)
            .variable("AWS_ACCESS_KEY_ID", &identity.access_key_id)
            .variable("AWS_SECRET_ACCESS_KEY", &identity.secret_access_key);
        match &identity.session_token {
            Some(token) => with.variable("AWS_SESSION_TOKEN", token),
            None => with,
        }
    }
}

/// A controller and its data folder.
#[derive(Debug)]
pub struct Controller {
    process: ServerProcess,
    options: Options,
    port: u16,
    data: PathBuf,
    rest: Rest,
    _folder: Option<TempDir>,
}

impl Controller {
    /// Starts one on a fresh data folder.
    ///
    /// # Panics
    /// When it is not ready in time.
    pub async fn start(options: Options) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let data = folder.path().join("barndoor-data");
        Self::launch(options, data, Some(folder), None).await
    }

    /// Starts one for many tests of this binary, each with organizations of its own: for a `static`, which Rust never
    /// drops. Its data go with the test process.
    ///
    /// # Panics
    /// When it is not ready in time.
    pub async fn start_for_many(name: &str, options: Options) -> Self {
        let folder = target_folder().join(format!("e2e-controller-{name}-{}", std::process::id()));
        Self::launch(options, folder.join("barndoor-data"), None, Some(&folder)).await
    }

    /// Starts one on a folder of the caller's.
    ///
    /// # Panics
    /// When it is not ready in time.
    pub async fn start_on(options: Options, data: &Path) -> Self {
        Self::launch(options, data.to_owned(), None, None).await
    }

    async fn launch(options: Options, data: PathBuf, folder: Option<TempDir>, sweep: Option<&Path>) -> Self {
        let port = free_port();
        let process = run(&options, &data, port, sweep).await;
        let rest = sign_in(&data, port).await;
        Self { process, options, port, data, rest, _folder: folder }
    }

    /// The API, as the administrator's client.
    pub fn rest(&self) -> &Rest {
        &self.rest
    }

    /// The API with connections of the caller's own: they end with the runtime that opened them, so tests that share
    /// a controller share no client.
    pub async fn administrator(&self) -> Rest {
        sign_in(&self.data, self.port).await
    }

    /// `http://127.0.0.1:<port>`.
    pub fn base(&self) -> String {
        base(self.port)
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// What the controller has printed since it was last started.
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// The client that the controller made for its administrator.
    pub fn admin_client(&self) -> ClientCredentials {
        admin_client(&self.data)
    }

    /// `/metrics`, as text.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn metrics(&self) -> String {
        let answer = crate::rest::http_client().get(format!("{}/metrics", self.base())).send().await;
        answer.expect("the controller answers").text().await.expect("metrics are text")
    }

    /// kill -9.
    pub fn kill9(&mut self) {
        self.process.kill();
    }

    /// SIGTERM, and what came of it: the exit code and the time it took.
    pub fn terminate(&mut self) -> (Option<i32>, Duration) {
        self.process.end(Signal::TERM, STOP_LIMIT)
    }

    /// Holds it still, or lets it go on.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Starts it again on the same data and port, after a kill or a stop. The old token stays in use: tokens stay
    /// valid across restarts.
    ///
    /// # Panics
    /// When it is not ready in time.
    pub async fn restart(&mut self) -> Duration {
        let started = Instant::now();
        self.process = run(&self.options, &self.data, self.port, None).await;
        started.elapsed()
    }

    /// The same with other flags.
    ///
    /// # Panics
    /// When it is not ready in time.
    pub async fn restart_with(&mut self, options: Options) -> Duration {
        self.options = options;
        self.restart().await
    }
}

fn base(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// The program under test: `BARNDOOR_EXPORT_BIN`, or the one built beside the tests.
///
/// # Panics
/// When it is not there.
pub fn program() -> PathBuf {
    let path = std::env::var_os("BARNDOOR_EXPORT_BIN")
        .map_or_else(|| target_folder().join("barndoor-export"), PathBuf::from);
    assert!(path.exists(), "{} is not there: cargo build -p barndoor-controller", path.display());
    path
}

async fn run(options: &Options, data: &Path, port: u16, sweep: Option<&Path>) -> ServerProcess {
    let mut command = Command::new(program());
    command
        .arg("run")
        .args(["--listen", &format!("127.0.0.1:{port}")])
        .arg("--data-dir")
        .arg(data)
        .args(&options.flags)
        .env("RUST_BACKTRACE", "1")
        // Nothing of the machine's own AWS set-up may leak into a test.
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(options.environment.iter().map(|(name, value)| (name, value)));
    let mut process = ServerProcess::start("controller", &command, sweep);
    process.wait_until_ready(&format!("{}/readyz", base(port)), READY_LIMIT).await;
    process
}

fn admin_client(data: &Path) -> ClientCredentials {
    let text = read_small(&data.join("admin-client.json"));
    let client: serde_json::Value = serde_json::from_str(&text).expect("admin-client.json is JSON");
    let field = |name: &str| {
        client[name].as_str().unwrap_or_else(|| panic!("{name} in admin-client.json")).to_owned()
    };
    ClientCredentials {
        client_id: field("client_id"),
        client_secret: field("client_secret"),
        token_url: field("token_url"),
    }
}

async fn sign_in(data: &Path, port: u16) -> Rest {
    Rest::sign_in(&base(port), &admin_client(data)).await
}
