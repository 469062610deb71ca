//! How likely each fault is, drawn from the seed.

use rand::Rng;
use rand::rngs::StdRng;

/// How likely each fault is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Faults {
    pub(super) credentials_refused: f64,
    pub(super) put_refused: f64,
    pub(super) put_busy: f64,
    pub(super) reply_lost: f64,
    pub(super) request_lost: f64,
    pub(super) request_late: f64,
    pub(super) list_refused: f64,
    pub(super) condition_ignored: f64,
    /// Not a fault of the store: somebody changes the declaration in the middle of a turn.
    pub(super) redeclared: f64,
}

impl Faults {
    pub(super) fn none() -> Self {
        Self {
            credentials_refused: 0.0,
            put_refused: 0.0,
            put_busy: 0.0,
            reply_lost: 0.0,
            request_lost: 0.0,
            request_late: 0.0,
            list_refused: 0.0,
            condition_ignored: 0.0,
            redeclared: 0.0,
        }
    }

    pub(super) fn draw(rng: &mut StdRng) -> Self {
        let mut one = || {
            if rng.random_bool(0.4) { rng.random_range(0.0..0.5) } else { 0.0 }
        };
        Self {
            credentials_refused: one() / 2.0,
            put_refused: one(),
            put_busy: one(),
            reply_lost: one(),
            request_lost: one() / 2.0,
            request_late: one() / 2.0,
            list_refused: one(),
            condition_ignored: one(),
            redeclared: one() / 20.0,
        }
    }
}
