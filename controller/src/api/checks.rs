//! What the API asks of the customer's side, as a port: tests need no AWS.

use async_trait::async_trait;
use barndoor_crds::status::CheckReport;

use crate::connection::{Connection, KeySource, PrincipalError};
use crate::destinations::Destination;

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

#[async_trait]
impl Checks for Connection {
    async fn check(&self, destination: &Destination, keys: KeySource) -> CheckReport {
        Connection::check(self, destination, keys).await
    }

    async fn principal_arn(&self) -> Result<String, PrincipalError> {
        Connection::principal_arn(self).await
    }
}
