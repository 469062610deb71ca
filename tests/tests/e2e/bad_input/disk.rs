//! A full disk: nothing more is acknowledged, nothing acknowledged is lost, and it ends by itself.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use barndoor_crds::event_type::EventType;
use barndoor_tests::account::Accepted;
use barndoor_tests::bucket::Bucket;
use barndoor_tests::controller_process::{Controller, Options};
use barndoor_tests::deadline::eventually;
use barndoor_tests::events::{EventSource, SentEvent, ndjson};
use barndoor_tests::minio::{Minio, REGION};
use barndoor_tests::rest::{Ingest, Reply, accepted};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::RngCore;
use serde_json::json;
use tempfile::TempDir;

use super::assert_problem;
use crate::e2e::export::{Export, FLOW_LIMIT, RECOVERY_LIMIT, with_keys};

/// A file system of its own; unmounted when dropped.
pub(super) struct Tmpfs {
    folder: TempDir,
}

impl Tmpfs {
    /// Mounts one of so many MiB; without the right to mount it says so and gives none.
    pub(super) fn mount(mebibytes: u32) -> Option<Self> {
        let disk = Self { folder: TempDir::new().expect("a temporary folder") };
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs"])
            .arg(disk.path())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(disk);
        }
        eprintln!("SKIPPED: mounting a tmpfs needs root");
        None
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Changes how it is mounted: `ro` or `rw`.
    pub(super) fn remount(&self, how: &str) {
        let status = Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(self.path()).status();
        assert!(status.is_ok_and(|status| status.success()), "who may mount may remount");
    }

    /// Takes all room that is left.
    fn fill_up(&self) {
        let mut file = std::fs::File::create(self.path().join("filler")).expect("room for a name");
        let piece = vec![0x5a; 256 * 1024];
        while file.write_all(&piece).is_ok() {}
    }

    fn free_again(&self) {
        std::fs::remove_file(self.path().join("filler")).expect("it is there");
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Nothing to unmount when mounting was refused.
        let _ = Command::new("umount").arg("-l").arg(self.path()).output();
    }
}

/// An export on a data folder of this disk, streaming to MinIO.
async fn export_on(disk: &Tmpfs, organization: &str) -> (Controller, Export) {
    let minio = Minio::shared().await;
    minio.create_bucket(organization).await;
    let options = Options::loopback().flag("--event-log-limit", "1GiB").flag("--organization-share", "100%");
    let controller = Controller::start_on(options, &disk.path().join("barndoor-data")).await;
    let export = Export::new(&controller, organization, "siem", Bucket::new(minio.client(), organization));
    export.put(&with_keys(minio.endpoint(), organization, REGION, &minio.root())).await.expect(200);
    export.flush_quickly().await;
    export.start().await.ok();
    (controller, export)
}

/// Events of 60 kB that hardly compress.
fn bulky(organization: &str, from: usize, count: usize) -> Vec<SentEvent> {
    let mut bytes = vec![0; 45_000];
    (from..from + count)
        .map(|number| {
            rand::rng().fill_bytes(&mut bytes);
            let id = format!("{organization}-{number:08}");
            let line = json!({
                "id": id, "type": "AUDIT", "timestamp": "2026-01-31T12:00:00Z", "bulk": STANDARD.encode(&bytes),
            });
            SentEvent { id, event_type: EventType::Audit, line: line.to_string() }
        })
        .collect()
}

async fn send(export: &Export, events: &[SentEvent]) -> Reply {
    let sent = export.rest.try_ingest(&export.organization, ndjson(events), &Ingest::default()).await;
    sent.expect("an answer")
}

#[track_caller]
fn assert_full(reply: &Reply) {
    assert_problem(reply, 503, "BufferFull", None, &["disk of the data folder is full", "free some space"]);
    let after = reply.headers.get("retry-after").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    assert!(after.is_some_and(|seconds| seconds > 0), "Retry-After says when to come back");
}

/// Sends until it is accepted again.
async fn accepted_again(export: &Export, events: &[SentEvent]) -> Vec<Accepted> {
    let answer = eventually("events to be accepted again", RECOVERY_LIMIT, async || {
        let reply = send(export, events).await;
        (reply.status == 200).then_some(reply.body)
    });
    accepted(&answer.await, events)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_filled_by_the_backlog_takes_events_again_once_they_are_delivered() {
    let Some(disk) = Tmpfs::mount(176) else { return };
    let (_controller, export) = export_on(&disk, "full-backlog").await;
    export.pause().await.ok();
    let (mut kept, mut next) = (Vec::new(), 0);
    let refusal = loop {
        let events = bulky("full-backlog", next, 100);
        let reply = send(&export, &events).await;
        if reply.status != 200 {
            break reply;
        }
        kept.extend(accepted(&reply.body, &events));
        next += events.len();
        assert!(next < 10_000, "the disk is smaller than that");
    };
    assert_full(&refusal);
    assert_full(&send(&export, &bulky("full-backlog", next, 100)).await);
    let delivery = export.status().await["delivery"].clone();
    assert_eq!((&delivery["accepted"], &delivery["backlog"]), (&json!(next), &json!(next)), "{delivery}");

    export.start().await.ok();
    export.wait_until_drained(RECOVERY_LIMIT).await;
    kept.extend(accepted_again(&export, &EventSource::new("full-again").take(10)).await);
    export.wait_until_drained(FLOW_LIMIT).await;
    export.account(&kept).await.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_filled_by_others_loses_nothing_and_needs_no_restart() {
    let Some(disk) = Tmpfs::mount(112) else { return };
    let (mut controller, export) = export_on(&disk, "full-others").await;
    let mut events = EventSource::new("full-others");
    let mut kept = export.accept(&events.take(500)).await;
    disk.fill_up();
    for _ in 0..5 {
        assert_full(&send(&export, &events.take(10)).await);
    }
    export.status().await;
    export.rest.list("full-others").await.expect(200);
    // A delivery record cannot be written now; what was delivered is found out later.
    tokio::time::sleep(Duration::from_secs(3)).await;
    export.status().await;
    disk.free_again();
    kept.extend(accepted_again(&export, &events.take(10)).await);
    export.wait_until_drained(RECOVERY_LIMIT).await;
    export.account(&kept).await.assert_clean();

    // The same across a restart that finds the disk full.
    controller.terminate();
    disk.fill_up();
    controller.restart().await;
    assert_full(&send(&export, &events.take(10)).await);
    disk.free_again();
    kept.extend(accepted_again(&export, &events.take(10)).await);
    export.wait_until_drained(RECOVERY_LIMIT).await;
    export.account(&kept).await.assert_clean();
}
