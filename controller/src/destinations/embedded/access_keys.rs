//! Access keys, sealed: each field bound to its organization, its destination and its own name.

use barndoor_crds::name::DestinationUid;
use redb::{ReadTransaction, ReadableTable};

use super::declaration::Keys;
use crate::destinations::{AccessKeys, AccessKeysError, Destination};
use crate::embedded::tables::ACCESS_KEYS;
use crate::embedded::{Fault, MasterKey, Writing};

const ACCESS_KEY_ID: &str = "access_key_id";
const SECRET_ACCESS_KEY: &str = "secret_access_key";

type Table<'t> = redb::Table<'t, (&'static str, &'static str), &'static [u8]>;

fn stored(
    table: &impl ReadableTable<(&'static str, &'static str), &'static [u8]>,
    uid: &DestinationUid,
) -> Result<bool, Fault> {
    Ok(table.get((uid.as_str(), SECRET_ACCESS_KEY))?.is_some())
}

/// Whether keys are stored, seen from a write.
pub(super) fn are_stored(writing: &Writing<'_>, uid: &DestinationUid) -> Result<bool, Fault> {
    stored(&writing.table(ACCESS_KEYS)?, uid)
}

/// Whether keys are stored, seen from a read.
pub(super) fn are_readable(transaction: &ReadTransaction, uid: &DestinationUid) -> Result<bool, Fault> {
    stored(&transaction.open_table(ACCESS_KEYS)?, uid)
}

/// Does what a declaration says of the keys.
pub(super) fn apply(
    writing: &Writing<'_>,
    master_key: &MasterKey,
    destination: &Destination,
    keys: Keys,
) -> Result<(), Fault> {
    match keys {
        Keys::Keep => Ok(()),
        Keys::Delete => delete(writing, &destination.uid),
        Keys::Store(AccessKeys { access_key_id, secret_access_key }) => {
            let mut table = writing.table(ACCESS_KEYS)?;
            for (field, value) in [(ACCESS_KEY_ID, access_key_id), (SECRET_ACCESS_KEY, secret_access_key)] {
                let sealed = master_key.seal(&context(destination, field), value.as_bytes());
                table.insert((destination.uid.as_str(), field), sealed.as_slice())?;
            }
            Ok(())
        }
    }
}

/// Deletes a destination's keys.
pub(super) fn delete(writing: &Writing<'_>, uid: &DestinationUid) -> Result<(), Fault> {
    let mut table: Table<'_> = writing.table(ACCESS_KEYS)?;
    for field in [ACCESS_KEY_ID, SECRET_ACCESS_KEY] {
        table.remove((uid.as_str(), field))?;
    }
    Ok(())
}

/// Opens a destination's keys.
pub(super) fn read(
    transaction: &ReadTransaction,
    master_key: &MasterKey,
    destination: &Destination,
) -> Result<Result<AccessKeys, AccessKeysError>, Fault> {
    let table = transaction.open_table(ACCESS_KEYS)?;
    let field = |field: &'static str| -> Result<Result<String, AccessKeysError>, Fault> {
        let Some(sealed) = table.get((destination.uid.as_str(), field))? else {
            return Ok(Err(AccessKeysError::NotFound));
        };
        let opened = master_key
            .open(&context(destination, field), sealed.value())
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(not_usable);
        Ok(opened)
    };
    let (access_key_id, secret_access_key) = (field(ACCESS_KEY_ID)?, field(SECRET_ACCESS_KEY)?);
    Ok(access_key_id
        .and_then(|access_key_id| Ok(AccessKeys { access_key_id, secret_access_key: secret_access_key? })))
}

fn context<'d>(destination: &'d Destination, field: &'static str) -> [&'d str; 4] {
    ["access-keys", destination.organization_uid.as_str(), destination.uid.as_str(), field]
}

fn not_usable() -> AccessKeysError {
    AccessKeysError::NotUsable(
        "they do not open under this master key: send access_key_id and secret_access_key again".to_owned(),
    )
}
