//! Promise 3: After Start, events flow within 30 s; the badge reads Streaming Active; with nothing accepted since Start its
//! message says so.

use barndoor_tests::events::EventSource;

use crate::e2e::export::{Export, FLOW_LIMIT};

#[tokio::test(flavor = "multi_thread")]
async fn promise_03_events_flow_within_30_s_of_start_and_the_badge_says_so() {
    let (_controller, export) = Export::on_minio("p03-flow").await;
    export.start().await.ok();
    export.wait_for_state("NoEvents", FLOW_LIMIT).await;

    let mut events = EventSource::new("p03");
    let mut accepted = export.accept(&events.take(3)).await;
    export.wait_for(3, FLOW_LIMIT).await;
    export.wait_for_state("StreamingActive", FLOW_LIMIT).await;

    // A resume's first batch is as quick, although the default flush would be 30 s.
    export.pause().await.ok();
    accepted.extend(export.accept(&events.take(3)).await);
    export.start().await.ok();
    export.wait_for(6, FLOW_LIMIT).await;
    export.account(&accepted).await.assert_clean();
}
