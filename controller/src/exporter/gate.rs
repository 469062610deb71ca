//! Lets PUTs begin, or not: what makes the answer to a pause true.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

/// One destination's gate.
#[derive(Debug)]
pub struct Gate {
    state: Mutex<State>,
    idle: Notify,
}

#[derive(Clone, Copy, Debug)]
struct State {
    passage: Passage,
    under_way: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passage {
    Open,
    Closed,
    /// For good: the destination is gone, or the process ends.
    Shut,
}

/// A PUT under way; dropping it says that it ended.
#[derive(Debug)]
pub struct UnderWay<'a>(&'a Gate);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.with(|state| state.under_way -= 1);
        self.0.idle.notify_waiters();
    }
}

impl Gate {
    /// A gate through which PUTs may begin.
    pub fn open() -> Self {
        Self { state: Mutex::new(State { passage: Passage::Open, under_way: 0 }), idle: Notify::new() }
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Begins a PUT, unless the gate is closed.
    pub fn begin(&self) -> Option<UnderWay<'_>> {
        self.with(|state| match state.passage {
            Passage::Open => {
                state.under_way += 1;
                Some(UnderWay(self))
            }
            Passage::Closed | Passage::Shut => None,
        })
    }

    /// Whether a PUT could begin.
    pub fn is_open(&self) -> bool {
        self.with(|state| state.passage == Passage::Open)
    }

    /// Lets PUTs begin again, unless it is shut.
    pub fn reopen(&self) {
        self.pass(Passage::Open);
    }

    /// From now on no PUT begins.
    pub fn close(&self) {
        self.pass(Passage::Closed);
    }

    /// From now on no PUT begins, ever.
    pub fn shut(&self) {
        self.pass(Passage::Shut);
    }

    fn pass(&self, passage: Passage) {
        self.with(|state| {
            if state.passage != Passage::Shut {
                state.passage = passage;
            }
        });
    }

    /// Returns when no PUT is under way, or after `patience`.
    pub async fn idle(&self, patience: Duration) {
        let wait = async {
            loop {
                let notified = self.idle.notified();
                if self.with(|state| state.under_way == 0) {
                    return;
                }
                notified.await;
            }
        };
        // A PUT that outlasts the patience began before; it may end when it will.
        let _ = tokio::time::timeout(patience, wait).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn after_closing_no_put_begins_and_the_last_one_is_awaited() {
        let gate = Gate::open();
        let put = gate.begin().expect("the gate is open");
        gate.close();
        assert!(gate.begin().is_none());
        tokio::join!(gate.idle(Duration::from_mins(1)), async { drop(put) });
        gate.reopen();
        assert!(gate.begin().is_some());
        gate.shut();
        gate.reopen();
        assert!(gate.begin().is_none(), "a late declaration does not bring a removed destination back");
    }
}
