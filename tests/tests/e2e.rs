//! End to end: the real controller against real servers, one binary so that they are started once.
//!
//! `harness_*` tests what the others stand on; `promises` holds a test for each promise of the design; `faults` breaks
//! stores and crashes the controller under exactly-once; `lifecycle` starts, stops and restarts; `troubleshooting` makes
//! every trouble of the guide's table; `tenants` puts organizations side by side; `bad_input` sends what cannot be.

mod e2e {
    mod bad_input;
    mod export;
    mod faults;
    mod harness_fault_front;
    mod harness_minio;
    mod harness_moto;
    mod harness_strict_aws;
    mod kill_nine;
    mod lifecycle;
    mod promises;
    mod tenants;
    mod troubleshooting;
}
