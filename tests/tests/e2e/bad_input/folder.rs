//! Data folders that must not be touched: newer, foreign, in use, read-only, sealed with another key.

use std::path::Path;

use barndoor_tests::controller_process::{Controller, Options};
use redb::{Database, ReadableDatabase, TableDefinition};
use serde_json::json;
use tempfile::TempDir;

use super::disk::Tmpfs;
use super::{assert_says, refused};

const MASTER_KEY: &str = "BARNDOOR_MASTER_KEY";

/// The file that says which format it has; other releases read it too, so it is part of the contract.
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");

/// Lets a controller make the folder and one destination in it.
async fn fill(data: &Path, options: Options) {
    let mut controller = Controller::start_on(options, data).await;
    let destination = json!({
        "endpoint": "https://s3.example", "bucket": "acme-audit",
        "access_key_id": "AKIAEXAMPLE", "secret_access_key": "a-secret",
    });
    controller.rest().put_destination("acme", "siem", &destination).await.expect(200);
    assert_eq!(controller.terminate().0, Some(0));
}

async fn assert_still_whole(data: &Path, options: Options) {
    let controller = Controller::start_on(options, data).await;
    let destination = controller.rest().destination("acme", "siem").await.expect(200);
    assert_eq!(destination["has_credentials"], true, "{destination}");
}

fn set_format(data: &Path, change: impl Fn(u64) -> u64) -> u64 {
    let database = Database::open(data.join("barndoor.redb")).expect("the controller closed it");
    let found = {
        let read = database.begin_read().expect("readable");
        let table = read.open_table(META).expect("a table of its format");
        table.get("format").expect("readable").expect("a format").value()
    };
    let write = database.begin_write().expect("writable");
    write.open_table(META).expect("a table").insert("format", change(found)).expect("room");
    write.commit().expect("room");
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_a_newer_release_is_left_as_it_is() {
    let folder = TempDir::new().expect("a temporary folder");
    fill(folder.path(), Options::loopback()).await;
    let format = set_format(folder.path(), |format| format + 1);
    let before = std::fs::read(folder.path().join("barndoor.redb")).expect("readable");
    let newer = (format + 1).to_string();
    assert_says(
        &refused(folder.path(), &[], &[]),
        &["barndoor.redb", "has format", &newer, "run the release that wrote it"],
    );
    let after = std::fs::read(folder.path().join("barndoor.redb")).expect("readable");
    assert!(before == after, "not one byte changed");
    set_format(folder.path(), |newer| newer - 1);
    assert_still_whole(folder.path(), Options::loopback()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_in_use_or_with_something_else_in_it_is_not_taken() {
    let controller = Controller::start(Options::loopback()).await;
    assert_says(&refused(controller.data(), &[], &[]), &["already in use", "--data-dir"]);
    controller.rest().list("acme").await.expect(200);

    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("barndoor.redb");
    std::fs::write(&file, "something else\n".repeat(1_000)).expect("writable");
    assert_says(
        &refused(folder.path(), &[], &[]),
        &["barndoor.redb", "is not a Barndoor database", "--data-dir"],
    );
    assert_eq!(std::fs::read_to_string(&file).expect("readable"), "something else\n".repeat(1_000));
    let file = folder.path().join("a-file");
    std::fs::write(&file, "x").expect("writable");
    assert_says(&refused(&file, &[], &[]), &["a-file"]);
    assert_says(&refused(&file.join("below"), &[], &[]), &["a-file"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_folder_says_what_it_needs() {
    let Some(disk) = Tmpfs::mount(64) else { return };
    let data = disk.path().join("barndoor-data");
    fill(&data, Options::loopback()).await;
    disk.remount("ro");
    assert_says(&refused(&data, &[], &[]), &["no permission for", "barndoor-data", "mount", "write access"]);
    disk.remount("rw");
    assert_still_whole(&data, Options::loopback()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_master_key_than_the_folders_opens_nothing() {
    let (own, other) = ("0a".repeat(32), "0b".repeat(32));
    let folder = TempDir::new().expect("a temporary folder");
    let with_own = || Options::loopback().variable(MASTER_KEY, &own);
    fill(folder.path(), with_own()).await;
    assert!(!folder.path().join("master.key").exists(), "a key that was given is not written down");
    let output = refused(folder.path(), &[], &[(MASTER_KEY, &other)]);
    assert_says(&output, &["another master key", MASTER_KEY, "backup"]);
    assert!(!output.contains(&other) && !output.contains(&own), "{output}");
    assert_says(&refused(folder.path(), &[], &[]), &["master.key", "missing", MASTER_KEY]);
    for bad in ["short", &"zz".repeat(32), &"0a".repeat(31)] {
        let output = refused(folder.path(), &[], &[(MASTER_KEY, bad)]);
        assert_says(&output, &[MASTER_KEY, "32 random bytes", "openssl rand -hex 32"]);
        assert!(!output.contains(bad), "{output}");
    }
    assert_still_whole(folder.path(), with_own()).await;

    let folder = TempDir::new().expect("a temporary folder");
    fill(folder.path(), Options::loopback()).await;
    let file = folder.path().join("master.key");
    let key = std::fs::read(&file).expect("readable");
    std::fs::write(&file, "not a key\n").expect("writable");
    assert_says(&refused(folder.path(), &[], &[]), &["master.key", "holds no master key", "backup"]);
    std::fs::write(&file, &key).expect("writable");
    assert_still_whole(folder.path(), Options::loopback()).await;
}
