//! The embedded implementation.
