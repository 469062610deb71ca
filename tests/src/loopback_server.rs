//! An HTTP server inside the test process that may also behave badly: hang up instead of answering.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The largest request body, in bytes; objects of the tests are far smaller.
const BODY_LIMIT_BYTES: usize = 128 * 1024 * 1024;

/// The handler answers nothing: the connection is closed under the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("hung up on purpose")]
pub struct HangUp;

/// What a handler comes to.
pub type Answer = Result<Response<Full<Bytes>>, HangUp>;

/// A running server; gone when dropped.
#[derive(Debug)]
pub struct LoopbackServer {
    endpoint: String,
    stop: CancellationToken,
}

impl LoopbackServer {
    /// Serves on a free port of 127.0.0.1. Must be called inside a runtime, and lives no longer than it.
    ///
    /// # Panics
    /// When loopback has no free port.
    pub async fn start<H, F>(handler: H) -> Self
    where
        H: Fn(Request<Bytes>) -> F + Send + Sync + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(accept(listener, Arc::new(handler))));
        Self { endpoint, stop }
    }

    /// `http://127.0.0.1:<port>`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl Drop for LoopbackServer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn accept<H, F>(listener: TcpListener, handler: Arc<H>) -> Infallible
where
    H: Fn(Request<Bytes>) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    // The connections end with the server: a JoinSet aborts its tasks when dropped.
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let handler = Arc::clone(&handler);
        connections.spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let handler = Arc::clone(&handler);
                async move {
                    let (parts, body) = request.into_parts();
                    let body =
                        Limited::new(body, BODY_LIMIT_BYTES).collect().await.map_err(|_| HangUp)?.to_bytes();
                    handler(Request::from_parts(parts, body)).await
                }
            });
            // An error is a client that went away, or a hang-up on purpose.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
        while connections.try_join_next().is_some() {}
    }
}
