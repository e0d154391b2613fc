//! One look at all entries.

use std::collections::HashMap;

use nix::errno::Errno;
use nshost_plan::Taken;

use crate::{
    Error, Host, Others, Record,
    entry::{self, Content},
    lock::{self, Held},
    reserve::Reservation,
    store::{EntryName, Store, is_regular},
};

/// What becomes of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// Its broker lives.
    Living,
    /// Its broker ended without undoing it; what it holds stays held until it is collected.
    Dead,
    /// It was undone in good order, but the kernel is still taking down what goes by itself. It holds
    /// nothing any more.
    Gone,
}

/// All containers at one moment, each list in the order of instance numbers. A look takes no lock that
/// others could notice.
#[derive(Debug, Default)]
pub struct Standing {
    /// What the living and the dead hold in this network namespace.
    pub taken: Taken,
    /// The living, in this network namespace.
    pub living: Vec<Record>,
    /// The dead: to be undone by [`crate::Ledger::collect`].
    pub dead: Vec<Record>,
    /// The gone: links of theirs may still be seen, and can be told by [`Record::macs`].
    pub gone: Vec<Record>,
    /// Those of other network namespaces, which cannot be undone from here.
    pub elsewhere: Vec<(Life, Record)>,
    /// Files that make no sense: their names, safe to print, and why. Nothing is done about them.
    pub unreadable: Vec<(String, String)>,
}

impl Standing {
    /// Those of whom something may exist in this network namespace, but for `id`.
    pub fn others(self, id: &str) -> Others {
        let records = self.living.into_iter().chain(self.dead).filter(|record| record.id != id);
        Others::new(records, &self.unreadable)
    }
}

/// One entry, looked at.
pub(crate) enum Seen {
    /// Removed since it was listed.
    Removed,
    /// It holds no record, and its owner lives: a launch that has got no further yet.
    Claim,
    /// Nothing can be left of it but this file, which may tell what it was.
    Litter(Option<Box<Record>>),
    Container {
        life: Life,
        record: Box<Record>,
        damage: Option<String>,
    },
    Unreadable(String),
}

/// Looks at one entry. First whether its owner lives, then what it says: so what a dead one says is final.
pub(crate) fn look(
    store: &Store,
    host: &Host,
    name: &EntryName,
    buffer: &mut Vec<u8>,
) -> Result<Seen, Error> {
    let file = match store.read(name) {
        Ok(file) => file,
        Err(Errno::ENOENT) => return Ok(Seen::Removed),
        // Entries that were not looked at would be taken for free.
        Err(errno @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM)) => {
            return Err(Error::io("open", store.entry_path(name), errno));
        }
        Err(errno) => return Ok(Seen::Unreadable(errno.desc().to_string())),
    };
    let fail = |errno| Error::io("lock", store.entry_path(name), errno);
    let owned = lock::is_owned(&file).map_err(fail)?;
    let bytes = match entry::read_whole(&file, buffer) {
        Ok(bytes) => bytes,
        Err(error) => return Ok(Seen::Unreadable(error.to_string())),
    };
    Ok(match (entry::parse(name, bytes), owned) {
        (Content::Claim, true) => Seen::Claim,
        (Content::Claim, false) if is_regular(&file).unwrap_or(false) => Seen::Litter(None),
        (Content::Claim, false) => Seen::Unreadable("not a regular file".into()),
        (Content::Foreign(reason), true) => Seen::Unreadable(format!("{reason}; its owner lives")),
        (Content::Foreign(reason), false) => Seen::Unreadable(reason),
        (Content::Full { record, gone, damage }, owned) => match (gone, owned) {
            (false, true) => Seen::Container { life: Life::Living, record, damage },
            (_, false) if has_vanished(host, &record) => Seen::Litter(Some(record)),
            (false, false) => Seen::Container { life: Life::Dead, record, damage },
            (true, _) => Seen::Container { life: Life::Gone, record, damage },
        },
    })
}

/// Whether nothing can exist any more of a container whose owner is dead: the kernel is another one, or
/// the namespace on its host side went with its owner.
fn has_vanished(host: &Host, record: &Record) -> bool {
    record.boot != host.boot || record.host_is_private
}

/// All entries, looked at once each.
#[derive(Default)]
pub(crate) struct Scan {
    pub containers: Vec<(EntryName, Life, Box<Record>)>,
    /// Those whose entries this look has removed: all that was of them went by itself.
    pub swept: Vec<Record>,
    pub unreadable: Vec<(String, String)>,
}

