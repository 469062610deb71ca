//! Carries an organization's accepted events into one destination's bucket, exactly once and in order.
//!
//! It sees ports only: the event log, the delivery records, the object store, the clock. It must not know REST,
//! redb, the AWS SDK or Kubernetes.
//!
//! `run` gives every destination its turns; a turn (`deliver`) reads, cuts, encodes, plans, puts and commits; what it
//! writes into the delivery record (`record`) is decided by `decide` alone.

pub mod budget;
pub mod cut;
pub mod decide;
pub mod deliver;
pub mod encode;
pub mod format;
pub mod gate;
pub mod live;
pub mod object_key;
pub mod record;
pub mod retention;
pub mod retry;
pub mod run;
#[cfg(test)]
mod simulation;
pub mod store;
pub mod trim;
pub mod upload;
