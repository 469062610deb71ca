//! Keys that the database itself holds, sealed under the master key: made once, kept for ever, backed up with the data.

use aws_lc_rs::hmac;
use barndoor_crds::aws::ExternalId;
use barndoor_crds::name::{DestinationName, OrganizationUid};
use redb::{ReadableTable, WriteTransaction};

use super::database::Fault;
use super::master_key::{KEY_BYTES, MasterKey, random};
use super::tables::KEYRING;

/// Sealed first of all: says whether a master key is the right one.
const KEY_CHECK: &str = "key-check";
const EXTERNAL_ID_ROOT: &str = "external-id-root";
const TOKEN_SIGNING: &str = "token-signing";
/// External IDs must never change, so the first root key derives them; a later one gets the next id.
const FIRST: u32 = 1;

/// Signs the controller's own access tokens.
#[derive(Clone)]
pub struct TokenSigningKey([u8; KEY_BYTES]);

impl TokenSigningKey {
    /// The key's 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl std::fmt::Debug for TokenSigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenSigningKey(..)")
    }
}

/// The opened keys.
pub(crate) struct Keyring {
    external_id_root: hmac::Key,
    /// Signs access tokens.
    pub(crate) token_signing: TokenSigningKey,
}

/// Whether the master key opens this database.
pub(super) enum Unlocked {
    /// It does.
    Yes(Box<Keyring>),
    /// The database was sealed under another key.
    WrongKey,
}

/// Whether anything was sealed in this database yet.
pub(super) fn is_sealed(
    table: &impl ReadableTable<(&'static str, u32), &'static [u8]>,
) -> Result<bool, Fault> {
    Ok(table.get((KEY_CHECK, FIRST))?.is_some())
}

/// Opens the keys, making those that do not exist yet.
pub(super) fn unlock(transaction: &WriteTransaction, master_key: &MasterKey) -> Result<Unlocked, Fault> {
    let Some(_check) = open_or_make(transaction, master_key, KEY_CHECK)? else {
        return Ok(Unlocked::WrongKey);
    };
    let Some(root) = open_or_make(transaction, master_key, EXTERNAL_ID_ROOT)? else {
        return Err(unreadable(EXTERNAL_ID_ROOT));
    };
    let Some(token_signing) = open_or_make(transaction, master_key, TOKEN_SIGNING)? else {
        return Err(unreadable(TOKEN_SIGNING));
    };
    Ok(Unlocked::Yes(Box::new(Keyring {
        external_id_root: hmac::Key::new(hmac::HMAC_SHA256, &root),
        token_signing: TokenSigningKey(token_signing),
    })))
}

fn unreadable(purpose: &'static str) -> Fault {
    Fault::Unreadable { what: purpose, why: "it does not open under the master key".to_owned() }
}

fn open_or_make(
    transaction: &WriteTransaction,
    master_key: &MasterKey,
    purpose: &str,
) -> Result<Option<[u8; KEY_BYTES]>, Fault> {
    let mut table = transaction.open_table(KEYRING)?;
    let context = ["keyring", purpose];
    if let Some(sealed) = table.get((purpose, FIRST))? {
        return Ok(master_key.open(&context, sealed.value()).ok().and_then(|key| key.try_into().ok()));
    }
    let key = random();
    table.insert((purpose, FIRST), master_key.seal(&context, &key).as_slice())?;
    Ok(Some(key))
}

impl Keyring {
    /// The External ID of this organization and name. A zero byte, which no name holds, keeps the two apart.
    pub(crate) fn external_id(&self, organization: &OrganizationUid, name: &DestinationName) -> ExternalId {
        let mut context = hmac::Context::with_key(&self.external_id_root);
        context.update(organization.as_str().as_bytes());
        context.update(&[0]);
        context.update(name.as_str().as_bytes());
        let tag = context.sign();
        ExternalId::from_bytes(tag.as_ref().try_into().expect("HMAC-SHA256 is 32 bytes"))
    }
}
