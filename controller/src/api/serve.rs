//! Serves a router on a listener that the caller owns, until the caller says stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use tokio::net::TcpListener;

/// How long a connection may take to its first request, TLS handshake included, in seconds.
const FIRST_REQUEST_TIMEOUT_SECONDS: u64 = 15;
/// How long a kept connection may wait for, or take over, its next request's header, in seconds.
const HEADER_TIMEOUT_SECONDS: u64 = 60;
/// How long requests may go on after shutdown began, in seconds; the process is gone after 20.
const DRAIN_SECONDS: u64 = 15;
/// The most bytes of a request's header.
const HEADER_MAX_BYTES: usize = 32 * 1024;
/// The most requests at once on one HTTP/2 connection.
const HTTP2_STREAMS_MAX: u32 = 128;

/// How connections are secured.
#[derive(Clone, Debug)]
pub enum Tls {
    /// Not: loopback, or a proxy in front.
    Off,
    /// With this certificate and key.
    On(Arc<rustls::ServerConfig>),
}

/// Serves until `shutdown` completes, then lets running requests finish for a while.
///
/// # Errors
/// The listener cannot be used.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Tls,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let handle: Handle<SocketAddr> = Handle::new();
    let mut server = axum_server::Server::from_listener(listener)
        .handle(handle.clone())
        .first_request_timeout(Duration::from_secs(FIRST_REQUEST_TIMEOUT_SECONDS));
    let builder = server.http_builder();
    builder
        .http1()
        .header_read_timeout(Duration::from_secs(HEADER_TIMEOUT_SECONDS))
        .max_buf_size(HEADER_MAX_BYTES);
    builder
        .http2()
        .max_concurrent_streams(HTTP2_STREAMS_MAX)
        .max_header_list_size(u32::try_from(HEADER_MAX_BYTES).expect("a small constant"));
    let app = router.into_make_service();
    let stop = async {
        shutdown.await;
        handle.graceful_shutdown(Some(Duration::from_secs(DRAIN_SECONDS)));
    };
    match tls {
        Tls::Off => {
            let (served, ()) = tokio::join!(server.serve(app), stop);
            served
        }
        Tls::On(config) => {
            let acceptor = RustlsAcceptor::new(RustlsConfig::from_config(config))
                .handshake_timeout(Duration::from_secs(FIRST_REQUEST_TIMEOUT_SECONDS));
            let (served, ()) = tokio::join!(server.acceptor(acceptor).serve(app), stop);
            served
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::{Notify, oneshot};

    use super::*;

    #[tokio::test]
    async fn a_running_request_is_finished_after_shutdown_began() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let arrived = Arc::new(Notify::new());
        let arriving = Arc::clone(&arrived);
        let slow = || async move {
            arriving.notify_one();
            tokio::time::sleep(Duration::from_millis(200)).await;
            "done"
        };
        let router = Router::new().route("/", get(slow));
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(serve(listener, router, Tls::Off, async { drop(stopped.await) }));
        let mut stream = TcpStream::connect(address).await.expect("connected");
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.expect("sent");
        arrived.notified().await;
        stop.send(()).expect("serving");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
        let ended = tokio::time::timeout(Duration::from_secs(5), serving).await.expect("ended in time");
        ended.expect("no panic").expect("served");
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    }
}
