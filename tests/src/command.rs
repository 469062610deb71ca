//! A program run to its end, or stopped on the way, as a user runs it: not on a terminal, in a folder of its own.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};

/// How long any command may take.
const COMMAND_LIMIT: Duration = Duration::from_mins(2);

/// What came of a command.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

impl Ended {
    /// What it printed, of a command that must have ended so.
    ///
    /// # Panics
    /// With everything it said when it has not.
    #[track_caller]
    pub fn expect(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self.stdout
    }

    /// What it complained of, of a command that must have failed so and printed nothing.
    ///
    /// # Panics
    /// With everything it said when it has not.
    #[track_caller]
    pub fn expect_error(self, code: i32) -> String {
        assert_eq!(
            (self.code, self.stdout.as_str()),
            (Some(code), ""),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        self.stderr
    }
}

/// A command in this folder with nothing of this process's environment but the search path.
pub fn command(program: &Path, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs it to its end.
///
/// # Panics
/// When it does not end in time.
pub async fn run(command: &mut Command) -> Ended {
    let output = tokio::time::timeout(COMMAND_LIMIT, command.output()).await;
    let output = output.expect("the command ends in time").expect("the command can be started");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("commands print UTF-8");
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A command that goes on until it is told to stop.
#[derive(Debug)]
pub struct Running {
    child: Child,
    lines: tokio::io::Lines<BufReader<ChildStdout>>,
    seen: Vec<String>,
}

impl Running {
    /// Starts it.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Self {
        // Nobody reads its complaints: a full pipe would hold it up.
        let mut child = command.stderr(Stdio::inherit()).spawn().expect("the command can be started");
        let stdout = child.stdout.take().expect("standard output is piped");
        Self { child, lines: BufReader::new(stdout).lines(), seen: Vec::new() }
    }

    /// Reads until a line contains this, and returns that line.
    ///
    /// # Panics
    /// With what it printed when it ends or time runs out before.
    pub async fn line_with(&mut self, words: &str) -> String {
        let found = tokio::time::timeout(COMMAND_LIMIT, async {
            while let Some(line) = self.lines.next_line().await.expect("commands print UTF-8") {
                self.seen.push(line.clone());
                if line.contains(words) {
                    return Some(line);
                }
            }
            None
        })
        .await;
        found.ok().flatten().unwrap_or_else(|| panic!("no line with {words} in:\n{}", self.seen.join("\n")))
    }

    /// Sends the signal and waits for the end; the exit code.
    ///
    /// # Panics
    /// When it is still there after `limit`.
    pub async fn end(mut self, signal: Signal, limit: Duration) -> Option<i32> {
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())).expect("it runs");
        kill_process(pid, signal).expect("it runs");
        let ended = tokio::time::timeout(limit, self.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("still there {limit:?} after {signal:?}")).expect("our child").code()
    }
}
