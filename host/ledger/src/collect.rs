//! Taking apart what others left.

use std::{marker::PhantomData, rc::Rc};

use crate::{
    Error, Host, HostLock, Life, Others, Record,
    standing::Scan,
    store::{EntryName, Store},
};

/// What is to be undone, seen under the host's lock and valid while that is held: nobody else collects,
/// and nobody else comes to hold anything.
///
/// ```no_run
/// # fn undo(_: &nshost_ledger::Record, _: &nshost_ledger::Others) -> bool { true }
/// # fn gc(ledger: &nshost_ledger::Ledger) -> Result<(), nshost_ledger::Error> {
/// let lock = ledger.lock()?;
/// let mut collection = ledger.collect(&lock)?;
/// while let Some(dead) = collection.dead.pop() {
///     if undo(dead.record(), &collection.others()) {
///         dead.forget()?;
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Default)]
pub struct Collection<'l> {
    /// Those who live, in this network namespace.
    pub living: Vec<Record>,
    /// How many live in others: without root, each has one of its own.
    pub living_elsewhere: usize,
    /// Those whose entries this look has removed, since nothing else can be left of them: killed launchers' without
    /// root, and those of an earlier boot.
    pub swept: Vec<Record>,
    /// Those whose broker ended without undoing them.
    pub dead: Vec<Dead<'l>>,
    /// Those that were undone and are only waited for; to be forgotten when nothing is seen of them.
    pub gone: Vec<Dead<'l>>,
    /// The dead and the gone of other network namespaces. They can be undone only there; to be forgotten
    /// when their namespace is no more.
    pub elsewhere: Vec<Dead<'l>>,
    /// As in [`crate::Standing::unreadable`].
    pub unreadable: Vec<(String, String)>,
}

impl Collection<'_> {
    /// Those of whom something may exist in this network namespace: the living, and the dead that have not
    /// been taken out of this collection.
    pub fn others(&self) -> Others {
        let records = self.living.iter().chain(self.dead.iter().map(Dead::record));
        Others::new(records.cloned(), &self.unreadable)
    }
}

/// A container whose broker is no more.
#[derive(Debug)]
pub struct Dead<'l> {
    record: Record,
    name: EntryName,
    store: Rc<Store>,
    lock: PhantomData<&'l HostLock>,
}

impl Dead<'_> {
    /// All undo follows from it.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Removes the entry: nothing is left of the container.
    pub fn forget(self) -> Result<(), Error> {
        self.store.remove(&self.name)
    }
}

/// Sorts a scan for those who undo.
pub(crate) fn collection<'l>(store: &Rc<Store>, host: &Host, scan: Scan) -> Collection<'l> {
    let mut collection =
        Collection { unreadable: scan.unreadable, swept: scan.swept, ..Collection::default() };
    for (name, life, record) in scan.containers {
        let here = host.has(&record);
        if life == Life::Living {
            match here {
                true => collection.living.push(*record),
                false => collection.living_elsewhere += 1,
            }
            continue;
        }
        let dead = Dead { record: *record, name, store: store.clone(), lock: PhantomData };
        match life {
            _ if !here => collection.elsewhere.push(dead),
            Life::Gone => collection.gone.push(dead),
            _ => collection.dead.push(dead),
        }
    }
    collection
}
