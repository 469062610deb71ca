//! Brings what runs in line with what is declared, and says what came of it.

pub mod status;
