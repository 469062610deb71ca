//! Credentials for one batch or one check: minted from the customer's role, or read from the secret store. Nothing
//! is kept.

use aws_credential_types::Credentials;
use barndoor_crds::aws::{ExternalId, RoleArn};
use barndoor_crds::name::DestinationUid;
use barndoor_crds::place::Place;
use barndoor_crds::policy::{Policy, deny_all_session_policy, session_policy, write_policy};
use barndoor_crds::reason::Reason;

use super::OwnAccountRoles;
use super::diagnose::{Context, Operation, RoleContext, diagnose};
use super::failure::{Answer, Failure, NotSendable};
use super::principal::{PrincipalError, home};
use super::sts::{AssumeRole, Sts, Turn};
use crate::destinations::{AccessKeys, AccessKeysError, Auth, Destination, Destinations};
use crate::exporter::store::Issue;

/// What an unreadable secret is reported under; there is no AWS operation for it.
const READ_KEYS: &str = "ReadAccessKeys";

/// Credentials, and what a remedy may say about them.
pub(crate) struct Entry {
    pub(crate) credentials: Credentials,
    pub(crate) party: Party,
}

/// Whose store it is, as remedies name it.
#[derive(Clone, Debug)]
pub(crate) struct Party {
    pub(crate) place: Place,
    pub(crate) role: Option<RoleParty>,
}

/// The parties of a trust policy.
#[derive(Clone, Debug)]
pub(crate) struct RoleParty {
    pub(crate) arn: RoleArn,
    pub(crate) principal_arn: Option<String>,
    pub(crate) external_id: ExternalId,
}

impl Party {
    /// The words for a failure.
    pub(crate) fn diagnose(&self, operation: Operation, failure: &Failure) -> Issue {
        let role = self.role.as_ref().map(|RoleParty { arn, principal_arn, external_id }| RoleContext {
            arn,
            principal_arn: principal_arn.as_deref(),
            external_id,
        });
        diagnose(operation, failure, &Context { place: &self.place, role })
    }
}

/// Which keys a check uses in access-key mode.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// Those in the secret store.
    Stored,
    /// These: a dry run of an unsaved destination.
    Given(AccessKeys),
}

/// Where credentials come from.
pub(crate) struct Mint<'a> {
    pub(crate) destinations: &'a dyn Destinations,
    pub(crate) sts: &'a Sts,
    pub(crate) own_account_roles: OwnAccountRoles,
}

impl Mint<'_> {
    /// Credentials for this place, now.
    ///
    /// # Errors
    /// The step that was refused.
    pub(crate) async fn enter(
        &self,
        destination: &Destination,
        place: &Place,
        keys: &KeySource,
        turn: Turn,
    ) -> Result<Entry, Issue> {
        match &destination.auth {
            Auth::AccessKeys => {
                let keys = match keys {
                    KeySource::Given(keys) => keys.clone(),
                    KeySource::Stored => {
                        self.destinations.access_keys(destination).await.map_err(|e| keys_issue(&e))?
                    }
                };
                let AccessKeys { access_key_id, secret_access_key } = keys;
                let credentials =
                    Credentials::new(access_key_id, secret_access_key, None, None, "barndoor-access-keys");
                Ok(Entry { credentials, party: Party { place: place.clone(), role: None } })
            }
            Auth::IamRole(arn) => {
                let role = self.role_party(destination, arn).await?;
                let party = Party { place: place.clone(), role: Some(role.clone()) };
                let request = |policy: Policy| AssumeRole {
                    role: arn,
                    external_id: Some(&role.external_id),
                    session_name: session_name(&destination.uid),
                    session_policy: policy.to_compact_json(),
                };
                let Place { bucket, prefix, .. } = place;
                let full = session_policy(arn.partition(), bucket, prefix);
                let mut minted = self.sts.assume_role(request(full), turn).await;
                if minted.as_ref().is_err_and(refuses_policy) {
                    let without_kms = write_policy(arn.partition(), bucket, prefix, None);
                    minted = self.sts.assume_role(request(without_kms), turn).await;
                }
                match minted {
                    Ok(credentials) => Ok(Entry { credentials, party }),
                    Err(failure) => Err(party.diagnose(Operation::AssumeRole, &failure)),
                }
            }
        }
    }

    async fn role_party(&self, destination: &Destination, arn: &RoleArn) -> Result<RoleParty, Issue> {
        let external_id = self
            .destinations
            .external_id(&destination.organization, &destination.name)
            .await
            .map_err(|error| assume_role_issue(Reason::StoreError, error.to_string(), ""))?;
        let principal = self.sts.principal_arn().await;
        let party = RoleParty {
            arn: arn.clone(),
            principal_arn: principal.as_ref().ok().map(|&arn| arn.to_owned()),
            external_id,
        };
        match principal {
            Ok(principal) => refuse_foreign_homes(principal, arn, self.own_account_roles)?,
            Err(PrincipalError::NoControllerIdentity) => {
                let failure = Failure::NotSendable(NotSendable::NoIdentity);
                let party = Party { place: destination.place.clone(), role: Some(party) };
                return Err(party.diagnose(Operation::AssumeRole, &failure));
            }
            // Some STS look-alikes know AssumeRole only; without the rule there is nothing to compare the account with.
            Err(PrincipalError::Unreachable(_)) if self.own_account_roles == OwnAccountRoles::Allowed => {}
            Err(error @ PrincipalError::Unreachable(_)) => {
                return Err(assume_role_issue(
                    Reason::EndpointUnreachable,
                    error.to_string(),
                    "Ask the operator to check the controller's network and AWS credentials; nothing in your account needs to change.",
                ));
            }
        }
        Ok(party)
    }

    /// Whether the role can be assumed without the External ID, with a session that may do nothing.
    pub(crate) async fn enforces_external_id(&self, destination: &Destination, arn: &RoleArn) -> Enforcement {
        let request = AssumeRole {
            role: arn,
            external_id: None,
            session_name: session_name(&destination.uid),
            session_policy: deny_all_session_policy().to_compact_json(),
        };
        match self.sts.assume_role(request, Turn::Check).await {
            Ok(_) => Enforcement::Missing,
            Err(_) => Enforcement::NotDisproved,
        }
    }
}

