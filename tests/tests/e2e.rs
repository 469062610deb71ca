//! End to end: the real controller against real servers, one binary so that they are started once.
//!
//! `harness_*` tests what the others stand on; `promises` holds a test for each promise of the design; `rest_contract`
//! is what existing clients speak, row by row; `troubleshooting`, `tenants` and `bad_input` are what a customer may meet;
//! `faults` and `kill_nine` break stores and crash the controller under exactly-once; `lifecycle` starts, stops and
//! restarts; `command_line` and `demonstration` run the programs as a user does.

mod e2e {
    mod bad_input;
    mod command_line;
    mod demonstration;
    mod export;
    mod faults;
    mod harness_fault_front;
    mod harness_minio;
    mod harness_moto;
    mod harness_strict_aws;
    mod kill_nine;
    mod lifecycle;
    mod promises;
    mod rest_contract;
    mod tenants;
    mod troubleshooting;
}
