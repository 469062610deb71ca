//! Realistic audit events from a seed, and the parts of the demonstration that `make demo` runs.
//!
//! Everything here speaks to the product as any customer or producer would: REST in, S3 out.

pub mod delivered;
pub mod events;
pub mod product;
pub mod rest;
pub mod store;
