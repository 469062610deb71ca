//! Gives every destination its turns: one task keeps the table and one wheel of due times; a turn is a task of its
//! own, so that one destination's trouble delays no other. A destination without work costs an entry in the table.

mod wheel;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use barndoor_crds::name::{DestinationUid, OrganizationUid};
use barndoor_crds::reason::Reason;
use barndoor_crds::status::CheckReport;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::destinations::{Change, Destination, Destinations, Health, StorageError, Wish};
use crate::exporter::deliver::{Exporter, Ports, Turn, TurnError};
use crate::exporter::live::Live;
use crate::exporter::retry::backoff;
use crate::exporter::store::Issue;
use crate::exporter::trim::trim;
use wheel::Wheel;

/// Least time between two looks at a destination whose log grows all the time.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// How often the log is trimmed where something was delivered, and missed declarations are made up for.
const TICK: Duration = Duration::from_secs(2);

/// How long [`Exporters::settle`] waits for a PUT that began before.
const SETTLE_PATIENCE: Duration = Duration::from_secs(5);

/// How long a shutdown waits for PUTs under way; what is cut off then is pursued after the next start.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(10);

/// Retention is looked after at least this often, also where nothing is streaming.
const RETENTION_LOOK_MAX: Duration = Duration::from_hours(1);

/// The handle to all exporters.
#[derive(Clone, Default)]
pub struct Exporters {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    lives: Mutex<HashMap<DestinationUid, Arc<Live>>>,
    wakes: Mutex<HashSet<DestinationUid>>,
    woken: Notify,
}

impl std::fmt::Debug for Exporters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Exporters(..)")
    }
}

/// What the exporter of one destination is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// `Paused`, `Starting`, `StreamingActive` or `Retrying`.
    pub reason: Reason,
    /// The last check, issue and object, newer than what was saved.
    pub health: Health,
}

impl Exporters {
    fn lives(&self) -> MutexGuard<'_, HashMap<DestinationUid, Arc<Live>>> {
        self.shared.lives.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wakes(&self) -> MutexGuard<'_, HashSet<DestinationUid>> {
        self.shared.wakes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn live(&self, destination: &DestinationUid) -> Option<Arc<Live>> {
        self.lives().get(destination).cloned()
    }

    fn live_or_new(&self, destination: Destination) -> Arc<Live> {
        let uid = destination.uid.clone();
        self.lives().entry(uid).or_insert_with(|| Arc::new(Live::new(destination))).clone()
    }

    /// Takes a newer declaration at once and returns when no PUT can begin under an older one: call it after a wish
    /// or place was written and before it is answered. Waits at most 5 seconds for a PUT already under way.
    pub async fn declare(&self, destination: &Destination) {
        // Right after the start the table may not know it yet; what is declared here holds then, too.
        let live = self.live_or_new(destination.clone());
        live.declare(destination.clone());
        if destination.wish == Wish::Paused {
            live.gate.idle(SETTLE_PATIENCE).await;
        }
        self.wake(&destination.uid);
    }

    /// The destination is gone: returns when no PUT can begin; waits like [`Exporters::declare`].
    pub async fn remove(&self, destination: &DestinationUid) {
        if let Some(live) = self.live(destination) {
            live.gate.shut();
            live.gate.idle(SETTLE_PATIENCE).await;
        }
    }

    /// Looks at the destination at once and forgets its back-off: after Start, a healthy check, a changed declaration.
    pub fn wake(&self, destination: &DestinationUid) {
        self.wakes().insert(destination.clone());
        self.shared.woken.notify_one();
    }

    /// Remembers what a check found; a healthy one ends the back-off.
    pub fn checked(&self, destination: &DestinationUid, report: &CheckReport) {
        if let Some(live) = self.live(destination) {
            live.checked(report.clone());
        }
        if report.healthy {
            self.wake(destination);
        }
    }

    /// What the exporter is doing; `None` when the destination has none, or right after the start.
    pub fn activity(&self, destination: &DestinationUid) -> Option<Activity> {
        let live = self.live(destination).filter(|live| live.is_remembered())?;
        Some(Activity { reason: live.reason(), health: live.health() })
    }
}

