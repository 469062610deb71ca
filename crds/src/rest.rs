//! The bodies of the REST API, for the server and for its clients alike: what existing clients speak, quirks
//! included, and what this project adds beside it.
//!
//! Plain data and spellings; it must not know what a server does with them.

pub mod access;
pub mod destination;
pub mod export;
pub mod ingest;
pub mod patch;
pub mod problem;
pub mod secret;
pub mod status;

pub use access::{
    AdminClientFile, ClientList, ClientSummary, CreatedClient, NewClient, Scope, TokenAnswer, TokenRequest,
};
pub use destination::{
    AddressingName, AuthMethod, AwsTrustInfo, DestinationObject, DryRun, PROVIDER_S3, PutDestination,
};
pub use export::{ExportObject, ListResponse, PatchSettings, SettingsObject};
pub use ingest::{IngestAnswer, RejectedLine, RejectionReason};
pub use patch::Patch;
pub use problem::Problem;
pub use secret::Secret;
pub use status::{ConditionObject, DeliveryObject, PreviewResponse, StatusResponse, TrustObject};

/// What every path begins with.
pub const PREFIX: &str = "/api/system-management/public/v1";
