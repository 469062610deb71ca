//! What every event log must do, whatever is below it. Each check takes a log of its own organization.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use barndoor_crds::event_type::EventType;
use barndoor_crds::name::OrganizationUid;

use super::{
    AppendError, Appended, EventLog, Events, Fate, Idempotency, LogError, RECORD_BATCH_BYTES, Sequence,
};

/// A log under test.
#[async_trait]
pub(crate) trait Subject: Send + Sync {
    /// The log.
    fn log(&self) -> Arc<dyn EventLog>;

    /// Gives the organization a place in the log, so that its events are kept.
    async fn hold(&self, organization: &OrganizationUid);
}

/// Runs every check.
pub(crate) async fn check(subject: &impl Subject) {
    events_that_nobody_waits_for_are_counted_and_not_stored(subject).await;
    events_are_read_as_they_were_appended(subject).await;
    an_organization_sees_only_its_own_events(subject).await;
    a_read_begins_anywhere_and_ends_at_its_limit(subject).await;
    a_long_append_is_stored_in_several_batches(subject).await;
    a_repeated_key_gets_its_first_answer_again(subject).await;
    concurrent_repeats_of_a_key_append_once(subject).await;
    a_trimmed_event_is_gone_and_numbers_go_on(subject).await;
    a_renewed_epoch_sorts_after_the_old_one(subject).await;
    changes_are_announced(subject).await;
    concurrent_appends_get_dense_disjoint_numbers(subject).await;
}

pub(crate) fn organization(name: &str) -> OrganizationUid {
    OrganizationUid::new(format!("conformance-{name}"))
}

pub(crate) fn events(texts: &[&str]) -> Events {
    let mut events = Events::default();
    for text in texts {
        events.push(EventType::Audit, text.as_bytes());
    }
    events
}

fn key(key: &str, body: u8) -> Idempotency {
    Idempotency { key: key.to_owned(), body_sha256: [body; 32], note: vec![body; 3] }
}

fn kept(appended: &Appended) -> (Sequence, Sequence) {
    match appended.fate {
        Fate::Kept { first, last } => (first, last),
        Fate::NotKept { .. } => panic!("{appended:?} should have been kept"),
    }
}

pub(crate) async fn texts(log: &dyn EventLog, organization: &OrganizationUid, from: Sequence) -> Vec<String> {
    let mut next = from;
    let mut texts = Vec::new();
    loop {
        let batches = log.read(organization, next, RECORD_BATCH_BYTES).await.expect("reads");
        let Some(last) = batches.last() else { return texts };
        let end = last.last() + 1;
        for batch in &batches {
            for index in 0..batch.ends.len() {
                let sequence = batch.first + index as u64;
                if sequence >= next {
                    texts.push(String::from_utf8(batch.event(index).to_vec()).expect("text"));
                }
            }
        }
        next = end;
    }
}

async fn events_that_nobody_waits_for_are_counted_and_not_stored(subject: &impl Subject) {
    let (log, organization) = (subject.log(), organization("unwanted"));
    let appended = log.append(&organization, events(&["a", "b"]), Some(key("k", 1))).await.expect("appends");
    assert_eq!(appended, Appended { fate: Fate::NotKept { count: 2 }, note: vec![1; 3] });
    assert_eq!(log.read(&organization, 1, 1).await.expect("reads"), []);
    subject.hold(&organization).await;
    let again = log.append(&organization, events(&["a", "b"]), Some(key("k", 1))).await.expect("appends");
    assert_eq!(again, appended, "the first answer stays the answer");
    let head = log.head(&organization).await.expect("reads").expect("a place makes a log");
    assert_eq!((head.first, head.next, head.appended_bytes), (1, 1, 0));
}

