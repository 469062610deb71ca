//! The test that notices when docs/troubleshooting.md forgets a reason.

use barndoor_crds::reason::Reason;

const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/troubleshooting.md"));

#[test]
fn every_reason_has_a_row_in_the_troubleshooting_page() {
    for reason in Reason::ALL {
        assert!(
            PAGE.contains(&format!("\n| `{reason}` |")),
            "docs/troubleshooting.md has no row for {reason}"
        );
    }
}
