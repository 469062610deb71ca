//! What the API asks of the customer's side, as a port: tests need no AWS.

use async_trait::async_trait;
use barndoor_crds::status::CheckReport;

use crate::destinations::{AccessKeys, Destination};

/// Which keys a check uses, where the destination uses keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// Those that are stored.
    Stored,
    /// These, which are not saved.
    Given(AccessKeys),
}

/// Why the controller's own principal is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrincipalError {
    /// The controller runs without an AWS identity.
    #[error("this controller has no AWS identity, so it cannot assume roles")]
    NoIdentity,
    /// STS did not answer.
    #[error("STS could not be asked who this controller is: {0}")]
    Unreachable(String),
}

/// Looks at the customer's side.
#[async_trait]
pub trait Checks: Send + Sync + 'static {
    /// Runs Check Connection, as far as it comes.
    async fn check(&self, destination: &Destination, keys: KeySource) -> CheckReport;

    /// The ARN that assumes the customers' roles.
    ///
    /// # Errors
    /// There is none, or it cannot be found out now.
    async fn principal_arn(&self) -> Result<String, PrincipalError>;
}
