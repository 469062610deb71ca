//! End to end: the real controller against real servers, one binary so that they are started once.
//!
//! `harness_*` tests what the others stand on; `promises` holds a test for each promise of the design.

mod e2e {
    mod harness_fault_front;
    mod harness_minio;
    mod harness_moto;
    mod harness_strict_aws;
}
