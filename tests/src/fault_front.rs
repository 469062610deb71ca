//! Bad weather between the controller and any store: answers lost after the object was stored, `503 SlowDown`,
//! an outage. Requests pass unchanged, Host included, so that their signatures stay valid.
//!
//! The dice are seeded: the same seed and order of requests meet the same faults. Everything stored is remembered by
//! hash, so that a test can ask whether any object was ever replaced by other bytes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::crypto::sha256_hex;
use crate::loopback_server::{Answer, HangUp, LoopbackServer};
use crate::sigv4::decode;

/// What uploads meet. Everything but uploads passes, except in an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Everything passes.
    Calm,
    /// Of every hundred uploads so many are stored without an answer, and so many answered 503 without being stored.
    Rough {
        /// Stored, then the connection is closed.
        answers_lost_percent: u32,
        /// `503 SlowDown`, not stored.
        slow_down_percent: u32,
    },
    /// Every upload is late by this much; its answer is proper.
    Slow(Duration),
    /// Nobody answers: every connection is closed.
    Outage,
}

/// What happened so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Uploads that passed and whose answer passed.
    pub passed: usize,
    /// Uploads that were stored without an answer.
    pub answers_lost: usize,
    /// Uploads that were answered 503.
    pub slowed_down: usize,
    /// Hashes of all bodies that the store acknowledged, per path, in order.
    pub stored: BTreeMap<String, Vec<String>>,
}

impl Tally {
    /// Paths under which the store acknowledged different bytes.
    pub fn overwritten_with_other_bytes(&self) -> Vec<&str> {
        self.stored
            .iter()
            .filter(|(_, hashes)| hashes.iter().any(|hash| *hash != hashes[0]))
            .map(|(path, _)| path.as_str())
            .collect()
    }
}

#[derive(Debug)]
struct State {
    weather: Weather,
    dice: StdRng,
    tally: Tally,
}

/// A running front.
#[derive(Debug)]
pub struct FaultFront {
    server: LoopbackServer,
    state: Arc<Mutex<State>>,
}

/// What the dice say about one request.
enum Fate {
    Pass,
    PassLate(Duration),
    LoseAnswer,
    SlowDown,
    HangUp,
}

impl FaultFront {
    /// Starts one in front of the store, in calm weather.
    pub async fn start(store: &str, seed: u64) -> Self {
        let state = Arc::new(Mutex::new(State {
            weather: Weather::Calm,
            dice: StdRng::seed_from_u64(seed),
            tally: Tally::default(),
        }));
        let (shared, store, http) = (Arc::clone(&state), store.to_owned(), crate::rest::http_client());
        let server = LoopbackServer::start(move |request| {
            let (state, store, http) = (Arc::clone(&shared), store.clone(), http.clone());
            async move { pass(&state, &store, &http, request).await }
        })
        .await;
        Self { server, state }
    }

    /// Where the store is reached through the front.
    pub fn endpoint(&self) -> &str {
        self.server.endpoint()
    }

    /// Changes the weather from the next request on.
    pub fn set(&self, weather: Weather) {
        lock(&self.state).weather = weather;
    }

    /// What happened so far.
    pub fn tally(&self) -> Tally {
        lock(&self.state).tally.clone()
    }
}

/// A test that panicked with the lock held has failed already.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl State {
    fn fate(&mut self, method: &Method) -> Fate {
        match (self.weather, method == Method::PUT) {
            (Weather::Outage, _) => Fate::HangUp,
            (_, false) | (Weather::Calm, true) => Fate::Pass,
            (Weather::Slow(span), true) => Fate::PassLate(span),
            (Weather::Rough { answers_lost_percent, slow_down_percent }, true) => {
                let roll = self.dice.random_range(0..100);
                if roll < answers_lost_percent {
                    Fate::LoseAnswer
                } else if roll < answers_lost_percent + slow_down_percent {
                    Fate::SlowDown
                } else {
                    Fate::Pass
                }
            }
        }
    }
}

async fn pass(state: &Mutex<State>, store: &str, http: &reqwest::Client, request: Request<Bytes>) -> Answer {
    let fate = lock(state).fate(request.method());
    match fate {
        Fate::HangUp => Err(HangUp),
        Fate::SlowDown => {
            lock(state).tally.slowed_down += 1;
            Ok(slow_down())
        }
        Fate::PassLate(span) => {
            tokio::time::sleep(span).await;
            forward(state, store, http, request).await
        }
        Fate::Pass => forward(state, store, http, request).await,
        Fate::LoseAnswer => {
            let answer = forward(state, store, http, request).await?;
            if answer.status().is_success() {
                let mut state = lock(state);
                state.tally.answers_lost += 1;
                state.tally.passed -= 1;
            }
            Err(HangUp)
        }
    }
}

async fn forward(
    state: &Mutex<State>,
    store: &str,
    http: &reqwest::Client,
    request: Request<Bytes>,
) -> Answer {
    let (parts, body) = request.into_parts();
    let upload = (parts.method == Method::PUT).then(|| (decode(parts.uri.path()), sha256_hex(&body)));
    // Host passes as it came, because it is signed; `connection` concerns this hop only.
    let mut headers = parts.headers;
    headers.remove("connection");
    let answer = http
        .request(parts.method, format!("{store}{}", parts.uri))
        .headers(headers)
        .body(body)
        .send()
        .await
        .map_err(|_| HangUp)?;
    if let Some((path, hash)) = upload.filter(|_| answer.status().is_success()) {
        let mut state = lock(state);
        state.tally.passed += 1;
        state.tally.stored.entry(path).or_default().push(hash);
    }
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    let body = answer.bytes().await.map_err(|_| HangUp)?;
    headers.remove("transfer-encoding");
    headers.remove("connection");
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

fn slow_down() -> Response<Full<Bytes>> {
    let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response.headers_mut().insert("content-type", "application/xml".parse().expect("a header value"));
    response
}
