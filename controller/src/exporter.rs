//! Carries an organization's accepted events into one destination's bucket, exactly once and in order.
//!
//! It sees ports only: the event log, the delivery records, the object store, the clock. It must not know REST,
//! redb, the AWS SDK or Kubernetes.

pub mod record;
pub mod run;
pub mod store;
