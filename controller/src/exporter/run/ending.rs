//! What happens after a turn: when the next one is due, what is saved of it, what the log may free, and the last end.

use std::time::Duration;

use barndoor_crds::name::DestinationUid;
use barndoor_crds::reason::Reason;
use jiff::Timestamp;
use tokio::task::{Id, JoinError};
use tokio::time::Instant;

use super::RETENTION_LOOK_MAX;
use super::table::{Again, Ended, LOOK_PAUSE, Seat, Table};
use crate::destinations::Destinations;
use crate::event_log::LogError;
use crate::exporter::deliver::{Exporter, Turn, TurnError};
use crate::exporter::live::Live;
use crate::exporter::retry::backoff;
use crate::exporter::store::Issue;
use crate::exporter::trim::trim;

/// How long a shutdown waits for PUTs under way; what is cut off then is pursued after the next start.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(10);

impl Table {
    pub(super) fn ended(&mut self, ended: Result<(Id, Ended), JoinError>) {
        let (uid, exporter, ended) = match ended {
            Ok((id, ended)) => {
                self.running.remove(&id);
                ended
            }
            Err(error) => {
                let Some(uid) = self.running.remove(&error.id()) else {
                    return;
                };
                if let Some(entry) = self.entries.get_mut(&uid) {
                    tracing::error!(destination = %uid, %error, "an exporter broke off; it begins again from what is durable");
                    let exporter = Exporter::new(self.ports.clone(), entry.organization.clone(), uid.clone());
                    entry.live.failed(&defect(), self.ports.clock.now());
                    return self.rest(&uid, exporter, Ok(Turn::Failed(defect())));
                }
                return;
            }
        };
        self.rest(&uid, exporter, ended);
    }

    /// Decides when the destination has its next turn.
    fn rest(&mut self, uid: &DestinationUid, mut exporter: Exporter, ended: Result<Turn, TurnError>) {
        let Some(entry) = self.entries.get_mut(uid) else {
            return;
        };
        let again = match entry.seat {
            Seat::Running { again, .. } => again,
            Seat::Waiting(_) => Again::No,
        };
        let now = Instant::now();
        let mut failed = false;
        let at = match ended {
            Ok(Turn::Idle { look_at }) => {
                entry.failures = 0;
                let retention = (self.ports.retention / 10).clamp(LOOK_PAUSE, RETENTION_LOOK_MAX);
                let look_at = look_at.map(|time| now + until(time, self.ports.clock.now()));
                Some(look_at.unwrap_or(now + retention).min(now + retention))
            }
            Ok(Turn::NoPlace) => None,
            Ok(Turn::Failed(issue)) => {
                tracing::info!(
                    destination = %uid, operation = issue.operation, reason = %issue.reason, message = issue.message,
                    "a delivery failed and will be tried again"
                );
                failed = true;
                None
            }
            Err(error) => {
                if !matches!(error, TurnError::Lost) {
                    tracing::error!(destination = %uid, %error, "a delivery broke off and will be tried again");
                    entry.live.failed(&internal(&error), self.ports.clock.now());
                }
                exporter.forget();
                failed = true;
                None
            }
        };
        entry.seat = Seat::Waiting(Box::new(exporter));
        let at = if failed {
            entry.failures = entry.failures.saturating_add(1);
            Some(now + backoff(entry.failures, (self.ports.jitter)()))
        } else {
            at
        };
        match (again, at) {
            (Again::Now, _) => {
                entry.failures = 0;
                self.wheel.set(uid.clone(), now);
            }
            (Again::Soon, at) if !failed => {
                let soon = now + LOOK_PAUSE;
                self.wheel.set(uid.clone(), at.map_or(soon, |at| at.min(soon)));
            }
            (_, Some(at)) => self.wheel.set(uid.clone(), at),
            (_, None) => self.wheel.remove(uid),
        }
        self.to_trim.extend(self.entries.get(uid).map(|entry| entry.organization.clone()));
    }

    /// Every organization that has a log, those without destinations too: what the last run left behind.
    pub(super) async fn note_all_for_trimming(&mut self) {
        match self.ports.log.organizations().await {
            Ok(organizations) => self.to_trim.extend(organizations),
            Err(error) => tracing::warn!(%error, "the event log could not be trimmed"),
        }
    }

    /// Frees what nobody needs any more, beside the turns: where one ended, and where one is draining a backlog.
    pub(super) fn trim(&mut self) {
        while let Some(done) = self.trims.try_join_next() {
            // A trim that failed is made up for.
            self.to_trim.extend(done.ok().flatten());
        }
        let draining = self.running.values().filter_map(|uid| self.entries.get(uid));
        self.to_trim.extend(draining.map(|entry| entry.organization.clone()));
        for uid in std::mem::take(&mut self.to_trim) {
            let ports = self.ports.clone();
            self.trims.spawn(async move {
                let trimmed = trim(&*ports.log, &*ports.records, &uid).await;
                trimmed.err().map(|error| {
                    tracing::warn!(organization = %uid, %error, "the event log could not be trimmed; it is tried again");
                    uid
                })
            });
        }
    }

    pub(super) async fn stop(mut self) {
        for entry in self.entries.values() {
            entry.live.gate.shut();
        }
        let rest = async { while self.turns.join_next().await.is_some() {} };
        if tokio::time::timeout(SHUTDOWN_PATIENCE, rest).await.is_err() {
            self.turns.shutdown().await;
        }
        let saves =
            self.entries.iter().map(|(uid, entry)| save_health(&*self.destinations, uid, &entry.live));
        futures_util::future::join_all(saves).await;
        while self.trims.join_next().await.is_some() {}
    }
}

pub(super) async fn save_health(destinations: &dyn Destinations, uid: &DestinationUid, live: &Live) {
    let Some(health) = live.unsaved_health() else { return };
    if let Err(error) = destinations.save_health(uid, health).await {
        tracing::warn!(destination = %uid, %error, "the health could not be saved");
    }
}

fn until(time: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(time.duration_since(now)).unwrap_or_default()
}

fn internal(error: &TurnError) -> Issue {
    let (reason, remedy) = match error {
        TurnError::Log(LogError::Damaged { .. }) => (
            Reason::LogDamaged,
            "restore the data folder from a backup, or remove the destination and declare it again",
        ),
        TurnError::Log(_) | TurnError::Storage(_) | TurnError::Lost => {
            (Reason::StoreError, "look at the controller's log: its own storage failed")
        }
    };
    Issue { operation: "EventLog", reason, code: None, message: error.to_string(), remedy: remedy.to_owned() }
}

fn defect() -> Issue {
    Issue {
        operation: "Export",
        reason: Reason::StoreError,
        code: None,
        message: "the exporter stopped on a defect of its own; nothing is lost".to_owned(),
        remedy: "report it with the controller's log".to_owned(),
    }
}
