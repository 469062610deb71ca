//! From a declared destination to the bodies that clients read. Pure: what was sent comes back as it was sent.

use barndoor_crds::aws::ExternalId;
use barndoor_crds::rest::destination::AuthMethod;
use barndoor_crds::rest::{DestinationObject, ExportObject, PROVIDER_S3, SettingsObject};

use crate::destinations::{Auth, Destination, Wish};

/// A destination with what is answered of it beside its declaration.
pub(super) struct Shown {
    /// The declaration.
    pub(super) destination: Destination,
    /// Whether keys are stored.
    pub(super) keys: StoredKeys,
    /// Its External ID.
    pub(super) external_id: ExternalId,
}

/// Whether keys are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoredKeys {
    /// They are.
    Present,
    /// They are not.
    Absent,
}

impl Shown {
    /// The destination object, without `enabled`.
    pub(super) fn destination(&self) -> DestinationObject {
        let Destination {
            organization: _,
            organization_uid: _,
            name: _,
            uid: _,
            generation: _,
            wish: _,
            place,
            as_sent,
            auth,
            include: _,
            format: _,
            batch: _,
        } = &self.destination;
        let (auth_method, iam_role_arn, external_id) = match auth {
            Auth::AccessKeys => (AuthMethod::AccessKeys, None, None),
            Auth::IamRole(role) => {
                (AuthMethod::IamRole, Some(role.to_string()), Some(self.external_id.to_string()))
            }
        };
        DestinationObject {
            provider: PROVIDER_S3.to_owned(),
            endpoint: as_sent.endpoint.clone(),
            bucket: as_sent.bucket.clone(),
            region: as_sent.region.clone(),
            path_prefix: as_sent.path_prefix.clone(),
            use_ssl: as_sent.use_ssl,
            use_path_style: as_sent.use_path_style,
            addressing: place.addressing.into(),
            auth_method,
            has_credentials: self.keys == StoredKeys::Present,
            iam_role_arn,
            external_id,
            enabled: None,
        }
    }

    /// The destination object of the answer to a PUT.
    pub(super) fn declared(&self) -> DestinationObject {
        DestinationObject { enabled: Some(enabled(&self.destination)), ..self.destination() }
    }

    /// The export object.
    pub(super) fn export(&self) -> ExportObject {
        ExportObject {
            organization_id: self.destination.organization.to_string(),
            export_type: self.destination.name.to_string(),
            enabled: enabled(&self.destination),
            settings: settings(&self.destination),
            destination: Some(self.destination()),
        }
    }
}

/// The effective settings.
pub(super) fn settings(destination: &Destination) -> SettingsObject {
    let batch = destination.batch;
    SettingsObject {
        batch_size: batch.max_events,
        flush_interval_seconds: batch.max_delay_seconds,
        max_retries: batch.max_retries,
        included_event_types: destination.include.clone(),
        max_bytes: batch.max_bytes,
        format: destination.format,
        paused: !enabled(destination),
    }
}

fn enabled(destination: &Destination) -> bool {
    match destination.wish {
        Wish::Streaming => true,
        Wish::Paused => false,
    }
}
