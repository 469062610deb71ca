//! Barndoor Audit Log Export: the controller.

pub mod api;
pub mod cli;
pub mod clients;
pub mod clock;
pub mod connection;
pub mod destinations;
pub mod embedded;
pub mod event_log;
pub mod exporter;
pub mod organizations;
pub mod telemetry;
