//! Who and what there is: identities, roles, sessions, buckets.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use jiff::Timestamp;
use rand::Rng;

use super::policy::{Policy, Question};
use crate::crypto::{hex, sha256_hex};
use crate::s3_client::Keys;

/// A role as its owner made it.
#[derive(Clone, Debug)]
pub struct Role {
    /// `arn:aws:iam::<account>:role/<name>`.
    pub arn: String,
    /// ARNs of the users and roles in the trust policy's Principal.
    pub trusted: Vec<String>,
    /// The values of the trust policy's `sts:ExternalId` condition; empty: no such condition.
    pub external_ids: Vec<String>,
    /// What the role may do.
    pub permissions: Policy,
    /// Its MaxSessionDuration, in seconds.
    pub max_session_seconds: u32,
}

impl Role {
    /// A role with IAM's default session duration of an hour.
    pub fn new(arn: &str, trusted: &str, external_id: Option<&str>, permissions: Policy) -> Self {
        Self {
            arn: arn.to_owned(),
            trusted: vec![trusted.to_owned()],
            external_ids: external_id.map(str::to_owned).into_iter().collect(),
            permissions,
            max_session_seconds: 3_600,
        }
    }
}

/// Something that was stored, perhaps over something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredVersion {
    /// The key.
    pub key: String,
    /// SHA-256 of the bytes as stored, in hexadecimal.
    pub sha256: String,
    /// When.
    pub at: Timestamp,
}

/// An object as it is now.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) body: Bytes,
    pub(super) content_type: String,
    pub(super) metadata: Vec<(String, String)>,
}

#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) region: String,
    pub(super) kms_key_arn: Option<String>,
    pub(super) objects: BTreeMap<String, Object>,
    pub(super) versions: Vec<StoredVersion>,
}

/// The holder of a key, long-lived or of a session.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) secret: String,
    /// As GetCallerIdentity says it.
    pub(super) arn: String,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    LongLived { permissions: Policy },
    Session { token: String, role_arn: String, session_policy: Option<Policy>, expires: Timestamp },
}

#[derive(Debug, Default)]
pub(super) struct Account {
    identities: HashMap<String, Identity>,
    roles: HashMap<String, Role>,
    pub(super) buckets: HashMap<String, Bucket>,
}

impl Account {
    pub(super) fn create_identity(&mut self, arn: &str, permissions: Policy) -> Keys {
        let keys = Keys::new(&format!("AKIA{}", random_text(16)), &random_text(40));
        let identity = Identity {
            secret: keys.secret_access_key.clone(),
            arn: arn.to_owned(),
            kind: Kind::LongLived { permissions },
        };
        self.identities.insert(keys.access_key_id.clone(), identity);
        keys
    }

    pub(super) fn remove_identity(&mut self, access_key_id: &str) {
        self.identities.remove(access_key_id);
    }

    pub(super) fn identity(&self, access_key_id: &str) -> Option<&Identity> {
        self.identities.get(access_key_id)
    }

    pub(super) fn put_role(&mut self, role: Role) {
        self.roles.insert(role.arn.clone(), role);
    }

    pub(super) fn remove_role(&mut self, arn: &str) {
        self.roles.remove(arn);
    }

    pub(super) fn role(&self, arn: &str) -> Option<&Role> {
        self.roles.get(arn)
    }

    pub(super) fn open_session(
        &mut self,
        role: &Role,
        name: &str,
        policy: Option<Policy>,
        expires: Timestamp,
    ) -> Keys {
        let mut keys = Keys::new(&format!("ASIA{}", random_text(16)), &random_text(40));
        let token = random_text(64);
        keys.session_token = Some(token.clone());
        let identity = Identity {
            secret: keys.secret_access_key.clone(),
            arn: format!(
                "{}/{name}",
                role.arn.replacen(":iam:", ":sts:", 1).replacen(":role/", ":assumed-role/", 1)
            ),
            kind: Kind::Session { token, role_arn: role.arn.clone(), session_policy: policy, expires },
        };
        self.identities.insert(keys.access_key_id.clone(), identity);
        keys
    }

    /// Whether both the role's (or user's) policy and the session's allow it; else who withholds it.
    pub(super) fn judge(&self, identity: &Identity, question: &Question<'_>) -> Result<(), &'static str> {
        match &identity.kind {
            Kind::LongLived { permissions } if permissions.allows(question) => Ok(()),
            Kind::LongLived { .. } => Err("no identity-based policy"),
            Kind::Session { role_arn, session_policy, .. } => {
                if !self.role(role_arn).is_some_and(|role| role.permissions.allows(question)) {
                    Err("no identity-based policy")
                } else if session_policy.as_ref().is_some_and(|policy| !policy.allows(question)) {
                    Err("no session policy")
                } else {
                    Ok(())
                }
            }
        }
    }

    pub(super) fn create_bucket(&mut self, name: &str, region: &str, kms_key_arn: Option<String>) {
        let bucket =
            Bucket { region: region.to_owned(), kms_key_arn, objects: BTreeMap::new(), versions: Vec::new() };
        self.buckets.insert(name.to_owned(), bucket);
    }

    pub(super) fn versions(&self, bucket: &str) -> Vec<StoredVersion> {
        self.buckets.get(bucket).map(|bucket| bucket.versions.clone()).unwrap_or_default()
    }
}

impl Bucket {
    pub(super) fn store(&mut self, key: &str, object: Object) {
        let sha256 = sha256_hex(&object.body);
        self.versions.push(StoredVersion { key: key.to_owned(), sha256, at: Timestamp::now() });
        self.objects.insert(key.to_owned(), object);
    }
}

fn random_text(characters: usize) -> String {
    let mut bytes = vec![0; characters.div_ceil(2)];
    rand::rng().fill(&mut bytes[..]);
    let mut text = hex(&bytes).to_ascii_uppercase();
    text.truncate(characters);
    text
}
