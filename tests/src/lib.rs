//! The harness that the end-to-end promises stand on: real servers, stricter stand-ins, faults, and the account.
//!
//! Real programs run as [`server_process::ServerProcess`]es on free loopback ports: MinIO ([`minio`]), moto
//! ([`moto`]) and the controller itself ([`controller_process`]). What no real server here gets right is done by
//! [`strict_aws`]; what goes wrong on the way to a store by [`fault_front`]. A test talks to the controller through
//! [`rest`], reads the bucket back through [`bucket`] and asks [`account`] whether anything was lost, doubled or
//! out of order.
//!
//! A harness that cannot do its work panics: its failure is the failure of the test that asked. It must not know
//! the controller's inside, only its contract; so nothing here uses the controller's code.

pub mod account;
pub mod bucket;
pub mod command;
pub mod controller_process;
pub mod crypto;
pub mod deadline;
pub mod events;
pub mod fault_front;
pub mod loopback_server;
pub mod minio;
pub mod moto;
pub mod object_name;
pub mod rest;
pub mod s3_client;
pub mod server_process;
pub mod sigv4;
pub mod strict_aws;
pub mod tls_front;