/// Runs all exporters until `shutdown`, then lets PUTs under way end, for a while.
///
/// # Errors
/// When the destinations cannot be read at the start.
pub async fn run(
    exporters: Exporters,
    ports: Arc<Ports>,
    destinations: Arc<dyn Destinations>,
    shutdown: CancellationToken,
) -> Result<(), StorageError> {
    let mut log_changes = ports.log.changes();
    let mut declarations = destinations.changes();
    let mut table = Table::new(exporters, ports, destinations);
    table.look_at_all().await?;
    table.note_all_for_trimming().await;
    let mut tick = tokio::time::interval(TICK);
    loop {
        let due = table.wheel.next().unwrap_or_else(|| Instant::now() + RETENTION_LOOK_MAX);
        let shared = table.exporters.shared.clone();
        tokio::select! {
            () = shutdown.cancelled() => break,
            change = declarations.recv() => match change {
                Ok(Change::Declared(destination)) => table.declared(*destination).await,
                Ok(Change::Removed(uid)) => table.removed(&uid),
                Err(RecvError::Lagged(_)) => table.missed = Missed::Declarations,
                Err(RecvError::Closed) => break,
            },
            grown = log_changes.recv() => match grown {
                Ok(organization) => table.grown(&organization),
                Err(RecvError::Lagged(_)) => table.grown_somewhere(),
                Err(RecvError::Closed) => break,
            },
            Some(ended) = table.turns.join_next_with_id() => table.ended(ended),
            () = shared.woken.notified() => table.woken(),
            _ = tick.tick() => table.tick().await,
            () = tokio::time::sleep_until(due) => table.start_due(),
        }
    }
    table.stop().await;
    Ok(())
}

type Ended = (DestinationUid, Exporter, Result<Turn, TurnError>);

struct Table {
    exporters: Exporters,
    ports: Arc<Ports>,
    destinations: Arc<dyn Destinations>,
    entries: HashMap<DestinationUid, Entry>,
    organizations: HashMap<OrganizationUid, BTreeSet<DestinationUid>>,
    to_trim: HashSet<OrganizationUid>,
    trims: JoinSet<Option<OrganizationUid>>,
    missed: Missed,
    wheel: Wheel<DestinationUid>,
    turns: JoinSet<Ended>,
    running: HashMap<Id, DestinationUid>,
}

struct Entry {
    live: Arc<Live>,
    organization: OrganizationUid,
    seat: Seat,
    looked_at: Option<Instant>,
    failures: u32,
}

/// Whether changes were announced faster than they were heard.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missed {
    Nothing,
    Declarations,
}

/// Where the exporter is.
enum Seat {
    Waiting(Box<Exporter>),
    Running { turn: AbortHandle, again: Again },
}

/// Whether something happened during a turn that it may have missed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    No,
    Soon,
    Now,
}

impl Table {
    fn new(exporters: Exporters, ports: Arc<Ports>, destinations: Arc<dyn Destinations>) -> Self {
        Self {
            exporters,
            ports,
            destinations,
            entries: HashMap::new(),
            organizations: HashMap::new(),
            to_trim: HashSet::new(),
            trims: JoinSet::new(),
            missed: Missed::Nothing,
            wheel: Wheel::default(),
            turns: JoinSet::new(),
            running: HashMap::new(),
        }
    }

    /// Reads every destination anew: at the start, and when changes were missed.
    async fn look_at_all(&mut self) -> Result<(), StorageError> {
        let all = self.destinations.all().await?;
        let there: HashSet<DestinationUid> = all.iter().map(|destination| destination.uid.clone()).collect();
        let gone: Vec<DestinationUid> =
            self.entries.keys().filter(|uid| !there.contains(*uid)).cloned().collect();
        for uid in gone {
            self.removed(&uid);
        }
        for destination in all {
            self.declared(destination).await;
        }
        Ok(())
    }

    async fn tick(&mut self) {
        self.trim();
        if self.missed == Missed::Declarations {
            match self.look_at_all().await {
                Ok(()) => self.missed = Missed::Nothing,
                Err(error) => tracing::warn!(%error, "the destinations could not be read; it is tried again"),
            }
        }
    }

    async fn declared(&mut self, destination: Destination) {
        let uid = destination.uid.clone();
        if let Some(entry) = self.entries.get_mut(&uid) {
            entry.live.declare(destination);
            entry.failures = 0;
            self.look_now(&uid);
            return;
        }
        let health = match self.destinations.health(&uid).await {
            Ok(health) => health.unwrap_or_default(),
            Err(error) => {
                tracing::warn!(destination = %uid, %error, "the saved health could not be read");
                Health::default()
            }
        };
        let organization = destination.organization_uid.clone();
        let live = self.exporters.live_or_new(destination.clone());
        live.declare(destination);
        live.remember(health);
        self.organizations.entry(organization.clone()).or_default().insert(uid.clone());
        let exporter = Exporter::new(self.ports.clone(), organization.clone(), uid.clone());
        let entry = Entry {
            live,
            organization,
            seat: Seat::Waiting(Box::new(exporter)),
            looked_at: None,
            failures: 0,
        };
        self.entries.insert(uid.clone(), entry);
        self.look_now(&uid);
    }

