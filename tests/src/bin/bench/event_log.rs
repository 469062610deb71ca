//! The embedded event log: durable appends by many producers, and reading it back. Beside the appends, the same bytes
//! written to a file and synced once for as many batches as there are producers.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use barndoor_controller::clock::SystemClock;
use barndoor_controller::destinations::{
    AsSent, Declaration, DeclaredAuth, Destinations, SettingsChange, Wish,
};
use barndoor_controller::embedded::{Embedded, EmbeddedConfig, EventLogLimits};
use barndoor_controller::event_log::{EventLog, Events, Fate};
use barndoor_crds::name::{OrganizationName, OrganizationUid};
use barndoor_crds::place::{Addressing, Endpoint, PathPrefix, Place, Scheme};
use tempfile::TempDir;

use super::{BATCH_EVENTS, Batch, per_second};

/// Appends under way at once.
const PRODUCERS: usize = 16;

/// Decoded bytes of one read.
const READ_BYTES: usize = 4 * 1024 * 1024;

pub(super) async fn measure(batches: Vec<Batch>) {
    // Beside the program, because the system's folder for temporary files may be memory.
    let beside = std::env::current_exe().expect("a running program has a path");
    let folder = TempDir::new_in(beside.parent().expect("a program is in a folder")).expect("a folder");
    let count = batches.len() * BATCH_EVENTS;
    let raw = raw(folder.path(), &batches);

    let embedded = Embedded::open(EmbeddedConfig {
        data_dir: folder.path().join("data"),
        master_key: None,
        limits: EventLogLimits { total_bytes: 1 << 40, organization_share_percent: 100 },
        clock: Arc::new(SystemClock),
    })
    .expect("a fresh data folder opens");
    let organization = keep_events(&embedded).await;
    let queue = Arc::new(Mutex::new(batches.into()));
    let (began, commits_before) = (Instant::now(), embedded.commits());
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|_| tokio::spawn(produce(embedded.clone(), organization.clone(), queue.clone())))
        .collect();
    for producer in producers {
        producer.await.expect("a producer ends");
    }
    let appended = began.elapsed();
    let commits = embedded.commits() - commits_before;
    let read = read(&embedded, &organization, count).await;
    embedded.close().await;

    println!(
        "\nEmbedded event log, {PRODUCERS} producers, one batch each under way, every batch on disk when answered"
    );
    println!("  append                   {:10.0} events/s ({commits} commits)", per_second(count, appended));
    println!("  raw write and fdatasync  {:10.0} events/s", per_second(count, raw));
    println!("  append / raw             {:10.2}", raw.as_secs_f64() / appended.as_secs_f64());
    println!("  read                     {:10.0} events/s", per_second(count, read));
}

pub(super) fn events(batch: &Batch) -> Events {
    let mut events = Events::default();
    for (event_type, line) in batch {
        events.push(*event_type, line);
    }
    events
}

async fn produce(log: Embedded, organization: OrganizationUid, queue: Arc<Mutex<VecDeque<Batch>>>) {
    let next = || queue.lock().expect("producers do not panic").pop_front();
    while let Some(batch) = next() {
        let appended = log.append(&organization, events(&batch), None).await.expect("the log takes it");
        assert!(matches!(appended.fate, Fate::Kept { .. }), "a destination has a place");
    }
}

async fn read(log: &Embedded, organization: &OrganizationUid, count: usize) -> Duration {
    let began = Instant::now();
    let mut next = 1;
    while next <= count as u64 {
        let batches = log.read(organization, next, READ_BYTES).await.expect("the log reads");
        next = batches.last().expect("the events are there").last() + 1;
    }
    began.elapsed()
}

fn raw(folder: &std::path::Path, batches: &[Batch]) -> Duration {
    let mut file = File::create(folder.join("raw")).expect("the folder is writable");
    let groups: Vec<Vec<u8>> = batches
        .chunks(PRODUCERS)
        .map(|group| group.iter().flat_map(|batch| events(batch).bytes).collect())
        .collect();
    let began = Instant::now();
    for group in groups {
        file.write_all(&group).and_then(|()| file.sync_data()).expect("the disk takes it");
    }
    began.elapsed()
}

/// Events are kept only while a destination has a place in the log.
async fn keep_events(embedded: &Embedded) -> OrganizationUid {
    let organization: OrganizationName = "acme".parse().expect("a constant name");
    let name = "bench".parse().expect("a constant name");
    let endpoint = "https://s3.us-east-1.amazonaws.com";
    let declaration = Declaration {
        place: Place {
            endpoint: Endpoint::parse(endpoint, Scheme::Https).expect("a constant endpoint"),
            region: "us-east-1".parse().expect("a constant region"),
            bucket: "acme-audit".parse().expect("a constant bucket"),
            prefix: PathPrefix::default(),
            addressing: Addressing::Auto,
        },
        as_sent: AsSent {
            endpoint: endpoint.to_owned(),
            bucket: "acme-audit".to_owned(),
            region: None,
            path_prefix: None,
            use_ssl: true,
            use_path_style: false,
        },
        auth: DeclaredAuth::IamRole("arn:aws:iam::123456789012:role/audit".parse().expect("a constant role")),
    };
    embedded.declare(&organization, &name, declaration).await.expect("a fresh database takes it");
    let streaming = SettingsChange { wish: Some(Wish::Streaming), ..SettingsChange::default() };
    embedded.adjust(&organization, &name, streaming).await.expect("a fresh database takes it");
    OrganizationUid::from(&organization)
}
