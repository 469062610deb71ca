//! Group commit: one thread takes all operations that wait, runs them in one transaction, makes it durable, and only
//! then answers them all.

use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use redb::{Key, Table, TableDefinition, Value, WriteTransaction};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::database::{Fault, Opener, Shared, Slot};

/// Operations in one transaction.
const GROUP_OPERATIONS: usize = 256;
/// Bytes in one transaction; keeps a commit short and redb's write buffer small.
const GROUP_BYTES: usize = 16 * 1024 * 1024;
/// The pause between two attempts to open a failed database again.
const REOPEN_PAUSE: Duration = Duration::from_secs(1);

/// The write transaction, as an operation sees it.
pub(crate) struct Writing<'t> {
    transaction: &'t WriteTransaction,
    idle: Cell<usize>,
}

impl Writing<'_> {
    /// Opens a table.
    pub(crate) fn table<'s, K: Key + 'static, V: Value + 'static>(
        &'s self,
        definition: TableDefinition<K, V>,
    ) -> Result<Table<'s, K, V>, Fault> {
        Ok(self.transaction.open_table(definition)?)
    }

    /// Says that the running operation wrote nothing: a group of only such needs no commit.
    pub(crate) fn wrote_nothing(&self) {
        self.idle.set(self.idle.get() + 1);
    }
}

/// A queued operation.
pub(super) struct Job {
    /// About how much it writes.
    pub(super) bytes: usize,
    /// Its share of the queue's room, held until it is answered.
    pub(super) room: OwnedSemaphorePermit,
    /// What to do.
    pub(super) operation: Box<dyn Queued>,
}

/// An operation whose result type the queue need not know.
pub(super) trait Queued: Send {
    /// Runs it.
    fn run(&mut self, writing: &Writing<'_>) -> Result<(), Fault>;
    /// Answers whoever waits.
    fn answer(self: Box<Self>, committed: Result<(), Fault>);
}

/// An operation, its result, and who waits for it.
pub(super) struct Operation<T, Run, Committed> {
    run: Option<Run>,
    result: Option<Result<T, Fault>>,
    committed: Committed,
    reply: oneshot::Sender<Result<T, Fault>>,
}

impl<T, Run, Committed> Operation<T, Run, Committed> {
    pub(super) fn new(run: Run, committed: Committed, reply: oneshot::Sender<Result<T, Fault>>) -> Self {
        Self { run: Some(run), result: None, committed, reply }
    }
}

impl<T, Run, Committed> Queued for Operation<T, Run, Committed>
where
    T: Send,
    Run: FnOnce(&Writing<'_>) -> Result<T, Fault> + Send,
    Committed: FnOnce(&T) + Send,
{
    fn run(&mut self, writing: &Writing<'_>) -> Result<(), Fault> {
        let Some(run) = self.run.take() else { return Ok(()) };
        let result = run(writing);
        if let Err(fault) = &result
            && fault.ends_transaction()
        {
            return Err(fault.clone());
        }
        self.result = Some(result);
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), Fault>) {
        let Self { run: _, result, committed: after, reply } = *self;
        let result = committed.and_then(|()| result.unwrap_or(Err(Fault::Closed)));
        if let Ok(value) = &result {
            after(value);
        }
        // Nobody may be waiting any more; what is committed stays.
        let _ = reply.send(result);
    }
}

/// Runs until every sender is gone and the queue is empty, then closes the database.
pub(super) fn run(shared: &Shared, mut jobs: mpsc::Receiver<Job>, opener: &Opener) {
    while let Some(first) = jobs.blocking_recv() {
        let mut group = gather(first, &mut jobs);
        let outcome = reopen_if_failed(shared, opener).and_then(|()| commit(shared, &mut group));
        if let Err(fault) = &outcome {
            tracing::error!(%fault, operations = group.len(), "a write to the database failed");
            fail(shared, fault);
        }
        for Job { bytes: _, room, operation } in group {
            operation.answer(outcome.clone());
            drop(room);
        }
    }
    *shared.slot.write().unwrap_or_else(PoisonError::into_inner) = Slot::Closed;
}

fn gather(first: Job, jobs: &mut mpsc::Receiver<Job>) -> Vec<Job> {
    let mut bytes = first.bytes;
    let mut group = vec![first];
    while group.len() < GROUP_OPERATIONS && bytes < GROUP_BYTES {
        let Ok(job) = jobs.try_recv() else { break };
        bytes += job.bytes;
        group.push(job);
    }
    group
}

fn commit(shared: &Shared, group: &mut [Job]) -> Result<(), Fault> {
    shared.with(|database| {
        let mut transaction = database.begin_write()?;
        // Saves the allocator's state and flips to the new root only after its pages are on disk. So opening after a
        // kill does not read the whole file, and a failed fsync can never leave a root whose pages were not written.
        transaction.set_quick_repair(true);
        let writing = Writing { transaction: &transaction, idle: Cell::new(0) };
        for job in &mut *group {
            job.operation.run(&writing)?;
        }
        if writing.idle.get() == group.len() {
            return Ok(transaction.abort()?);
        }
        transaction.commit()?;
        shared.commits.fetch_add(1, Ordering::Relaxed);
        Ok(())
    })
}

/// Closes a database that failed: redb refuses everything after an I/O error until it is opened again, which the next
/// group tries.
fn fail(shared: &Shared, fault: &Fault) {
    let mut slot = shared.slot.write().unwrap_or_else(PoisonError::into_inner);
    if let Slot::Open(_) = *slot {
        *slot = Slot::Failed { fault: fault.clone(), tried: None };
    }
}

fn reopen_if_failed(shared: &Shared, opener: &Opener) -> Result<(), Fault> {
    // Shared first: in the common case no reader is waited for.
    match &*shared.slot.read().unwrap_or_else(PoisonError::into_inner) {
        Slot::Open(_) => return Ok(()),
        Slot::Closed => return Err(Fault::Closed),
        Slot::Failed { fault, tried } => {
            if tried.is_some_and(|tried| tried.elapsed() < REOPEN_PAUSE) {
                return Err(fault.clone());
            }
        }
    }
    let mut slot = shared.slot.write().unwrap_or_else(PoisonError::into_inner);
    match opener() {
        Ok(database) => {
            tracing::info!("the database was opened again after a failure");
            *slot = Slot::Open(database);
            Ok(())
        }
        Err(error) => {
            let fault = Fault::NotReopened(Arc::new(error));
            *slot = Slot::Failed { fault: fault.clone(), tried: Some(Instant::now()) };
            Err(fault)
        }
    }
}
