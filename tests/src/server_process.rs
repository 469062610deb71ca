//! A real program as a child: on a free loopback port, its output in a file, and gone when its owner is gone.
//!
//! Every child is on a leash, a two-line shell that kills it as soon as the test process no longer holds the other
//! end of a pipe. So nothing is left running even when the test process is killed, and servers shared by all tests
//! may live in a `static`, which Rust never drops.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Runs "$@" and prints its pid; kills it when standard input closes; ends as it ends, and sweeps `$SWEEP` then.
const LEASH: &str = r#"
exec 3<&0
"$@" </dev/null 3<&- >>"$LOG" 2>&1 &
server=$!
echo $server
(cat <&3; kill -9 $server) >/dev/null 2>&1 &
watch=$!
exec 3<&-
wait $server
code=$?
kill -9 $watch
[ -z "$SWEEP" ] || rm -rf "$SWEEP"
exit $code
"#;

/// How long a killed program may take to be gone.
const REAP_LIMIT: Duration = Duration::from_secs(10);

/// Lines of a log shown when a program does not get ready.
const LOG_TAIL_LINES: usize = 30;

/// A free port on 127.0.0.1. Another process may take it before it is used; nothing here does.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// The folder beside the test executables, such as `target/debug`.
pub fn target_folder() -> PathBuf {
    let executable = std::env::current_exe().expect("a running program has a path");
    executable
        .parent()
        .and_then(Path::parent)
        .expect("test executables are in target/<profile>/deps")
        .to_owned()
}

/// How long logs of earlier runs are kept.
const LOG_KEPT: Duration = Duration::from_hours(24);

/// A fresh log file of this name; yesterday's are removed.
fn fresh_log(name: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let folder = target_folder().join("e2e-logs");
    fs::create_dir_all(&folder).expect("the target folder is writable");
    for old in fs::read_dir(&folder).into_iter().flatten().flatten() {
        let age = old.metadata().and_then(|of| of.modified()).ok().and_then(|at| at.elapsed().ok());
        if age.is_some_and(|age| age > LOG_KEPT) {
            let _ = fs::remove_file(old.path());
        }
    }
    let log =
        folder.join(format!("{name}-{}-{}.log", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    File::create(&log).expect("the log folder is writable");
    log
}

/// A running program.
#[derive(Debug)]
pub struct ServerProcess {
    name: String,
    shell: Child,
    leash: Option<ChildStdin>,
    pid: Pid,
    log: PathBuf,
}

impl ServerProcess {
    /// Starts the program. `sweep` is a folder of its own that is removed when the test process ends.
    pub fn start(name: &str, command: &Command, sweep: Option<&Path>) -> Self {
        let log = fresh_log(name);
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(LEASH).arg("leash").arg(command.get_program()).args(command.get_args());
        shell.env_clear();
        for (key, value) in command.get_envs() {
            if let Some(value) = value {
                shell.env(key, value);
            }
        }
        shell.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        shell.env("LOG", &log).env("SWEEP", sweep.unwrap_or(Path::new("")));
        if let Some(folder) = command.get_current_dir() {
            shell.current_dir(folder);
        }
        let mut shell = shell
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("every POSIX machine has sh");
        let leash = shell.stdin.take();
        let mut line = String::new();
        BufReader::new(shell.stdout.take().expect("standard output is piped"))
            .read_line(&mut line)
            .expect("the leash prints the pid");
        let pid = line.trim().parse().ok().and_then(Pid::from_raw).expect("the leash prints the pid");
        Self { name: name.to_owned(), shell, leash, pid, log }
    }

    /// Where the program's output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// What the program has printed so far.
    pub fn output(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until `url` answers 200.
    ///
    /// # Panics
    /// When it does not in time, or the program ends; with the end of its log.
    pub async fn wait_until_ready(&mut self, url: &str, limit: Duration) {
        let http = crate::rest::http_client();
        let started = Instant::now();
        loop {
            let answer = http.get(url).timeout(Duration::from_secs(2)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            let ended = self.ended();
            assert!(
                started.elapsed() < limit && ended.is_none(),
                "{} is not ready after {:?} (ended: {ended:?}); the end of {}:\n{}",
                self.name,
                started.elapsed(),
                self.log.display(),
                self.log_tail(),
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How the program ended, if it has: the exit code, or 128 + the signal.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.shell.try_wait().expect("the leash is our child")
    }

    /// Kills the program as a power cut would, and waits until it is gone.
    pub fn kill(&mut self) {
        self.end(Signal::KILL, REAP_LIMIT);
    }

    /// Sends the signal and waits for the end; the exit code and the time it took.
    ///
    /// # Panics
    /// When the program is still there after `limit`.
    pub fn end(&mut self, signal: Signal, limit: Duration) -> (Option<i32>, Duration) {
        let started = Instant::now();
        if self.ended().is_none() {
            // An error means that it ended just now.
            let _ = kill_process(self.pid, signal);
        }
        loop {
            if let Some(status) = self.ended() {
                self.leash = None;
                return (status.code(), started.elapsed());
            }
            assert!(started.elapsed() < limit, "{} is still there {limit:?} after {signal:?}", self.name);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Stops the program in its tracks, or lets it go on; connections stay open.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).expect("the program is running");
    }

    fn log_tail(&self) -> String {
        let output = self.output();
        let lines: Vec<&str> = output.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: log kept in {}", self.name, self.log.display());
        }
        if self.ended().is_none() {
            let _ = kill_process(self.pid, Signal::CONT);
            let _ = kill_process(self.pid, Signal::KILL);
        }
        self.leash = None;
        let _ = self.shell.wait();
        if !std::thread::panicking() {
            let _ = fs::remove_file(&self.log);
        }
    }
}

/// Reads a small file, such as one that a program wrote on start.
pub(crate) fn read_small(path: &Path) -> String {
    const LIMIT_BYTES: u64 = 64 * 1024;
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(LIMIT_BYTES).read_to_string(&mut text))
        .unwrap_or_else(|error| panic!("{} cannot be read: {error}", path.display()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_ends_with_its_owner_and_its_exit_code_is_seen() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo hello; trap 'exit 7' TERM; while :; do sleep 0.05; done"]);
        let mut process = ServerProcess::start("sleeper", &command, None);
        while !process.output().contains("hello") {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(process.ended().is_none());
        let (code, _) = process.end(Signal::TERM, Duration::from_secs(5));
        assert_eq!(code, Some(7));
    }

    #[test]
    fn a_dropped_program_is_killed() {
        let mut command = Command::new("sleep");
        command.arg("600");
        let process = ServerProcess::start("sleeper", &command, None);
        let pid = process.pid;
        drop(process);
        assert!(rustix::process::test_kill_process(pid).is_err());
    }
}
