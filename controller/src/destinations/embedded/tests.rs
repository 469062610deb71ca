//! What declaring, adjusting and removing do to everything that hangs on a destination.

use barndoor_crds::settings::Format;

use super::*;
use crate::destinations::DeclaredAuth;
use crate::embedded::fixture::{declaration, keys, name, open, organization, role, streaming, wish};
use crate::event_log::conformance::events;
use crate::event_log::{EventLog, event_crc};
use crate::exporter::record::{Anchor, DeliveryRecord, DeliveryRecords, RecordError};

fn acme() -> OrganizationName {
    organization("acme")
}

fn uid(organization: &OrganizationName) -> OrganizationUid {
    OrganizationUid::from(organization)
}

fn fresh() -> (tempfile::TempDir, Embedded) {
    let folder = tempfile::tempdir().expect("a folder");
    let embedded = open(folder.path());
    (folder, embedded)
}

#[tokio::test]
async fn a_new_destination_is_paused_and_has_no_place_in_the_log() {
    let (_folder, embedded) = fresh();
    let made = embedded
        .declare(&acme(), &name("datadog-json"), declaration("acme-audit", role()))
        .await
        .expect("declares");
    assert_eq!((made.wish, made.generation, made.format), (Wish::Paused, 1, Format::DatadogJson));
    assert_eq!(made.uid.as_str().len(), 26);
    assert_eq!(made.uid.as_str(), made.uid.as_str().to_lowercase());
    assert_eq!(embedded.load(&uid(&acme()), &made.uid).await.expect("reads"), None);
    assert_eq!(embedded.health(&made.uid).await.expect("reads"), Some(Health::default()));
}

#[tokio::test]
async fn a_repeated_declaration_changes_nothing_and_a_real_one_counts_up() {
    let (_folder, embedded) = fresh();
    let declare = async |bucket, auth| {
        embedded.declare(&acme(), &name("audit"), declaration(bucket, auth)).await.expect("declares")
    };
    let first = declare("acme-audit", role()).await;
    let mut changes = Destinations::changes(&embedded);
    assert_eq!(declare("acme-audit", role()).await, first);
    assert!(changes.try_recv().is_err(), "nothing to announce");
    let moved = declare("acme-other", role()).await;
    assert_eq!((moved.uid, moved.generation), (first.uid, 2));
    assert!(matches!(changes.try_recv(), Ok(Change::Declared(changed)) if changed.generation == 2));
}

#[tokio::test]
async fn switching_between_keys_and_role_keeps_the_destination_and_deletes_the_keys() {
    let (_folder, embedded) = fresh();
    let declare =
        async |auth| embedded.declare(&acme(), &name("audit"), declaration("acme-audit", auth)).await;
    let refused = declare(DeclaredAuth::StoredAccessKeys).await.expect_err("no keys yet");
    assert!(matches!(refused, DeclareError::KeysRequired), "{refused}");
    assert_eq!(embedded.find(&acme(), &name("audit")).await.expect("reads"), None);

    let with_keys = declare(keys("AKIA1")).await.expect("declares");
    let stored = embedded.access_keys(&with_keys).await.expect("opens");
    assert_eq!((stored.access_key_id.as_str(), stored.secret_access_key.as_str()), ("AKIA1", "AKIA1-secret"));
    let kept = declare(DeclaredAuth::StoredAccessKeys).await.expect("declares");
    assert_eq!(kept, with_keys);
    assert!(embedded.has_access_keys(&kept).await.expect("reads"));

    let rotated = declare(keys("AKIA2")).await.expect("declares");
    assert_eq!(rotated.generation, 2, "new keys are a change that must be announced");
    assert_eq!(embedded.access_keys(&rotated).await.expect("opens").access_key_id, "AKIA2");

    let with_role = declare(role()).await.expect("declares");
    assert_eq!(with_role.uid, with_keys.uid);
    assert!(!embedded.has_access_keys(&with_role).await.expect("reads"));
    let gone = embedded.access_keys(&with_role).await.expect_err("deleted");
    assert!(matches!(gone, AccessKeysError::NotFound), "{gone}");
    declare(DeclaredAuth::StoredAccessKeys).await.expect_err("deleted");
}

