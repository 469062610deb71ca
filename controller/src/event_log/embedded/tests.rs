//! The conformance suite, and what only this implementation promises.

use std::sync::Arc;

use async_trait::async_trait;
use barndoor_crds::name::OrganizationUid;
use redb::ReadableTable;

use super::*;
use crate::embedded::EventLogLimits;
use crate::embedded::fixture::{SetClock, config, open, streaming};
use crate::embedded::tables::LOG_BATCHES;
use crate::event_log::FullScope;
use crate::event_log::conformance::{self, Subject, events};

struct OnDisk(Embedded);

#[async_trait]
impl Subject for OnDisk {
    fn log(&self) -> Arc<dyn EventLog> {
        Arc::new(self.0.clone())
    }

    async fn hold(&self, organization: &OrganizationUid) {
        streaming(&self.0, organization).await;
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn acme() -> OrganizationUid {
    OrganizationUid::new("acme")
}

#[tokio::test(flavor = "multi_thread")]
async fn it_conforms() {
    let folder = folder();
    conformance::check(&OnDisk(open(folder.path()))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn producers_share_commits() {
    let folder = folder();
    let embedded = open(folder.path());
    streaming(&embedded, &acme()).await;
    let before = embedded.commits();
    let appends = (0..200).map(|_| {
        let embedded = embedded.clone();
        tokio::spawn(
            async move { embedded.append(&acme(), events(&["a"; 10]), None).await.expect("appends") },
        )
    });
    futures_util::future::join_all(appends).await;
    let commits = embedded.commits() - before;
    assert!((1..100).contains(&commits), "{commits} commits for 200 appends");
    assert_eq!(embedded.head(&acme()).await.expect("reads").expect("a log").next, 2_001);
}

#[tokio::test]
async fn what_nobody_waits_for_costs_no_commit() {
    let folder = folder();
    let embedded = open(folder.path());
    let before = embedded.commits();
    embedded.append(&acme(), events(&["a"]), None).await.expect("appends");
    assert_eq!(embedded.commits(), before);
}

#[tokio::test]
async fn a_full_log_says_which_limit_and_takes_events_again_after_a_trim() {
    let folder = folder();
    let mut config = config(folder.path());
    config.limits = EventLogLimits { total_bytes: 64 * 1024, organization_share_percent: 50 };
    let embedded = Embedded::open(config).expect("opens");
    let mut scopes = Vec::new();
    // What does not compress: every byte another.
    let text: String =
        (0..6_000u32).map(|n| char::from(b'!' + (n.wrapping_mul(2_654_435_761) >> 25) as u8 % 90)).collect();
    for organization in ["acme", "other", "third"].map(OrganizationUid::new) {
        streaming(&embedded, &organization).await;
        let full = loop {
            match embedded.append(&organization, events(&[&text]), None).await {
                Ok(_) => {}
                Err(AppendError::Full(scope)) => break scope,
                Err(other) => panic!("{other}"),
            }
        };
        let usage = embedded.usage(&organization).await.expect("reads");
        assert!(usage.organization_bytes <= usage.organization_limit_bytes);
        assert!(usage.total_bytes <= usage.total_limit_bytes);
        let all = TotalUsage { bytes: usage.total_bytes, limit_bytes: usage.total_limit_bytes };
        assert_eq!(embedded.total_usage().await.expect("reads"), all);
        scopes.push(full);
    }
    assert_eq!(scopes[0], FullScope::Organization);
    assert_eq!(scopes[2], FullScope::Log);
    embedded.trim(&acme(), Sequence::MAX).await.expect("trims");
    embedded.append(&acme(), events(&[&text]), None).await.expect("appends");
}

#[tokio::test]
async fn a_damaged_batch_and_a_missing_one_are_errors() {
    let folder = folder();
    let embedded = open(folder.path());
    streaming(&embedded, &acme()).await;
    for text in ["first", "second", "third"] {
        embedded.append(&acme(), events(&[text]), None).await.expect("appends");
    }
    let change = |sequence: Sequence, value: Option<&'static [u8]>| {
        embedded.inner().database.write(
            0,
            move |writing| {
                let mut batches = writing.table(LOG_BATCHES)?;
                match value {
                    Some(value) => drop(batches.insert(("acme", sequence), value)?),
                    None => drop(batches.remove(("acme", sequence))?),
                }
                Ok(())
            },
            |()| {},
        )
    };
    let damaged_at = async |from| match embedded.read(&acme(), from, usize::MAX).await {
        Err(LogError::Damaged { at, .. }) => at,
        other => panic!("{other:?}"),
    };
    change(3, Some(b"not a batch")).await.expect("writes");
    assert_eq!(damaged_at(1).await, 3);
    change(3, None).await.expect("writes");
    assert_eq!(damaged_at(1).await, 3);
    assert_eq!(damaged_at(3).await, 3);
    change(2, None).await.expect("writes");
    assert_eq!(damaged_at(1).await, 2);
    assert_eq!(damaged_at(2).await, 2);
}

#[tokio::test]
async fn keys_are_kept_for_a_day_and_swept_after_it() {
    let folder = folder();
    let clock = SetClock::at("2026-03-01T10:00:00Z");
    let mut config = config(folder.path());
    config.clock = Arc::clone(&clock) as Arc<dyn crate::clock::Clock>;
    let embedded = Embedded::open(config).expect("opens");
    let keyed = async |key: usize| {
        let asked = Idempotency { key: key.to_string(), body_sha256: [0; 32], note: Vec::new() };
        embedded.append(&acme(), events(&["a"]), Some(asked)).await
    };
    let rows = || {
        embedded.inner().database.read(|transaction| {
            let answers = transaction.open_table(crate::embedded::tables::IDEMPOTENCY)?.iter()?.count();
            let ages = transaction.open_table(crate::embedded::tables::IDEMPOTENCY_AGES)?.iter()?.count();
            assert_eq!(answers, ages);
            Ok(answers)
        })
    };
    for key in 0..10 {
        keyed(key).await.expect("appends");
    }
    clock.set("2026-03-02T09:59:59Z");
    keyed(10).await.expect("appends");
    assert_eq!(rows().await.expect("reads"), 11);
    clock.set("2026-03-02T10:00:01Z");
    for key in 11..15 {
        keyed(key).await.expect("appends");
    }
    assert_eq!(rows().await.expect("reads"), 5, "the ten of yesterday are gone");
}

#[tokio::test]
async fn keys_and_their_answers_are_within_the_limits_and_free_their_room_after_a_day() {
    let folder = folder();
    let clock = SetClock::at("2026-03-01T10:00:00Z");
    let mut config = config(folder.path());
    config.clock = Arc::clone(&clock) as Arc<dyn crate::clock::Clock>;
    config.limits = EventLogLimits { total_bytes: 1024 * 1024, organization_share_percent: 50 };
    let embedded = Embedded::open(config).expect("opens");
    let keyed = async |key: usize| {
        let note = vec![b' '; crate::event_log::NOTE_MAX_BYTES];
        let asked = Idempotency { key: key.to_string(), body_sha256: [0; 32], note };
        embedded.append(&acme(), events(&["a"]), Some(asked)).await
    };
    let mut stored = 0;
    let refused = loop {
        match keyed(stored).await {
            Ok(Appended { fate: Fate::NotKept { count: 1 }, .. }) => stored += 1,
            Ok(other) => panic!("nobody waits for it: {other:?}"),
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, AppendError::Full(FullScope::Organization)), "{refused}");
    assert!((10..32).contains(&stored), "{stored} answers in 512 KiB");
    let usage = embedded.usage(&acme()).await.expect("reads");
    assert!(usage.organization_bytes >= (stored * crate::event_log::NOTE_MAX_BYTES) as u64, "{usage:?}");
    assert_eq!(usage.organization_bytes, usage.total_bytes);
    keyed(0).await.expect("a repeat needs no room");

    clock.set("2026-03-02T10:00:01Z");
    for key in stored..2 * stored {
        keyed(key).await.expect("room was freed");
    }
    clock.set("2026-03-03T10:00:02Z");
    for key in 0..stored {
        keyed(10_000 + key).await.expect("room was freed");
    }
    let later = embedded.usage(&acme()).await.expect("reads");
    assert!(later.organization_bytes <= usage.organization_bytes + 8 * 1024, "{later:?} after {usage:?}");
    assert_eq!(later.organization_bytes, later.total_bytes);
}

#[tokio::test]
async fn events_are_stamped_to_the_millisecond_and_never_clamped() {
    let folder = folder();
    let clock = SetClock::at("2026-03-01T10:00:00.123456Z");
    let mut config = config(folder.path());
    config.clock = Arc::clone(&clock) as Arc<dyn crate::clock::Clock>;
    let embedded = Embedded::open(config).expect("opens");
    streaming(&embedded, &acme()).await;
    embedded.append(&acme(), events(&["a"]), None).await.expect("appends");
    clock.set("2025-01-01T00:00:00Z");
    embedded.append(&acme(), events(&["b"]), None).await.expect("appends");
    let stamps: Vec<String> = embedded
        .read(&acme(), 1, usize::MAX)
        .await
        .expect("reads")
        .iter()
        .map(|batch| batch.accepted_at.to_string())
        .collect();
    assert_eq!(stamps, ["2026-03-01T10:00:00.123Z", "2025-01-01T00:00:00Z"]);
}
