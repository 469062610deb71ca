//! A data folder for tests, a clock they set, and destinations by name.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use barndoor_crds::aws::RoleArn;
use barndoor_crds::name::{DestinationName, OrganizationName, OrganizationUid};
use barndoor_crds::place::{Addressing, Endpoint, PathPrefix, Place, Scheme};
use jiff::Timestamp;

use super::{Embedded, EmbeddedConfig, EventLogLimits, OpenError};
use crate::clock::Clock;
use crate::destinations::{
    AccessKeys, AsSent, Declaration, DeclaredAuth, Destination, Destinations, SettingsChange, Wish,
};

/// A clock that stands still until it is set.
pub(crate) struct SetClock(AtomicI64);

impl SetClock {
    pub(crate) fn at(text: &str) -> Arc<Self> {
        let clock = Self(AtomicI64::new(0));
        clock.set(text);
        Arc::new(clock)
    }

    pub(crate) fn set(&self, text: &str) {
        let time: Timestamp = text.parse().expect("a time");
        self.0.store(time.as_microsecond(), Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.0.load(Ordering::SeqCst)).expect("a time")
    }
}

/// Limits that no test reaches by accident.
pub(crate) const ROOMY: EventLogLimits =
    EventLogLimits { total_bytes: 10 * 1024 * 1024 * 1024, organization_share_percent: 50 };

pub(crate) fn config(folder: &Path) -> EmbeddedConfig {
    EmbeddedConfig {
        data_dir: folder.to_owned(),
        master_key: None,
        limits: ROOMY,
        clock: SetClock::at("2026-03-01T10:00:00.123456Z"),
    }
}

pub(crate) fn try_open(folder: &Path) -> Result<Embedded, OpenError> {
    Embedded::open(config(folder))
}

pub(crate) fn open(folder: &Path) -> Embedded {
    try_open(folder).expect("opens")
}

pub(crate) fn organization(name: &str) -> OrganizationName {
    name.parse().expect("an organization's name")
}

pub(crate) fn name(name: &str) -> DestinationName {
    name.parse().expect("a destination's name")
}

pub(crate) fn keys(id: &str) -> DeclaredAuth {
    DeclaredAuth::NewAccessKeys(AccessKeys {
        access_key_id: id.to_owned(),
        secret_access_key: format!("{id}-secret"),
    })
}

pub(crate) fn role() -> DeclaredAuth {
    let role: RoleArn = "arn:aws:iam::123456789012:role/audit".parse().expect("a role");
    DeclaredAuth::IamRole(role)
}

pub(crate) fn declaration(bucket: &str, auth: DeclaredAuth) -> Declaration {
    Declaration {
        place: Place {
            endpoint: Endpoint::parse("https://s3.us-east-1.amazonaws.com", Scheme::Https)
                .expect("an endpoint"),
            region: "us-east-1".parse().expect("a region"),
            bucket: bucket.parse().expect("a bucket"),
            prefix: PathPrefix::default(),
            addressing: Addressing::Auto,
        },
        as_sent: AsSent {
            endpoint: "https://s3.us-east-1.amazonaws.com".to_owned(),
            bucket: bucket.to_owned(),
            region: Some("us-east-1".to_owned()),
            path_prefix: None,
            use_ssl: true,
            use_path_style: false,
        },
        auth,
    }
}

pub(crate) fn wish(wish: Wish) -> SettingsChange {
    SettingsChange { wish: Some(wish), ..SettingsChange::default() }
}

/// Declares a destination of the organization that wishes to stream.
pub(crate) async fn streaming(embedded: &Embedded, organization: &OrganizationUid) -> Destination {
    let (organization, name) = (self::organization(organization.as_str()), name("audit"));
    embedded.declare(&organization, &name, declaration("acme-audit", role())).await.expect("declares");
    embedded.adjust(&organization, &name, wish(Wish::Streaming)).await.expect("adjusts").expect("is there")
}
