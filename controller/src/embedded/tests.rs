//! What the data folder promises: durable, one process, one format, sealed.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use barndoor_crds::name::OrganizationUid;

use super::fixture::{config, declaration, keys, name, open, organization, streaming, try_open};
use super::tables::{FORMAT, META, META_FORMAT};
use super::{MasterKey, OpenError};
use crate::destinations::Destinations;
use crate::event_log::conformance::{events, texts};
use crate::event_log::{EventLog, Fate};
use crate::exporter::record::DeliveryRecords;

fn mode(path: &Path) -> u32 {
    path.metadata().expect("is there").permissions().mode() & 0o777
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[tokio::test]
async fn after_a_restart_everything_is_found_again() {
    let folder = folder();
    let acme = OrganizationUid::new("acme");
    let embedded = open(folder.path());
    let destination = streaming(&embedded, &acme).await;
    embedded.append(&acme, events(&["a", "b"]), None).await.expect("appends");
    let record = embedded.load(&acme, &destination.uid).await.expect("reads");
    let head = embedded.head(&acme).await.expect("reads");
    let token_key = *embedded.token_signing_key().as_bytes();
    embedded.close().await;
    drop(embedded);

    let embedded = open(folder.path());
    let found = embedded.find(&destination.organization, &destination.name).await.expect("reads");
    assert_eq!(found, Some(destination.clone()));
    assert_eq!(embedded.load(&acme, &destination.uid).await.expect("reads"), record);
    assert!(record.is_some());
    assert_eq!(embedded.head(&acme).await.expect("reads"), head);
    assert_eq!(texts(&embedded, &acme, 1).await, ["a", "b"]);
    assert_eq!(embedded.token_signing_key().as_bytes(), &token_key);
    let next = embedded.append(&acme, events(&["c"]), None).await.expect("appends");
    assert_eq!(next.fate, Fate::Kept { first: 3, last: 3 });
}

#[tokio::test]
async fn a_crash_loses_nothing_that_was_acknowledged() {
    let (folder, crashed) = (folder(), folder());
    let acme = OrganizationUid::new("acme");
    let embedded = open(folder.path());
    streaming(&embedded, &acme).await;
    for text in ["a", "b", "c"] {
        embedded.append(&acme, events(&[text]), None).await.expect("appends");
    }
    // The files as they lie on the disk of a process that never got to close them.
    for file in ["barndoor.redb", "master.key"] {
        std::fs::copy(folder.path().join(file), crashed.path().join(file)).expect("copies");
    }
    let after = open(crashed.path());
    assert_eq!(texts(&after, &acme, 1).await, ["a", "b", "c"]);
    let next = after.append(&acme, events(&["d"]), None).await.expect("appends");
    assert_eq!(next.fate, Fate::Kept { first: 4, last: 4 });
}

#[tokio::test]
async fn a_killed_first_start_does_not_stand_in_the_way() {
    let folder = folder();
    std::fs::write(folder.path().join("barndoor.redb.new"), b"half a database").expect("writes");
    std::fs::write(folder.path().join("master.new"), b"half a key").expect("writes");
    open(folder.path());
}

#[tokio::test]
async fn a_second_process_is_turned_away_until_the_first_has_gone() {
    let folder = folder();
    let first = open(folder.path());
    let clone = first.clone();
    drop(first);
    let refused = try_open(folder.path()).err().expect("in use");
    assert!(matches!(refused, OpenError::InUse { .. }), "{refused}");
    assert!(refused.to_string().contains("already in use by another process"), "{refused}");
    drop(clone);
    open(folder.path());
}

#[tokio::test]
async fn a_newer_format_is_refused_naming_both() {
    let folder = folder();
    drop(open(folder.path()));
    let database = redb::Database::open(folder.path().join("barndoor.redb")).expect("opens");
    let transaction = database.begin_write().expect("begins");
    transaction.open_table(META).expect("opens").insert(META_FORMAT, FORMAT + 6).expect("inserts");
    transaction.commit().expect("commits");
    drop(database);
    let refused = try_open(folder.path()).err().expect("too new");
    assert!(matches!(refused, OpenError::NewerFormat { found: 7, supported: 1, .. }), "{refused}");
    assert!(refused.to_string().contains("has format 7, and this release reads up to 1"), "{refused}");
}

#[tokio::test]
async fn another_file_in_the_database_s_place_is_left_alone() {
    let folder = folder();
    let file = folder.path().join("barndoor.redb");
    let foreign = b"a letter to my aunt, longer than a header ".repeat(500);
    std::fs::write(&file, &foreign).expect("writes");
    let refused = try_open(folder.path()).err().expect("not ours");
    assert!(matches!(refused, OpenError::NotADatabase { .. }), "{refused}");
    assert_eq!(std::fs::read(&file).expect("reads"), foreign);
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let folder = folder();
    std::fs::write(folder.path().join("file"), b"").expect("writes");
    let refused = try_open(&folder.path().join("file/data")).err().expect("not a folder");
    assert!(refused.to_string().contains("file/data cannot be used"), "{refused}");
}

#[tokio::test]
async fn nothing_is_readable_for_others() {
    let folder = folder();
    let data = folder.path().join("deep/data");
    let _embedded = open(&data);
    assert_eq!(mode(&data), 0o700);
    for file in ["barndoor.redb", "barndoor.lock", "master.key"] {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
}

#[tokio::test]
async fn a_lost_or_foreign_master_key_is_refused() {
    let folder = folder();
    drop(open(folder.path()));
    let file = folder.path().join("master.key");
    let right = std::fs::read_to_string(&file).expect("reads");

    std::fs::remove_file(&file).expect("removes");
    let refused = try_open(folder.path()).err().expect("no key");
    assert!(matches!(refused, OpenError::MasterKeyMissing { .. }), "{refused}");
    assert!(!file.exists(), "no new key in place of the lost one");

    std::fs::write(&file, right.replace(|c: char| c.is_ascii_lowercase(), "A")).expect("writes");
    let refused = try_open(folder.path()).err().expect("wrong key");
    assert!(matches!(refused, OpenError::MasterKeyWrong { .. }), "{refused}");

    std::fs::write(&file, "nonsense").expect("writes");
    let refused = try_open(folder.path()).err().expect("no key in it");
    assert!(matches!(refused, OpenError::MasterKeyInvalid { .. }), "{refused}");

    let mut config = config(folder.path());
    config.master_key = Some(MasterKey::parse(&right).expect("a key"));
    super::Embedded::open(config).expect("the environment's key counts before the file's");
}

#[tokio::test]
async fn a_given_master_key_leaves_no_file() {
    let folder = folder();
    let mut config = config(folder.path());
    let text = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    config.master_key = Some(MasterKey::parse(text).expect("a key"));
    let embedded = super::Embedded::open(config).expect("opens");
    assert!(!folder.path().join("master.key").exists());

    let (acme, audit) = (organization("acme"), name("audit"));
    embedded.declare(&acme, &audit, declaration("acme-audit", keys("AKIAHUSH"))).await.expect("declares");
    embedded.close().await;
    let file = std::fs::read(folder.path().join("barndoor.redb")).expect("reads");
    assert!(!file.windows(8).any(|window| window == b"AKIAHUSH"), "sealed");
}

#[tokio::test]
async fn an_external_id_is_the_same_for_ever_and_each_destination_has_its_own() {
    let folder = folder();
    let embedded = open(folder.path());
    let mut ids = Vec::new();
    for (of, called) in [("acme", "audit"), ("acme", "audit-2"), ("acme2", "audit"), ("acm", "eaudit")] {
        let id = embedded.external_id(&organization(of), &name(called)).await.expect("derives");
        assert_eq!(id.as_str().len(), 64);
        assert!(!ids.contains(&id));
        ids.push(id);
    }
    drop(embedded);
    let embedded = open(folder.path());
    assert_eq!(embedded.external_id(&organization("acme"), &name("audit")).await.expect("derives"), ids[0]);
}

#[tokio::test]
async fn after_closing_everything_fails_clearly() {
    let folder = folder();
    let embedded = open(folder.path());
    embedded.close().await;
    let acme = OrganizationUid::new("acme");
    let refused = embedded.head(&acme).await.expect_err("closed");
    assert!(refused.to_string().ends_with("the database is closed"), "{refused}");
    embedded.append(&acme, events(&["a"]), None).await.expect_err("closed");
}
