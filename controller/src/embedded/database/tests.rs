//! A disk that fails: nothing unsure is acknowledged, nothing acknowledged is lost, and it goes on by itself.

use std::sync::atomic::AtomicBool;

use redb::{BackendError, StorageBackend, TableDefinition};

use super::*;

const NUMBERS: TableDefinition<u64, u64> = TableDefinition::new("numbers");

/// Memory that outlives the database on it and fails on demand.
#[derive(Clone, Debug, Default)]
struct Disk(Arc<(Mutex<Vec<u8>>, AtomicBool)>);

impl Disk {
    fn fail(&self, fail: Fail) {
        self.0.1.store(fail == Fail::Now, Ordering::SeqCst);
    }

    fn check(&self) -> std::io::Result<()> {
        if self.0.1.load(Ordering::SeqCst) {
            Err(std::io::Error::from(std::io::ErrorKind::StorageFull))
        } else {
            Ok(())
        }
    }

    fn opener(&self) -> Opener {
        let disk = self.clone();
        Box::new(move || {
            let database = redb::Builder::new().create_with_backend(disk.clone());
            database.map_err(|error| OpenError::Storage(Fault::Redb(Arc::new(error.into()))))
        })
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Fail {
    Now,
    NoMore,
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, std::io::Error> {
        Ok(self.0.0.lock().expect("no panic").len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), std::io::Error> {
        let offset = usize::try_from(offset).expect("small");
        out.copy_from_slice(&self.0.0.lock().expect("no panic")[offset..offset + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), std::io::Error> {
        self.check()?;
        self.0.0.lock().expect("no panic").resize(usize::try_from(len).expect("small"), 0);
        Ok(())
    }

    fn sync_data(&self) -> Result<(), std::io::Error> {
        self.check()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), std::io::Error> {
        self.check()?;
        let offset = usize::try_from(offset).expect("small");
        self.0.0.lock().expect("no panic")[offset..offset + data.len()].copy_from_slice(data);
        Ok(())
    }

    fn try_lock_range(&self, _: std::ops::Bound<u64>, _: std::ops::Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn unlock_range(&self, _: std::ops::Bound<u64>, _: std::ops::Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }
}

async fn insert(database: &Database, number: u64) -> Result<(), Fault> {
    database
        .write(
            8,
            move |writing| {
                writing.table(NUMBERS)?.insert(number, number)?;
                Ok(())
            },
            |()| {},
        )
        .await
}

async fn numbers(database: &Database) -> Result<Vec<u64>, Fault> {
    database
        .read(|transaction| {
            let table = transaction.open_table(NUMBERS)?;
            let rows = redb::ReadableTable::iter(&table)?;
            Ok(rows.map(|row| row.map(|row| row.0.value())).collect::<Result<_, _>>()?)
        })
        .await
}

fn start(disk: &Disk) -> Database {
    let opener = disk.opener();
    let database = opener().expect("opens");
    Database::start(database, opener).expect("starts")
}

#[tokio::test]
async fn a_failed_commit_is_told_to_all_and_the_database_opens_again_by_itself() {
    let disk = Disk::default();
    let database = start(&disk);
    insert(&database, 1).await.expect("inserts");

    disk.fail(Fail::Now);
    let failed = futures_util::future::join_all((2..10).map(|number| insert(&database, number))).await;
    for outcome in failed {
        outcome.expect_err("not durable");
    }
    disk.fail(Fail::NoMore);
    // The first attempt to open again may have met the failing disk; the next comes a second later.
    let mut outcome = insert(&database, 10).await;
    for _ in 0..30 {
        if outcome.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        outcome = insert(&database, 10).await;
    }
    outcome.expect("goes on");
    assert_eq!(numbers(&database).await.expect("reads"), [1, 10]);
}

#[tokio::test]
async fn a_full_disk_is_recognised() {
    let disk = Disk::default();
    let database = start(&disk);
    disk.fail(Fail::Now);
    let fault = insert(&database, 1).await.expect_err("full");
    assert!(fault.is_disk_full(), "{fault:?}");
}

#[tokio::test]
async fn an_operation_that_cannot_read_its_value_fails_alone() {
    let database = start(&Disk::default());
    let unreadable = database.write(
        0,
        |_| Err::<(), _>(Fault::Unreadable { what: "number", why: "it is a letter".to_owned() }),
        |()| {},
    );
    let (unreadable, inserted) = tokio::join!(unreadable, insert(&database, 1));
    assert!(matches!(unreadable, Err(Fault::Unreadable { .. })), "{unreadable:?}");
    inserted.expect("inserts");
}

#[tokio::test]
async fn a_panic_is_told_to_who_waits_and_ends_nothing_else() {
    let database = start(&Disk::default());
    insert(&database, 1).await.expect("inserts");
    let panicked = database.write(0, |_| -> Result<(), Fault> { panic!("on purpose") }, |()| {}).await;
    assert!(matches!(panicked, Err(Fault::Panicked)), "{panicked:?}");
    insert(&database, 2).await.expect("goes on");
    assert_eq!(numbers(&database).await.expect("reads"), [1, 2]);
}

#[tokio::test]
async fn an_operation_larger_than_the_queue_waits_for_its_turn_and_runs() {
    let database = start(&Disk::default());
    let written = database.write(QUEUE_BYTES * 2, |_| Ok(7), |_| {}).await;
    assert_eq!(written.expect("runs"), 7);
}

#[tokio::test]
async fn what_was_queued_is_finished_before_closing() {
    let disk = Disk::default();
    let database = Arc::new(start(&disk));
    let inserts: Vec<_> = (0..50)
        .map(|number| {
            let database = Arc::clone(&database);
            tokio::spawn(async move { insert(&database, number).await })
        })
        .collect();
    tokio::task::yield_now().await;
    database.close().await;
    let mut acknowledged = Vec::new();
    for (number, outcome) in (0..).zip(futures_util::future::join_all(inserts).await) {
        match outcome.expect("ran") {
            Ok(()) => acknowledged.push(number),
            Err(fault) => assert!(matches!(fault, Fault::Closed), "{fault}"),
        }
    }
    let database = start(&disk);
    insert(&database, 99).await.expect("inserts");
    acknowledged.push(99);
    assert_eq!(numbers(&database).await.expect("reads"), acknowledged);
}
