//! Stopping: the first SIGTERM or SIGINT asks, the second insists.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long a stop may take before it is cut short, in seconds: below the 20 that operators are promised. Cutting it
/// short loses nothing, as kill -9 loses nothing.
const STOP_DEADLINE_SECONDS: u64 = 18;

/// The exit code of a process that a second signal ended, as shells write it for SIGINT.
const INSISTED_EXIT_CODE: i32 = 130;

/// A token that the first signal cancels. After it, a second signal or the deadline ends the process.
pub(super) fn shutdown_token() -> io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let cancel = token.clone();
    // Lives as long as the process; nobody waits for it, because it ends the process.
    tokio::spawn(async move {
        next(&mut terminate, &mut interrupt).await;
        tracing::info!("stopping; a second signal stops at once");
        cancel.cancel();
        tokio::select! {
            () = next(&mut terminate, &mut interrupt) => std::process::exit(INSISTED_EXIT_CODE),
            () = tokio::time::sleep(Duration::from_secs(STOP_DEADLINE_SECONDS)) => {
                tracing::warn!(after_seconds = STOP_DEADLINE_SECONDS, "the stop was cut short; nothing is lost");
                std::process::exit(0);
            }
        }
    });
    Ok(token)
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => (),
        _ = interrupt.recv() => (),
    }
}
