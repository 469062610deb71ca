//! Barndoor Audit Log Export: the controller. Audit events of many organizations come in; each organization's go into
//! the bucket that it owns, exactly once and in order.
//!
//! ```text
//!      Terraform, web page, curl, cli                        producers
//!                    │ declare, start, pause, check              │ events
//!                    ▼                                           ▼
//!      api ── clients: who, organizations: which tenant ── api::ingest
//!       │                │                                       │
//!       │ check          │ declaration, keys, wish               │ append
//!       │                ▼                                       ▼
//!       │         destinations (port)                      event_log (port)
//!       │                │ place, wish                           │ read    ▲ trim
//!       │                ▼                                       ▼         │
//!       │         exporter: run → deliver: cut → encode → plan → PUT → commit
//!       │                │         what it writes down: decide(record, observation)
//!       │                │ ObjectStores (port)
//!       ▼                ▼
//!      connection: check, credentials → sts │ s3 → http → guard,  diagnose says what went wrong
//!                        │
//!                        ▼
//!      the customer's AWS account and bucket
//!
//!      health, counters ──→ api::status: badge, conditions ──→ api, cli
//!      figures ───────────→ telemetry ───────────────────────────→ /metrics
//!
//!      embedded: one redb file and one writer thread below destinations, event_log, delivery records and clients
//! ```
//!
//! A port is a trait in its noun's file; its embedded implementation is in the noun's folder, over [`embedded`].
//! [`cli::run`] puts all of it together; what a module must not know is in its first lines.

pub mod api;
pub mod cli;
pub mod clients;
pub mod clock;
#[cfg(test)]
mod code_map;
pub mod connection;
pub mod destinations;
pub mod embedded;
pub mod event_log;
pub mod exporter;
pub mod organizations;
pub mod telemetry;
