//! What is known of one destination while the controller runs: its declaration, gate and health.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use barndoor_crds::reason::Reason;
use barndoor_crds::status::{DeliveryIssue, LastObject};
use jiff::Timestamp;

use crate::destinations::{Destination, Health, Wish};
use crate::exporter::cut::Pace;
use crate::exporter::gate::Gate;
use crate::exporter::store::Issue;

/// One destination, shared by its exporter and those who ask about it.
#[derive(Debug)]
pub struct Live {
    /// Lets PUTs begin, or not.
    pub gate: Gate,
    state: Mutex<State>,
}

#[derive(Clone, Debug)]
struct State {
    destination: Arc<Destination>,
    pace: Pace,
    failing: bool,
    health: Health,
    /// `None` until [`Live::remember`].
    saved: Option<Health>,
}

impl Live {
    /// A destination as declared; what was saved of its health is not known yet.
    pub fn new(destination: Destination) -> Self {
        let gate = Gate::open();
        apply_wish(&gate, destination.wish);
        let state = State {
            pace: Pace::Steady,
            failing: false,
            health: Health::default(),
            saved: None,
            destination: Arc::new(destination),
        };
        Self { gate, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As declared last.
    pub fn destination(&self) -> Arc<Destination> {
        self.state().destination.clone()
    }

    /// Takes a newer declaration; a new wish to stream makes the next batch an early one.
    pub fn declare(&self, destination: Destination) {
        let mut state = self.state();
        if state.destination.generation > destination.generation {
            return;
        }
        if state.destination.wish != destination.wish {
            state.pace = Pace::First;
        }
        if !state.destination.connects_like(&destination) {
            state.health.forget_evidence();
            state.failing = false;
        }
        // Under the same lock: the gate follows the newest declaration, whoever brings it.
        apply_wish(&self.gate, destination.wish);
        state.destination = Arc::new(destination);
    }

    /// Takes the health that was saved before a restart, where nothing newer was seen already.
    pub fn remember(&self, saved: Health) {
        let mut state = self.state();
        let Health { check, last_issue, last_object, healthy_at } = saved.clone();
        let seen = std::mem::take(&mut state.health);
        state.failing |= last_issue.is_some() && seen.last_object.is_none();
        state.health = Health {
            check: seen.check.or(check),
            last_issue: seen.last_issue.or(last_issue.filter(|_| state.failing)),
            last_object: seen.last_object.or(last_object),
            healthy_at: seen.healthy_at.or(healthy_at),
        };
        state.saved = Some(saved);
    }

    /// Whether the health holds what was saved of it.
    pub fn is_remembered(&self) -> bool {
        self.state().saved.is_some()
    }

    /// Whether the store is entered as this destination says: the same place and authentication.
    pub fn connects_like(&self, destination: &Destination) -> bool {
        self.state().destination.connects_like(destination)
    }

    /// How patient the destination is.
    pub fn pace(&self) -> Pace {
        self.state().pace
    }

    /// An object is in the bucket.
    pub fn delivered(&self, key: String, at: Timestamp) {
        let mut state = self.state();
        state.pace = Pace::Steady;
        state.failing = false;
        state.health.last_object = Some(LastObject { key, at });
        state.health.last_issue = None;
        state.health.healthy_at = Some(at);
    }

    /// A delivery failed.
    pub fn failed(&self, issue: &Issue, at: Timestamp) {
        let Issue { operation, reason, code, message, remedy } = issue.clone();
        let mut state = self.state();
        let count = state.health.last_issue.as_ref().map_or(0, |issue| issue.count) + 1;
        state.failing = true;
        state.health.last_issue =
            Some(DeliveryIssue { at, operation: operation.to_owned(), reason, code, message, remedy, count });
    }

    /// The health to save; `None` when it was saved as it is, or is not known yet.
    pub fn unsaved_health(&self) -> Option<Health> {
        let mut state = self.state();
        if state.saved.as_ref().is_none_or(|saved| *saved == state.health) {
            return None;
        }
        state.saved = Some(state.health.clone());
        Some(state.health.clone())
    }

    /// The health now.
    pub fn health(&self) -> Health {
        self.state().health.clone()
    }

    /// Changes the health by what a check found.
    pub fn checked(&self, check: barndoor_crds::status::CheckReport) {
        let mut state = self.state();
        if check.healthy {
            state.health.healthy_at = Some(check.at);
        }
        state.health.check = Some(check);
    }

    /// What the exporter is doing, in a word.
    pub fn reason(&self) -> Reason {
        let state = self.state();
        match (state.destination.wish, state.failing, &state.health.last_object) {
            (Wish::Paused, _, _) => Reason::Paused,
            (Wish::Streaming, true, _) => Reason::Retrying,
            (Wish::Streaming, false, Some(_)) => Reason::StreamingActive,
            (Wish::Streaming, false, None) => Reason::Starting,
        }
    }
}

fn apply_wish(gate: &Gate, wish: Wish) {
    match wish {
        Wish::Streaming => gate.reopen(),
        Wish::Paused => gate.close(),
    }
}
