//! The way of a launch through the ledger.

use std::{cell::RefCell, collections::HashSet, path::Path, rc::Rc};

use nix::errno::Errno;
use nshost_plan::{Namespace, Place};
use nshost_policy::Permit;

use crate::{
    Claim, Collection, ContainerName, Error, Host, HostLock, Occupant, Receipt, Record, Standing,
    claim::{new_macs, new_zone},
    collect::collection,
    ids::Ids,
    reserve::Reservation,
    standing::{Known, Seen, held_by, look, scan, sharers, standing},
    store::{EntryName, Store},
};

/// What a record needs to know besides the plan.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// `--name`.
    pub name: Option<ContainerName>,
    /// Whether the caller's network namespace was made for this launch alone, and goes with it.
    pub host_is_private: bool,
    /// Whether the caller has no ids but its own to give: without root, or in a container with a user namespace.
    pub has_one_id: bool,
}

/// The open ledger, for the host on which it was opened. For one thread.
#[derive(Debug)]
pub struct Ledger {
    pub(crate) store: Rc<Store>,
    pub(crate) host: Host,
    /// A commit opens only entries that came since the last look. Names of entries never come again, and
    /// what one holds never changes, but it may be let go: what seems to collide is looked at again.
    known: RefCell<Known>,
}

/// A state directory that is open and was found to be one's own.
#[derive(Debug)]
pub struct Directory(pub(crate) Store);

impl Directory {
    /// Opens it, and makes it if only its last component is missing. To be called before the process
    /// enters a user namespace: from in there owners cannot be told.
    pub fn open(path: &Path) -> Result<Directory, Error> {
        made(path).map(Directory)
    }

    /// The ledger in it. `host` is where the caller is.
    pub fn ledger(self, host: Host) -> Ledger {
        Ledger { store: Rc::new(self.0), host, known: RefCell::default() }
    }
}

fn made(path: &Path) -> Result<Store, Error> {
    let opened = Store::open(path, true)?;
    opened.ok_or_else(|| Error::io("open", path, Errno::ENOENT))
}

impl Ledger {
    /// Opens the state directory, and makes it if only its last component is missing. `host` is where the
    /// caller is.
    pub fn open(directory: &Path, host: Host) -> Result<Ledger, Error> {
        Ok(Ledger { store: Rc::new(made(directory)?), host, known: RefCell::default() })
    }

    /// The host for which it was opened.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Looks at all entries. On the way it removes files that cannot matter any more: those of launches
    /// that were killed before they had written a record, those of an earlier boot, and those whose
    /// private namespace went with their owner.
    pub fn standing(&self) -> Result<Standing, Error> {
        let scan = scan(&self.store, &self.host)?;
        let (standing, known) = standing(&self.host, scan);
        *self.known.borrow_mut() = known;
        Ok(standing)
    }

    /// Of all others of whom something may exist on this host, as many as tell what of the container's holds is its
    /// alone: usually the first has them too, and a look at all would keep everybody who ends waiting.
    pub fn sharers(&self, record: &Record) -> Result<Vec<Record>, Error> {
        sharers(&self.store, &self.host, record)
    }

    /// Waits for the host's lock, for seconds at most with one who has it.
    pub fn lock(&self) -> Result<HostLock, Error> {
        HostLock::acquire(&self.store)
    }

    /// Looks at all entries in order to undo what others left.
    pub fn collect<'l>(&self, lock: &'l HostLock) -> Result<Collection<'l>, Error> {
        self.check(lock)?;
        Ok(collection(&self.store, &self.host, scan(&self.store, &self.host)?))
    }

    /// Whether no other that lives has this name, of those that the last look has seen: before a script is asked in
    /// vain. [`Ledger::commit`] asks again.
    pub fn check_name(&self, name: &ContainerName) -> Result<(), Error> {
        self.check_free(&Reservation::of_name(name.clone()), None).map(drop)
    }

    /// Takes the lowest free instance number. Those of containers that the last look found gone are free: so a
    /// launch right after another's end gets what that had.
    pub fn claim(&self) -> Result<Claim, Error> {
        Claim::take(&self.store, &self.known.borrow().gone)
    }

    /// Writes down what is permitted, if what it wants is still free; from then on the caller may do it.
    /// After an error the claim is given back: the next attempt begins with a new one.
    pub fn commit(
        &self,
        lock: &HostLock,
        claim: Claim,
        permit: Permit,
        origin: Origin,
    ) -> Result<Receipt, Error> {
        self.check(lock)?;
        if !Rc::ptr_eq(&claim.owned.store, &self.store) {
            return Err(Error::Mixed);
        }
        let (passes, plan) = (permit.passes_firewalls(), permit.into_plan());
        let mut record = Record {
            id: claim.id(),
            name: origin.name,
            instance: claim.instance(),
            ids: None,
            boot: self.host.boot.clone(),
            host: self.host.network,
            host_is_private: origin.host_is_private,
            zone: 0,
            macs: new_macs(plan.interfaces_at(Place::Host).count())?,
            plan,
            forwarding: Vec::new(),
            passes,
            passing: Vec::new(),
            process: None,
            guarding: None,
        };
        let zones = self.check_free(&Reservation::of(&record), Some(&claim.owned.name))?;
        record.zone = new_zone(&zones)?;
        // Of a thousand others, a megabyte that would be kept as long as the container lives.
        self.known.take();
        let has_ids = record.plan.containers().any(|id| record.plan.namespaces(id).contains(Namespace::User))
            && !origin.has_one_id;
        let ids = has_ids.then(|| Ids::take(&self.store, lock)).transpose()?;
        record.ids = ids.as_ref().map(Ids::number);
        Receipt::write(claim, record, ids)
    }

    fn check(&self, lock: &HostLock) -> Result<(), Error> {
        if lock.key == self.store.key { Ok(()) } else { Err(Error::Mixed) }
    }

    /// Whether nobody holds what `mine` is; and the conntrack zones that somebody has. Under the host's lock nobody
    /// else comes to hold anything.
    fn check_free(&self, mine: &Reservation, me: Option<&EntryName>) -> Result<HashSet<u16>, Error> {
        let (known, mut buffer, mut zones) = (self.known.borrow(), Vec::new(), HashSet::new());
        for name in self.store.list()?.entries {
            let may_collide = match known.held.get(&name) {
                Some(Some(held)) => {
                    zones.extend(held.zone());
                    mine.collision(held).is_some()
                }
                Some(None) => false,
                None => Some(&name) != me,
            };
            if !may_collide {
                continue;
            }
            let seen = look(&self.store, &self.host, &name, &mut buffer)?;
            let Seen::Container { life, record, .. } = seen else { continue };
            let held = held_by(&self.host, life, &record);
            zones.extend(held.as_ref().and_then(Reservation::zone));
            if let Some(what) = held.and_then(|held| mine.collision(&held)) {
                let by = Box::new(Occupant::of(&self.store, &name, life, &record));
                return Err(Error::Taken { what, by });
            }
        }
        Ok(zones)
    }
}
