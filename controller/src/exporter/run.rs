//! Runs one exporter per streaming destination and answers what they are doing.

use barndoor_crds::name::DestinationUid;
use barndoor_crds::reason::Reason;

/// The handle to all exporters.
#[derive(Clone, Debug, Default)]
pub struct Exporters {}

/// What the exporter of one destination is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// `Paused`, `Starting`, `StreamingActive`, `NoEvents`, `Retrying` or `LogReplaced`.
    pub reason: Reason,
}

impl Exporters {
    /// Looks at the destination at once and forgets its back-off: after Start, a healthy check, a changed declaration.
    pub fn wake(&self, _destination: &DestinationUid) {}

    /// Returns when no PUT can begin under an older wish: call it after a pause or removal was written and before it
    /// is answered. Waits at most a few seconds for a PUT already under way.
    pub async fn settle(&self, _destination: &DestinationUid) {}

    /// What the exporter is doing; `None` when the destination has none.
    pub fn activity(&self, _destination: &DestinationUid) -> Option<Activity> {
        None
    }
}