pub(crate) fn scan(store: &Store, host: &Host) -> Result<Scan, Error> {
    let listing = store.list()?;
    let mut scan = Scan { unreadable: listing.foreign, ..Scan::default() };
    let (mut litter, mut buffer) = (Vec::new(), Vec::new());
    for name in listing.entries {
        match look(store, host, &name, &mut buffer)? {
            Seen::Removed | Seen::Claim => (),
            Seen::Litter(_) => litter.push(name),
            Seen::Unreadable(reason) => scan.unreadable.push((name.file(), reason)),
            Seen::Container { life, record, damage } => {
                scan.unreadable.extend(damage.map(|damage| (name.file(), damage)));
                scan.containers.push((name, life, record));
            }
        }
    }
    scan.swept = sweep(store, host, &litter, &mut buffer)?;
    Ok(scan)
}

/// Removes litter. Between making an entry and owning it a launch has the claims lock, so under that lock
/// litter is what it seems. Whoever finds the lock held leaves it to the next.
fn sweep(
    store: &Store,
    host: &Host,
    litter: &[EntryName],
    buffer: &mut Vec<u8>,
) -> Result<Vec<Record>, Error> {
    let mut swept = Vec::new();
    if litter.is_empty() {
        return Ok(swept);
    }
    let Some(_claims) = Held::claims_now(store)? else { return Ok(swept) };
    for name in litter {
        if let Seen::Litter(record) = look(store, host, name, buffer)? {
            store.remove(name)?;
            swept.extend(record.map(|record| *record));
        }
    }
    Ok(swept)
}

/// The records of all others here, up to those that have between them all that this one holds besides its own.
pub(crate) fn sharers(store: &Store, host: &Host, record: &Record) -> Result<Vec<Record>, Error> {
    let (mut forwarding, mut passing) = (record.forwarding.clone(), record.passing.clone());
    let (mut sharers, mut buffer) = (Vec::new(), Vec::new());
    if forwarding.is_empty() && passing.is_empty() {
        return Ok(sharers);
    }
    for name in store.list()?.entries {
        if forwarding.is_empty() && passing.is_empty() {
            break;
        }
        let seen = look(store, host, &name, &mut buffer)?;
        let Seen::Container { life: Life::Living | Life::Dead, record: other, .. } = seen else { continue };
        if other.id != record.id && host.has(&other) {
            forwarding.retain(|hold| {
                !other.forwarding.iter().any(|its| (its.v6, &its.link) == (hold.v6, &hold.link))
            });
            passing.retain(|hold| !other.passing.contains(hold));
            sharers.push(*other);
        }
    }
    Ok(sharers)
}

/// What the last look has found.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// What entries hold; none for those that hold nothing here.
    pub held: HashMap<EntryName, Option<Reservation>>,
    /// Those that hold nothing any more, nor will.
    pub gone: Vec<EntryName>,
}

/// What others must not collide with, if there is anything. Who lives elsewhere, in a private host say, has a name
/// here too: an operator calls all of them.
pub(crate) fn held_by(host: &Host, life: Life, record: &Record) -> Option<Reservation> {
    match life {
        Life::Gone => None,
        Life::Living | Life::Dead if host.has(record) => Some(Reservation::of(record)),
        Life::Living => record.name.clone().map(Reservation::of_name),
        Life::Dead => None,
    }
}

/// Sorts a scan for those who want to know.
pub(crate) fn standing(host: &Host, scan: Scan) -> (Standing, Known) {
    let mut standing = Standing { unreadable: scan.unreadable, ..Standing::default() };
    let mut known = Known { held: HashMap::with_capacity(scan.containers.len()), gone: Vec::new() };
    for (name, life, record) in scan.containers {
        let here = host.has(&record);
        let held = held_by(host, life, &record);
        if let Some(held) = &held {
            held.add_to(&mut standing.taken);
        }
        known.held.insert(name, held);
        known.gone.extend((life == Life::Gone).then_some(name));
        match life {
            _ if !here => standing.elsewhere.push((life, *record)),
            Life::Living => standing.living.push(*record),
            Life::Dead => standing.dead.push(*record),
            Life::Gone => standing.gone.push(*record),
        }
    }
    (standing, known)
}
