//! Everything that talks to the customer's AWS account or store: credentials, the check, diagnoses, the endpoint guard.
//!
//! ```text
//!   exporter ──open──→ Connection ──→ credentials ──→ sts          (the operator's environment)
//!   API, CLI ──check─→     │              └─────────→ Destinations (access keys, External IDs)
//!                          └──→ s3 ──→ http ──→ guard              (the tenant's endpoint)
//!                                │
//!                             failure ──→ diagnose                 (words and remedies)
//! ```
//!
//! It must not know the event log, delivery records, or REST.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use barndoor_crds::place::Place;
use barndoor_crds::status::CheckReport;

use crate::clock::Clock;
use crate::destinations::{Auth, Destination, Destinations};
use crate::exporter::store::{Issue, ObjectStores, Session};

mod check;
mod credentials;
mod diagnose;
mod failure;
pub mod guard;
mod http;
mod principal;
mod s3;
mod sts;
mod token_bucket;

#[cfg(test)]
mod tests;

pub use credentials::KeySource;
pub use guard::{AllowedEndpoint, AllowedEndpoints};
pub use http::CaCertificatesError;
pub use principal::PrincipalError;

use credentials::{Entry, Mint, Party};
use diagnose::Operation;
use failure::Failure;
use guard::Reach;
use s3::{Bucket, ConditionalPuts};
use sts::{Sts, Turn};

/// How long an endpoint's name may take to resolve before it is left to the request itself.
const PREFLIGHT_TIMEOUT: Duration = Duration::from_secs(3);

/// Whether roles of the operator's own AWS account are assumed for destinations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OwnAccountRoles {
    /// A tenant could otherwise lend itself the operator's rights.
    #[default]
    Refused,
    /// The operator exports to itself.
    Allowed,
}

/// What a connection needs to know.
pub struct ConnectionConfig {
    /// Where access keys and External IDs are.
    pub destinations: Arc<dyn Destinations>,
    /// Stamps reports.
    pub clock: Arc<dyn Clock>,
    /// Addresses beside public ones, `--allow-endpoint`.
    pub allowed: AllowedEndpoints,
    /// `--principal-arn`, for roles with a path; else STS is asked.
    pub principal_arn: Option<String>,
    /// `--allow-own-account-roles`.
    pub own_account_roles: OwnAccountRoles,
    /// The content of `--ca-certificate`, trusted beside the system's roots.
    pub ca_certificates_pem: Option<Vec<u8>>,
}

/// The way to AWS and to customers' stores. Holds connections, no credentials.
pub struct Connection {
    destinations: Arc<dyn Destinations>,
    clock: Arc<dyn Clock>,
    sts: Sts,
    tenants: http::TenantClients,
    conditional: Arc<ConditionalPuts>,
    own_account_roles: OwnAccountRoles,
}

impl Connection {
    /// Touches no network.
    ///
    /// # Errors
    /// When the CA certificates cannot be read.
    pub fn new(config: ConnectionConfig) -> Result<Self, CaCertificatesError> {
        let ConnectionConfig {
            destinations,
            clock,
            allowed,
            principal_arn,
            own_account_roles,
            ca_certificates_pem,
        } = config;
        let trust = http::trust(ca_certificates_pem.as_deref())?;
        // Without certificates of its own, STS goes through the SDK's default client, which knows the proxy variables.
        let operators = ca_certificates_pem.map(|_| http::operators_client(trust.clone()));
        Ok(Self {
            destinations,
            clock,
            sts: Sts::new(operators, principal_arn),
            tenants: http::TenantClients::new(&Arc::new(allowed), &trust),
            conditional: Arc::default(),
            own_account_roles,
        })
    }

    /// The ARN that customers name as Principal in their trust policies.
    ///
    /// # Errors
    /// Without an AWS identity, or while STS does not answer.
    pub async fn principal_arn(&self) -> Result<String, PrincipalError> {
        self.sts.principal_arn().await.map(str::to_owned)
    }

    /// Check Connection: each step with its result, at most 20 seconds; leaves no object.
    pub async fn check(&self, destination: &Destination, keys: KeySource) -> CheckReport {
        check::check(self, destination, &keys).await
    }

    /// A role is not assumed for an endpoint that its credentials may not be sent to.
    async fn preflight(&self, destination: &Destination, place: &Place, reach: Reach) -> Result<(), Failure> {
        match (&destination.auth, reach) {
            (Auth::IamRole(_), Reach::OnlyAllowed(_)) => {
                let look = tokio::time::timeout(PREFLIGHT_TIMEOUT, self.tenants.preflight(place, reach));
                look.await.unwrap_or(Ok(()))
            }
            (Auth::IamRole(_), Reach::Public) | (Auth::AccessKeys, _) => Ok(()),
        }
    }

    fn mint(&self) -> Mint<'_> {
        Mint {
            destinations: self.destinations.as_ref(),
            sts: &self.sts,
            own_account_roles: self.own_account_roles,
        }
    }

    fn bucket(&self, entry: Entry, reach: Reach) -> Bucket {
        Bucket::new(entry, self.tenants.of(reach), Arc::clone(&self.conditional))
    }
}

#[async_trait]
impl ObjectStores for Connection {
    async fn open(&self, destination: &Destination, place: &Place) -> Result<Box<dyn Session>, Issue> {
        let reach = Reach::of(place, &destination.auth);
        self.preflight(destination, place, reach).await.map_err(|failure| {
            Party { place: place.clone(), role: None }.diagnose(Operation::PutObject, &failure)
        })?;
        let entry = self.mint().enter(destination, place, &KeySource::Stored, Turn::Batch).await?;
        Ok(Box::new(self.bucket(entry, reach)))
    }
}
