//! What a declaration or a change of settings makes of a destination: plain functions.

use barndoor_crds::name::{DestinationName, DestinationUid, OrganizationName, OrganizationUid};
use barndoor_crds::settings::{Batch, Format};

use crate::destinations::{
    AccessKeys, Auth, Declaration, DeclaredAuth, Destination, SettingsChange, Version, Wish,
};

/// Whether the declared state is another one than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It is.
    Changed,
    /// It is not.
    Unchanged,
}

/// What to do with stored keys.
pub(super) enum Keys {
    /// Leave what is stored.
    Keep,
    /// Store these instead.
    Store(AccessKeys),
    /// Delete them.
    Delete,
}

/// A declaration's outcome.
pub(super) struct Declared {
    pub(super) destination: Destination,
    pub(super) keys: Keys,
    pub(super) effect: Effect,
}

/// Applies a declaration to the destination of this name, or makes a paused one. New keys always count as a change.
pub(super) fn declared(
    old: Option<&Destination>,
    organization: &OrganizationName,
    name: &DestinationName,
    declaration: Declaration,
    new_uid: impl FnOnce() -> DestinationUid,
) -> Declared {
    let Declaration { place, as_sent, auth } = declaration;
    let (auth, keys) = match auth {
        DeclaredAuth::IamRole(role) => (Auth::IamRole(role), Keys::Delete),
        DeclaredAuth::NewAccessKeys(keys) => (Auth::AccessKeys, Keys::Store(keys)),
        DeclaredAuth::StoredAccessKeys => (Auth::AccessKeys, Keys::Keep),
    };
    let Some(old) = old else {
        let destination = Destination {
            organization: organization.clone(),
            organization_uid: OrganizationUid::from(organization),
            name: name.clone(),
            uid: new_uid(),
            generation: 1,
            wish: Wish::Paused,
            place,
            as_sent,
            auth,
            include: None,
            format: Format::default_for(name),
            batch: Batch::default(),
        };
        return Declared { destination, keys, effect: Effect::Changed };
    };
    let destination = Destination { place, as_sent, auth, ..old.clone() };
    let new_keys = matches!(keys, Keys::Store(_));
    let (destination, effect) =
        if new_keys { (next_generation(destination), Effect::Changed) } else { judged(old, destination) };
    Declared { destination, keys, effect }
}

/// Whether a change that was meant for this version, or for any, may be applied.
pub(super) fn is_expected(old: &Destination, expected: Option<&Version>) -> bool {
    expected.is_none_or(|expected| *expected == old.version())
}

/// Applies a change of settings.
pub(super) fn adjusted(old: &Destination, change: SettingsChange) -> (Destination, Effect) {
    let SettingsChange {
        max_events,
        max_delay_seconds,
        max_bytes,
        max_retries,
        include,
        format,
        wish,
        expected: _, // see `is_expected`
    } = change;
    let batch = Batch {
        max_events: max_events.unwrap_or(old.batch.max_events),
        max_delay_seconds: max_delay_seconds.unwrap_or(old.batch.max_delay_seconds),
        max_bytes: max_bytes.unwrap_or(old.batch.max_bytes),
        max_retries: max_retries.unwrap_or(old.batch.max_retries),
    };
    let new = Destination {
        batch,
        include: include.unwrap_or_else(|| old.include.clone()),
        format: format.unwrap_or(old.format),
        wish: wish.unwrap_or(old.wish),
        ..old.clone()
    };
    judged(old, new)
}

fn judged(old: &Destination, new: Destination) -> (Destination, Effect) {
    if new == *old { (new, Effect::Unchanged) } else { (next_generation(new), Effect::Changed) }
}

fn next_generation(destination: Destination) -> Destination {
    Destination { generation: destination.generation + 1, ..destination }
}
