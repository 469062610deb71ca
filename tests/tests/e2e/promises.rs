//! The promises of the design, a module each; waiting for real deadlines is fine, as the tests run side by side.

mod p01_start;
mod p02_check;
mod p03_flow;
mod p04_objects;
mod p05_pause;
mod p06_roles;
mod p07_switch;
mod p08_remove;
mod p09_accounting;
mod p10_isolation;