/// STS look-alikes know no KMS: MinIO answers "invalid condition key 'kms:ViaService'". A narrower policy suits them.
fn refuses_policy(failure: &Failure) -> bool {
    matches!(failure, Failure::Answered(Answer { status: 400, code: Some(code), .. })
        if code == "InvalidParameterValue" || code == "MalformedPolicyDocument")
}

/// What an attempt without the External ID shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Enforcement {
    /// It was refused, or could not be tried.
    NotDisproved,
    /// It worked: the trust policy has no condition.
    Missing,
}

fn assume_role_issue(reason: Reason, message: impl Into<String>, remedy: impl Into<String>) -> Issue {
    Issue {
        operation: Operation::AssumeRole.name(),
        reason,
        code: None,
        message: message.into(),
        remedy: remedy.into(),
    }
}

/// A role of the operator's own account would lend a tenant the operator's rights; one of another partition can never
/// be assumed.
fn refuse_foreign_homes(principal: &str, role: &RoleArn, own: OwnAccountRoles) -> Result<(), Issue> {
    let Some(home) = home(principal) else {
        return Ok(());
    };
    if home.account == role.account() && own == OwnAccountRoles::Refused {
        return Err(assume_role_issue(
            Reason::AssumeRoleDenied,
            format!("{role} is in the operator's own AWS account, whose roles are not assumed for customers"),
            "Use a role in your own AWS account. (An operator who means it starts the controller with --allow-own-account-roles.)",
        ));
    }
    if home.partition != role.partition().name() {
        return Err(assume_role_issue(
            Reason::AssumeRoleDenied,
            format!(
                "{role} is in the partition {}, the controller in {}",
                role.partition().name(),
                home.partition
            ),
            "AWS partitions cannot assume each other's roles: use access keys.",
        ));
    }
    Ok(())
}

fn keys_issue(error: &AccessKeysError) -> Issue {
    let (reason, remedy) = match error {
        AccessKeysError::NotFound => (
            Reason::SecretNotFound,
            "Store an Access Key ID and Secret Access Key with this destination, or switch to an IAM role.",
        ),
        AccessKeysError::NotUsable(_) => {
            (Reason::SecretNotUsable, "Store the Access Key ID and Secret Access Key again.")
        }
        AccessKeysError::Storage(_) => (Reason::StoreError, "Nothing to do: it is tried again by itself."),
    };
    let message = super::failure::printable(&error.to_string(), super::failure::WORDS_MAX_BYTES);
    Issue { operation: READ_KEYS, reason, code: None, message, remedy: remedy.to_owned() }
}

/// `barndoor-<destination:8>`: what the customer's CloudTrail shows.
fn session_name(uid: &DestinationUid) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, uid.as_str().as_bytes());
    let mut name = String::from("barndoor-");
    for byte in &digest.as_ref()[..4] {
        use std::fmt::Write;
        // Writing to a String cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(text: &str) -> RoleArn {
        text.parse().expect("a role")
    }

    #[test]
    fn roles_of_the_operators_own_account_are_refused_unless_allowed() {
        let own = role("arn:aws:iam::111122223333:role/admin");
        let principal = "arn:aws:iam::111122223333:role/ctl";
        let refusal = refuse_foreign_homes(principal, &own, OwnAccountRoles::Refused).expect_err("refused");
        assert_eq!(refusal.reason, Reason::AssumeRoleDenied);
        assert!(refusal.remedy.contains("--allow-own-account-roles"), "{}", refusal.remedy);
        assert_eq!(refuse_foreign_homes(principal, &own, OwnAccountRoles::Allowed), Ok(()));
        let other = role("arn:aws:iam::999999999999:role/x");
        assert_eq!(refuse_foreign_homes(principal, &other, OwnAccountRoles::Refused), Ok(()));
    }

    #[test]
    fn a_role_of_another_partition_is_refused_in_words() {
        let china = role("arn:aws-cn:iam::999999999999:role/x");
        let refusal =
            refuse_foreign_homes("arn:aws:iam::111122223333:role/ctl", &china, OwnAccountRoles::Refused);
        assert!(refusal.expect_err("refused").message.contains("aws-cn"));
    }

    #[test]
    fn a_session_is_named_after_the_destination() {
        // printf abc | sha256sum
        assert_eq!(session_name(&DestinationUid::new("abc")), "barndoor-ba7816bf");
    }

    #[test]
    fn missing_and_broken_secrets_are_told_apart() {
        assert_eq!(keys_issue(&AccessKeysError::NotFound).reason, Reason::SecretNotFound);
        assert_eq!(
            keys_issue(&AccessKeysError::NotUsable("sealed".to_owned())).reason,
            Reason::SecretNotUsable
        );
    }
}
