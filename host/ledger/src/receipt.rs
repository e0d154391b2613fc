//! The proof that undo is on disk.

use std::{os::fd::RawFd, rc::Rc};

use nshost_plan::Plan;

use crate::{
    Error, ForwardingHold, Guarding, Host, HostLock, Life, Others, PassHold, ProcessId, Record,
    claim::{Claim, Owned},
    entry::{self, Note},
    ids::Ids,
    lock::{keeper, note_keeper},
    standing::scan,
    store::{EntryName, Store},
};

/// A container that is written down, and this process its owner. Only [`crate::Ledger::commit`] makes
/// one: whoever holds it may do what its plan says, since all undo follows from the record.
///
/// Dropped without [`Receipt::let_go`] or [`Receipt::finish`], or when the process ends, the container
/// counts as dead and is collected by the next.
#[derive(Debug)]
#[must_use = "the container counts as dead when this is dropped"]
pub struct Receipt {
    owned: Owned,
    record: Record,
    /// Held until nothing runs under them.
    _ids: Option<Ids>,
    /// Where the next note goes, in bytes.
    end: u64,
}

impl Receipt {
    /// Writes the record into the claim's entry, which from then on stays.
    pub(crate) fn write(claim: Claim, record: Record, ids: Option<Ids>) -> Result<Receipt, Error> {
        let bytes = too_large(&record.id, entry::with_record(&record))?;
        let mut receipt = Receipt { owned: claim.owned, record, _ids: ids, end: 0 };
        receipt.append(&bytes)?;
        receipt.owned.kept = true;
        Ok(receipt)
    }

    /// What is permitted.
    pub fn plan(&self) -> &Plan {
        &self.record.plan
    }

    /// What is written down.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Writes down all forwarding that this container needs from now on. To be called before forwarding
    /// is changed; after an error nothing may be changed.
    pub fn holds(&mut self, lock: &HostLock, holds: Vec<ForwardingHold>) -> Result<(), Error> {
        if lock.key != self.owned.store.key {
            return Err(Error::Mixed);
        }
        if holds == self.record.forwarding {
            return Ok(());
        }
        self.note(&Note::Forwarding(holds.clone()))?;
        self.record.forwarding = holds;
        Ok(())
    }

    /// Writes down all chains of other people's firewalls that have to let this container through from now on.
    /// To be called before they are changed.
    pub fn passes(&mut self, lock: &HostLock, holds: Vec<PassHold>) -> Result<(), Error> {
        if lock.key != self.owned.store.key {
            return Err(Error::Mixed);
        }
        self.note(&Note::Passing(holds.clone()))?;
        self.record.passing = holds;
        Ok(())
    }

    /// Writes down where this process has the socket that owns the firewall's tables. To be called before
    /// they are changed.
    pub fn guards(&mut self, lock: &HostLock, guarding: Guarding) -> Result<(), Error> {
        if lock.key != self.owned.store.key {
            return Err(Error::Mixed);
        }
        self.note(&Note::Guarding(guarding))?;
        self.record.guarding = Some(guarding);
        note_keeper(&lock.held.file, self.record.host, guarding);
        Ok(())
    }

    /// Writes down the container's first process.
    pub fn started(&mut self, process: ProcessId) -> Result<(), Error> {
        self.note(&Note::Started(process))?;
        self.record.process = Some(process);
        Ok(())
    }

    /// The container was undone, but for what the kernel takes down by itself, some time later. Its name,
    /// networks and ports are free from now on; the entry stays, so that others can tell its links, until
    /// somebody sees that nothing is left.
    pub fn let_go(mut self) -> Result<Gone, Error> {
        self.note(&Note::Gone)?;
        let Receipt { owned, record, .. } = self;
        Ok(Gone { store: owned.store.clone(), name: owned.name, record })
    }

    /// Nothing is left of the container: the entry is removed.
    pub fn finish(self) -> Result<(), Error> {
        self.owned.store.remove(&self.owned.name)
    }

    fn note(&mut self, note: &Note) -> Result<(), Error> {
        let bytes = too_large(&self.record.id, entry::note(note))?;
        self.append(&bytes)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        entry::append(&self.owned.file, self.end, bytes)
            .map_err(|errno| Error::io("write", self.owned.store.entry_path(&self.owned.name), errno))?;
        self.end += bytes.len() as u64;
        Ok(())
    }
}

/// A container of which only what the kernel takes down by itself is left.
#[derive(Debug)]
#[must_use = "the entry stays until somebody sees that nothing is left"]
pub struct Gone {
    store: Rc<Store>,
    name: EntryName,
    record: Record,
}

impl Gone {
    /// By which its links can be told.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// What has to be open where this is used in a child process.
    pub fn descriptors(&self) -> [RawFd; 2] {
        self.store.descriptors()
    }

    /// Leaves word that another process has the socket that owns the firewall's tables now, if the container's
    /// launcher was the last who did.
    pub fn hand_on(&self, guarding: Guarding) -> Result<(), Error> {
        let lock = self.store.open_lock()?;
        if keeper(&lock, self.record.host) == self.record.guarding {
            note_keeper(&lock, self.record.host, guarding);
        }
        Ok(())
    }

    /// Who had that socket last. It decides nothing without the host's lock.
    pub fn keeper(&self) -> Result<Option<Guarding>, Error> {
        Ok(keeper(&self.store.open_lock()?, self.record.host))
    }

    /// Waits for the host's lock.
    pub fn lock(&self) -> Result<HostLock, Error> {
        HostLock::acquire(&self.store)
    }

    /// All of whom something may exist on the same host.
    pub fn others(&self) -> Result<Others, Error> {
        let host = Host { boot: self.record.boot.clone(), network: self.record.host };
        let scan = scan(&self.store, &host)?;
        let holds = |life: Life| matches!(life, Life::Living | Life::Dead);
        let all = scan.containers.into_iter().filter(|(_, life, record)| holds(*life) && host.has(record));
        Ok(Others::new(all.map(|(_, _, record)| *record), &scan.unreadable))
    }

    /// Removes the entry: nothing is left.
    pub fn forget(&self) -> Result<(), Error> {
        self.store.remove(&self.name)
    }
}

fn too_large(id: &str, bytes: Result<Vec<u8>, usize>) -> Result<Vec<u8>, Error> {
    bytes.map_err(|bytes| Error::TooLarge { id: id.to_string(), bytes })
}