#[tokio::test]
async fn keys_moved_to_another_destination_do_not_open_there() {
    let (_folder, embedded) = fresh();
    let made = embedded.declare(&acme(), &name("audit"), declaration("acme-audit", keys("AKIA1"))).await;
    let mut thief = made.expect("declares");
    thief.organization_uid = OrganizationUid::new("thief");
    let refused = embedded.access_keys(&thief).await.expect_err("bound to acme");
    assert!(matches!(refused, AccessKeysError::NotUsable(_)), "{refused}");
    assert!(refused.to_string().contains("send access_key_id and secret_access_key again"), "{refused}");
}

#[tokio::test]
async fn the_first_wish_to_stream_fixes_the_place_at_the_logs_end_and_a_later_one_keeps_it() {
    let (_folder, embedded) = fresh();
    let first = streaming(&embedded, &uid(&acme())).await;
    let record = embedded.load(&uid(&acme()), &first.uid).await.expect("reads").expect("a place");
    assert_eq!((record.start.sequence, record.next, record.covered_from, record.anchor), (1, 1, 1, None));
    assert_eq!((record.revision, record.owner_epoch), (1, 0));

    embedded.append(&uid(&acme()), events(&["a", "b"]), None).await.expect("appends");
    embedded.declare(&acme(), &name("late"), declaration("acme-late", role())).await.expect("declares");
    let late = embedded.adjust(&acme(), &name("late"), wish(Wish::Streaming)).await.expect("adjusts");
    let late = late.expect("is there");
    assert_eq!((late.wish, late.generation), (Wish::Streaming, 2));
    let late = embedded.load(&uid(&acme()), &late.uid).await.expect("reads").expect("a place");
    assert_eq!((late.start.sequence, late.next, late.covered_from), (3, 3, 3));
    assert_eq!(late.anchor, Some(Anchor { sequence: 2, crc: event_crc(2, b"b") }));
    assert_eq!(late.start.log_epoch, record.start.log_epoch);

    for again in [Wish::Paused, Wish::Streaming] {
        embedded.adjust(&acme(), &name("audit"), wish(again)).await.expect("adjusts");
    }
    assert_eq!(embedded.load(&uid(&acme()), &first.uid).await.expect("reads"), Some(record));
}

#[tokio::test]
async fn settings_that_change_nothing_keep_the_generation() {
    let (_folder, embedded) = fresh();
    let made =
        embedded.declare(&acme(), &name("audit"), declaration("acme-audit", role())).await.expect("declares");
    let adjust = async |change| embedded.adjust(&acme(), &name("audit"), change).await.expect("adjusts");
    assert_eq!(adjust(SettingsChange::default()).await, Some(made.clone()));
    assert_eq!(adjust(wish(Wish::Paused)).await, Some(made));
    let change =
        SettingsChange { max_events: Some(7), include: Some(Some(Vec::new())), ..SettingsChange::default() };
    let changed = adjust(change).await.expect("is there");
    assert_eq!((changed.generation, changed.batch.max_events, changed.include), (2, 7, Some(Vec::new())));
    assert_eq!(
        embedded.adjust(&acme(), &name("other"), SettingsChange::default()).await.expect("adjusts"),
        None
    );
}

#[tokio::test]
async fn a_change_meant_for_another_version_changes_nothing() {
    let (_folder, embedded) = fresh();
    let declare = async |bucket| {
        embedded.declare(&acme(), &name("audit"), declaration(bucket, role())).await.expect("declares")
    };
    let start = async |version| {
        let change = SettingsChange { expected: Some(version), ..wish(Wish::Streaming) };
        embedded.adjust(&acme(), &name("audit"), change).await
    };
    let looked_at = declare("acme-audit").await.version();
    let moved = declare("acme-other").await;
    let refused = start(looked_at.clone()).await.expect_err("it was changed");
    assert!(matches!(refused, AdjustError::OtherVersion), "{refused}");
    embedded.remove(&acme(), &name("audit")).await.expect("removes");
    assert_eq!(start(looked_at.clone()).await.expect("adjusts"), None);
    let successor = declare("acme-audit").await;
    assert_eq!(successor.generation, looked_at.generation);
    start(looked_at).await.expect_err("it is another destination");
    assert_eq!(embedded.find(&acme(), &name("audit")).await.expect("reads"), Some(successor.clone()));
    assert_eq!(embedded.load(&uid(&acme()), &successor.uid).await.expect("reads"), None);
    assert_eq!(embedded.load(&uid(&acme()), &moved.uid).await.expect("reads"), None);
    let started = start(successor.version()).await.expect("adjusts").expect("is there");
    assert_eq!(started.wish, Wish::Streaming);
}

