//! The vocabulary of Barndoor Audit Log Export: what a destination is, how it is declared, what can be said of it.
//!
//! No I/O, no async, no AWS, no Kubernetes client: plain data, its rules and its spellings.

pub mod aws;
pub mod condition;
pub mod destination;
pub mod event_type;
pub mod generate;
pub mod name;
pub mod place;
pub mod policy;
pub mod reason;
pub mod rest;
pub mod settings;
pub mod status;