async fn events_are_read_as_they_were_appended(subject: &impl Subject) {
    let (log, organization) = (subject.log(), organization("round-trip"));
    subject.hold(&organization).await;
    let mut batch = Events::default();
    batch.push(EventType::ToolCall, "{\"ü\":1}".as_bytes());
    batch.push(EventType::System, b"{}");
    let first = log.append(&organization, batch, None).await.expect("appends");
    assert_eq!(kept(&first), (1, 2));
    let second = log.append(&organization, events(&["third"]), None).await.expect("appends");
    assert_eq!(kept(&second), (3, 3));

    let read = log.read(&organization, 1, usize::MAX).await.expect("reads");
    assert_eq!(read.iter().map(|batch| (batch.first, batch.last())).collect::<Vec<_>>(), [(1, 2), (3, 3)]);
    assert_eq!(read[0].types, [EventType::ToolCall, EventType::System]);
    assert_eq!((read[0].event(0), read[0].event(1)), ("{\"ü\":1}".as_bytes(), &b"{}"[..]));
    assert_eq!((read[0].bytes_before, read[1].bytes_before), (0, 12));
    assert_eq!(read[0].accepted_at.as_nanosecond() % 1_000_000, 0, "millisecond precision");
    assert!(read[0].accepted_at <= read[1].accepted_at);
    let head = log.head(&organization).await.expect("reads").expect("a log");
    assert_eq!((head.first, head.next, head.appended_bytes), (1, 4, 18));
}

async fn an_organization_sees_only_its_own_events(subject: &impl Subject) {
    let log = subject.log();
    // One name is the beginning of the other: a sloppy key range would mix them.
    let (one, other) = (organization("tenant"), organization("tenant-2"));
    for organization in [&one, &other] {
        subject.hold(organization).await;
        log.append(organization, events(&[organization.as_str()]), None).await.expect("appends");
    }
    assert_eq!(texts(log.as_ref(), &one, 1).await, [one.as_str()]);
    log.trim(&one, 2).await.expect("trims");
    assert_eq!(texts(log.as_ref(), &other, 1).await, [other.as_str()]);
    assert_eq!(log.head(&organization("tenant-3")).await.expect("reads"), None);
}

async fn a_read_begins_anywhere_and_ends_at_its_limit(subject: &impl Subject) {
    let (log, organization) = (subject.log(), organization("reads"));
    subject.hold(&organization).await;
    for batch in [["1", "2"], ["3", "4"], ["5", "6"]] {
        log.append(&organization, events(&batch), None).await.expect("appends");
    }
    let firsts = async |from, limit| {
        let read = log.read(&organization, from, limit).await.expect("reads");
        read.iter().map(|batch| batch.first).collect::<Vec<_>>()
    };
    assert_eq!(firsts(1, 0).await, [1], "always at least one");
    assert_eq!(firsts(2, 5).await, [1, 3]);
    assert_eq!(firsts(3, 100).await, [3, 5]);
    assert_eq!(firsts(6, 100).await, [5]);
    assert_eq!(firsts(7, 100).await, Vec::<Sequence>::new());
}

async fn a_long_append_is_stored_in_several_batches(subject: &impl Subject) {
    let (log, organization) = (subject.log(), organization("long"));
    subject.hold(&organization).await;
    let text = "x".repeat(RECORD_BATCH_BYTES / 4 - 1);
    let appended = log.append(&organization, events(&[text.as_str(); 9]), None).await.expect("appends");
    assert_eq!(kept(&appended), (1, 9));
    let read = log.read(&organization, 1, usize::MAX).await.expect("reads");
    assert_eq!(read.iter().map(|batch| batch.first).collect::<Vec<_>>(), [1, 5, 9]);
    assert!(read.iter().all(|batch| batch.accepted_at == read[0].accepted_at));
    assert_eq!(read[2].bytes_before, 8 * (text.len() as u64 + 1), "line feeds count");
}

async fn a_repeated_key_gets_its_first_answer_again(subject: &impl Subject) {
    let (log, one, other) = (subject.log(), organization("keys"), organization("keys-2"));
    subject.hold(&one).await;
    subject.hold(&other).await;
    let first = log.append(&one, events(&["a"]), Some(key("k", 1))).await.expect("appends");
    assert_eq!(first, Appended { fate: Fate::Kept { first: 1, last: 1 }, note: vec![1; 3] });
    let mut repeat = key("k", 1);
    repeat.note = b"another".to_vec();
    assert_eq!(log.append(&one, events(&["a"]), Some(repeat)).await.expect("repeats"), first);
    let reused = log.append(&one, events(&["b"]), Some(key("k", 2))).await;
    assert!(matches!(reused, Err(AppendError::KeyReused)), "{reused:?}");
    assert_eq!(texts(log.as_ref(), &one, 1).await, ["a"]);
    log.append(&other, events(&["b"]), Some(key("k", 2))).await.expect("keys are the organization's own");
}