    fn removed(&mut self, uid: &DestinationUid) {
        let Some(entry) = self.entries.remove(uid) else {
            return;
        };
        entry.live.gate.shut();
        if let Seat::Running { turn, .. } = entry.seat {
            turn.abort();
        }
        self.exporters.lives().remove(uid);
        self.ports.meter.gone(uid);
        self.wheel.remove(uid);
        if let Some(organization) = self.organizations.get_mut(&entry.organization) {
            organization.remove(uid);
        }
        self.to_trim.insert(entry.organization);
    }

    fn woken(&mut self) {
        let woken = std::mem::take(&mut *self.exporters.wakes());
        for uid in woken {
            if let Some(entry) = self.entries.get_mut(&uid) {
                entry.failures = 0;
                self.look_now(&uid);
            }
        }
    }

    fn look_now(&mut self, uid: &DestinationUid) {
        match self.entries.get_mut(uid).map(|entry| &mut entry.seat) {
            Some(Seat::Running { again, .. }) => *again = Again::Now,
            Some(Seat::Waiting(_)) => self.wheel.set(uid.clone(), Instant::now()),
            None => {}
        }
    }

    fn grown(&mut self, organization: &OrganizationUid) {
        let Some(destinations) = self.organizations.get(organization) else { return };
        for uid in destinations.clone() {
            self.look_soon(&uid);
        }
    }

    fn grown_somewhere(&mut self) {
        for uid in self.entries.keys().cloned().collect::<Vec<_>>() {
            self.look_soon(&uid);
        }
    }

    /// Events arrived: look, unless that was done just now, or the destination is paused or backing off.
    fn look_soon(&mut self, uid: &DestinationUid) {
        let Some(entry) = self.entries.get_mut(uid) else {
            return;
        };
        match &mut entry.seat {
            Seat::Running { again: again @ Again::No, .. } => *again = Again::Soon,
            Seat::Running { .. } => {}
            Seat::Waiting(_) if entry.failures > 0 || !entry.live.gate.is_open() => {}
            Seat::Waiting(_) => {
                let at = entry.looked_at.map_or_else(Instant::now, |looked_at| looked_at + LOOK_PAUSE);
                self.wheel.set_if_earlier(uid.clone(), at);
            }
        }
    }

    fn start_due(&mut self) {
        while let Some(uid) = self.wheel.pop(Instant::now()) {
            let Some(entry) = self.entries.get_mut(&uid) else {
                continue;
            };
            let live = entry.live.clone();
            entry.looked_at = Some(Instant::now());
            let Seat::Waiting(exporter) = &mut entry.seat else {
                continue;
            };
            // The exporter goes into the turn and comes back with its end; a fresh one stands in for a moment.
            let fresh = Exporter::new(self.ports.clone(), entry.organization.clone(), uid.clone());
            let mut exporter = std::mem::replace(&mut **exporter, fresh);
            let (destination, destinations) = (uid.clone(), self.destinations.clone());
            let turn = self.turns.spawn(async move {
                let ended = exporter.turn(&live).await;
                save_health(&*destinations, &destination, &live).await;
                (destination, exporter, ended)
            });
            self.running.insert(turn.id(), uid);
            entry.seat = Seat::Running { turn, again: Again::No };
        }
    }

    fn ended(&mut self, ended: Result<(Id, Ended), JoinError>) {
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
    async fn note_all_for_trimming(&mut self) {
        match self.ports.log.organizations().await {
            Ok(organizations) => self.to_trim.extend(organizations),
            Err(error) => tracing::warn!(%error, "the event log could not be trimmed"),
        }
    }

    /// Frees what nobody needs any more, beside the turns: where one ended, and where one is draining a backlog.
    fn trim(&mut self) {
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

    async fn stop(mut self) {
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

async fn save_health(destinations: &dyn Destinations, uid: &DestinationUid, live: &Live) {
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
        TurnError::Log(crate::event_log::LogError::Damaged { .. }) => (
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
