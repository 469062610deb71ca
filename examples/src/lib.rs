//! temp
pub mod events;