async fn concurrent_repeats_of_a_key_append_once(subject: &impl Subject) {
    let (log, organization) = (subject.log(), organization("same-key"));
    subject.hold(&organization).await;
    let repeats = (0..8).map(|_| log.append(&organization, events(&["a", "b"]), Some(key("k", 1))));
    for appended in futures_util::future::join_all(repeats).await {
        assert_eq!(kept(&appended.expect("appends")), (1, 2));
    }
    assert_eq!(texts(log.as_ref(), &organization, 1).await, ["a", "b"]);
}

async fn a_trimmed_event_is_gone_and_numbers_go_on(subject: &impl Subject) {
    let (log, organization) = (subject.log(), organization("trims"));
    log.trim(&organization, 5).await.expect("an unknown log has nothing to trim");
    subject.hold(&organization).await;
    for batch in [["1", "2"], ["3", "4"]] {
        log.append(&organization, events(&batch), None).await.expect("appends");
    }
    let full = log.usage(&organization).await.expect("reads").organization_bytes;
    log.trim(&organization, 2).await.expect("trims");
    log.trim(&organization, 4).await.expect("trims");
    assert_eq!(texts(log.as_ref(), &organization, 3).await, ["3", "4"], "half a batch is kept");
    let lost = log.read(&organization, 2, 1).await;
    assert!(matches!(lost, Err(LogError::Damaged { at: 2, .. })), "{lost:?}");

    log.trim(&organization, Sequence::MAX).await.expect("trims");
    let head = log.head(&organization).await.expect("reads").expect("a log");
    assert_eq!((head.first, head.next), (5, 5));
    let empty = log.usage(&organization).await.expect("reads").organization_bytes;
    assert!(full > 0 && empty == 0, "{full} bytes, then {empty}");
    let next = log.append(&organization, events(&["5"]), None).await.expect("appends");
    assert_eq!(kept(&next), (5, 5));
    assert_eq!(texts(log.as_ref(), &organization, 5).await, ["5"]);
}

async fn a_renewed_epoch_sorts_after_the_old_one(subject: &impl Subject) {
    let (log, organization) = (subject.log(), organization("epochs"));
    subject.hold(&organization).await;
    log.append(&organization, events(&["a"]), None).await.expect("appends");
    let old = log.head(&organization).await.expect("reads").expect("a log");
    let new = log.renew_epoch(&organization).await.expect("renews");
    assert!(new.epoch > old.epoch);
    assert_eq!((new.first, new.next), (old.first, old.next));
    assert_eq!(log.head(&organization).await.expect("reads"), Some(new));
}

async fn changes_are_announced(subject: &impl Subject) {
    let (log, organization) = (subject.log(), organization("changes"));
    subject.hold(&organization).await;
    let mut changes = log.changes();
    log.append(&organization, events(&["a"]), None).await.expect("appends");
    assert_eq!(changes.recv().await, Ok(organization));
}

async fn concurrent_appends_get_dense_disjoint_numbers(subject: &impl Subject) {
    let (log, organization) = (subject.log(), organization("crowd"));
    subject.hold(&organization).await;
    let producers = (0..16).map(|producer| {
        let (log, organization) = (Arc::clone(&log), organization.clone());
        tokio::spawn(async move {
            let mut ranges = Vec::new();
            for batch in 0..10 {
                let texts: Vec<String> = (0..5).map(|event| format!("{producer}/{batch}/{event}")).collect();
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                ranges.push(kept(&log.append(&organization, events(&texts), None).await.expect("appends")));
            }
            ranges
        })
    });
    let mut numbers = BTreeSet::new();
    for ranges in futures_util::future::join_all(producers).await {
        for (first, last) in ranges.expect("ran") {
            assert!((first..=last).all(|sequence| numbers.insert(sequence)), "{first} to {last} twice");
        }
    }
    assert!(numbers.into_iter().eq(1..=800));
    let read = texts(log.as_ref(), &organization, 1).await;
    assert_eq!(read.iter().collect::<BTreeSet<_>>().len(), 800);
    for run in read.chunks(5) {
        let start = run[0].strip_suffix("/0").expect("the run begins with its first event");
        assert!((0..5).all(|event| run[event] == format!("{start}/{event}")), "{run:?}");
    }
}
