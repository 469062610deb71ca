//! Every destination with a place or a wish: who is looked at when, and who has a turn now.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use barndoor_crds::name::{DestinationUid, OrganizationUid};
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::Instant;

use super::ending::save_health;
use super::handle::Exporters;
use super::wheel::Wheel;
use crate::destinations::{Destination, Destinations, Health, StorageError};
use crate::exporter::deliver::{Exporter, Ports, Turn, TurnError};
use crate::exporter::live::Live;

/// Least time between two looks at a destination whose log grows all the time.
pub(super) const LOOK_PAUSE: Duration = Duration::from_secs(1);

pub(super) type Ended = (DestinationUid, Exporter, Result<Turn, TurnError>);

pub(super) struct Table {
    pub(super) exporters: Exporters,
    pub(super) ports: Arc<Ports>,
    pub(super) destinations: Arc<dyn Destinations>,
    pub(super) entries: HashMap<DestinationUid, Entry>,
    pub(super) organizations: HashMap<OrganizationUid, BTreeSet<DestinationUid>>,
    pub(super) to_trim: HashSet<OrganizationUid>,
    pub(super) trims: JoinSet<Option<OrganizationUid>>,
    pub(super) missed: Missed,
    pub(super) wheel: Wheel<DestinationUid>,
    pub(super) turns: JoinSet<Ended>,
    pub(super) running: HashMap<Id, DestinationUid>,
}

pub(super) struct Entry {
    pub(super) live: Arc<Live>,
    pub(super) organization: OrganizationUid,
    pub(super) seat: Seat,
    pub(super) looked_at: Option<Instant>,
    pub(super) failures: u32,
}

/// Whether changes were announced faster than they were heard.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Missed {
    Nothing,
    Declarations,
}

/// Where the exporter is.
pub(super) enum Seat {
    Waiting(Box<Exporter>),
    Running { turn: AbortHandle, again: Again },
}

/// Whether something happened during a turn that it may have missed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    No,
    Soon,
    Now,
}

impl Table {
    pub(super) fn new(exporters: Exporters, ports: Arc<Ports>, destinations: Arc<dyn Destinations>) -> Self {
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
    pub(super) async fn look_at_all(&mut self) -> Result<(), StorageError> {
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

    pub(super) async fn tick(&mut self) {
        self.trim();
        if self.missed == Missed::Declarations {
            match self.look_at_all().await {
                Ok(()) => self.missed = Missed::Nothing,
                Err(error) => tracing::warn!(%error, "the destinations could not be read; it is tried again"),
            }
        }
    }

    pub(super) async fn declared(&mut self, destination: Destination) {
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

    pub(super) fn removed(&mut self, uid: &DestinationUid) {
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

    pub(super) fn woken(&mut self) {
        for uid in self.exporters.take_woken() {
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

    pub(super) fn grown(&mut self, organization: &OrganizationUid) {
        let Some(destinations) = self.organizations.get(organization) else { return };
        for uid in destinations.clone() {
            self.look_soon(&uid);
        }
    }

    pub(super) fn grown_somewhere(&mut self) {
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

    pub(super) fn start_due(&mut self) {
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
}