#[tokio::test]
async fn removing_leaves_nothing_and_a_successor_is_somebody_else() {
    let (_folder, embedded) = fresh();
    let declare = async || {
        embedded
            .declare(&acme(), &name("audit"), declaration("acme-audit", keys("AKIA1")))
            .await
            .expect("declares")
    };
    let old = declare().await;
    embedded.adjust(&acme(), &name("audit"), wish(Wish::Streaming)).await.expect("adjusts");
    let mut changes = Destinations::changes(&embedded);
    assert_eq!(embedded.remove(&acme(), &name("audit")).await.expect("removes"), Some(old.uid.clone()));
    assert!(matches!(changes.try_recv(), Ok(Change::Removed(uid)) if uid == old.uid));
    assert_eq!(embedded.remove(&acme(), &name("audit")).await.expect("removes"), None);
    assert_eq!(embedded.load(&uid(&acme()), &old.uid).await.expect("reads"), None);
    assert!(!embedded.has_access_keys(&old).await.expect("reads"));
    embedded.save_health(&old.uid, Health::default()).await.expect("saves nothing");
    assert_eq!(embedded.health(&old.uid).await.expect("reads"), None);
    assert_ne!(declare().await.uid, old.uid);
}

#[tokio::test]
async fn destinations_are_listed_in_name_order_page_by_page_and_per_organization() {
    let (_folder, embedded) = fresh();
    for (of, called) in [("acme", "b"), ("acme", "a"), ("acme", "c"), ("acme-2", "a"), ("acm", "z")] {
        embedded
            .declare(&organization(of), &name(called), declaration("acme-audit", role()))
            .await
            .expect("declares");
    }
    let names = async |after: Option<&str>, limit| {
        let after = after.map(name);
        let listed = embedded.list(&acme(), after.as_ref(), limit).await.expect("reads");
        listed.into_iter().map(|destination| destination.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(None, 2).await, ["a", "b"]);
    assert_eq!(names(Some("b"), 2).await, ["c"]);
    assert_eq!(names(Some("aa"), 9).await, ["b", "c"]);
    assert_eq!(embedded.all().await.expect("reads").len(), 5);
}

#[tokio::test]
async fn a_delivery_record_is_swapped_only_for_its_successor() {
    let (_folder, embedded) = fresh();
    let destination = streaming(&embedded, &uid(&acme())).await;
    let acme = uid(&acme());
    let mut record = embedded.load(&acme, &destination.uid).await.expect("reads").expect("a place");
    record.revision = 2;
    record.owner_epoch = 1;
    embedded.compare_and_swap(&acme, &destination.uid, record.clone()).await.expect("swaps");
    let at = |revision| DeliveryRecord { revision, ..record.clone() };
    for stale in [1, 2, 4] {
        let refused = embedded.compare_and_swap(&acme, &destination.uid, at(stale)).await;
        assert!(matches!(refused, Err(RecordError::Lost)), "{stale}");
    }
    let other = DestinationUid::new("nobody");
    let refused = embedded.compare_and_swap(&acme, &other, at(1)).await;
    assert!(matches!(refused, Err(RecordError::Lost)));
    assert_eq!(embedded.of_organization(&acme).await.expect("reads"), [(destination.uid, record)]);
    assert_eq!(embedded.of_organization(&OrganizationUid::new("acm")).await.expect("reads"), []);
}

#[tokio::test]
async fn an_organization_may_have_so_many_destinations_and_no_more() {
    let (_folder, embedded) = fresh();
    let declare = async |number: usize| {
        let name = name(&format!("audit-{number}"));
        embedded.declare(&acme(), &name, declaration("acme-audit", role())).await
    };
    let all = futures_util::future::join_all((0..MAX_DESTINATIONS_PER_ORGANIZATION).map(declare)).await;
    assert!(all.iter().all(Result::is_ok));
    let refused = declare(MAX_DESTINATIONS_PER_ORGANIZATION).await.expect_err("one too many");
    assert!(
        matches!(refused, DeclareError::TooMany { limit: MAX_DESTINATIONS_PER_ORGANIZATION }),
        "{refused}"
    );
    declare(0).await.expect("those that are there may change");
    let other = organization("acme-2");
    embedded
        .declare(&other, &name("audit"), declaration("acme-audit", role()))
        .await
        .expect("every organization has its own limit");
}
