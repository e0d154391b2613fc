//! Removes what containers have left behind whose launcher was killed, or which the kernel is late with.

use nshost_kernel::{
    network::{self, host, link},
    process::pidfd,
};
use nshost_ledger::{Collection, Dead, HostLock, Ledger, Others, Record};

use crate::failure::Failure;

/// One entry's end.
pub struct Collected {
    /// The entry.
    pub id: String,
    /// What the operator called it.
    pub name: Option<String>,
    /// What could not be removed; then the entry stays, for the next time.
    pub errors: Vec<nshost_kernel::Error>,
}

impl Collected {
    /// One of which nothing was left but its entry, which is removed.
    pub fn swept(record: Record) -> Collected {
        Collected { id: record.id, name: record.name.map(String::from), errors: Vec::new() }
    }
}

/// Undoes every entry whose launcher is gone, and forgets those of which nothing is left.
pub fn dead(collection: &mut Collection<'_>, lock: &HostLock) -> Result<Vec<Collected>, Failure> {
    let mut collected = Vec::new();
    while let Some(entry) = collection.dead.pop() {
        let others = collection.others();
        collected.push(undo(entry, lock, &others)?);
    }
    Ok(collected)
}

/// Removes what the kernel is late with, and waits until it is gone.
pub fn gone(collection: &mut Collection<'_>, lock: &HostLock) -> Result<Vec<Collected>, Failure> {
    let mut collected = Vec::new();
    while let Some(entry) = collection.gone.pop() {
        let others = collection.others();
        collected.push(undo(entry, lock, &others)?);
    }
    Ok(collected)
}

/// Forgets the entries of network namespaces that are no more: all that they told of went with those.
pub fn elsewhere(collection: &mut Collection<'_>) -> Result<usize, Failure> {
    let (mut kept, mut forgotten) = (Vec::new(), 0);
    for entry in collection.elsewhere.drain(..) {
        if host::may_exist(entry.record().host)? {
            kept.push(entry);
        } else {
            entry.forget()?;
            forgotten += 1;
        }
    }
    collection.elsewhere = kept;
    Ok(forgotten)
}

/// Forgets the entries of which the kernel has removed the last link by now. One whose link is still there may
/// be one that somebody keeps, and whose launcher's last child was killed: it is left without power.
pub fn forget_vanished(ledger: &Ledger) -> Result<(), Failure> {
    let lock = ledger.lock()?;
    for entry in ledger.collect(&lock)?.gone {
        if link::any_left(entry.record())? {
            link::silence(entry.record())?;
        } else {
            entry.forget()?;
        }
    }
    Ok(())
}

/// What a launcher that was killed has left, removed before it is in anybody's way.
pub fn dead_at_once(ledger: &Ledger, lock: &HostLock) -> Result<(), Failure> {
    let collected = dead(&mut ledger.collect(lock)?, lock)?;
    Failure::all(collected.into_iter().flat_map(|Collected { id, errors, .. }| {
        let hint = format!("left by container {id}, whose launcher was killed; `nshost gc` tells more");
        errors.into_iter().map(move |error| Failure::from(error).hint(hint.clone()))
    }))
}

/// Until it is gone, so that its name is free: a forgotten entry tells nobody whose link it was.
fn undo(entry: Dead<'_>, lock: &HostLock, others: &Others) -> Result<Collected, Failure> {
    let record = entry.record();
    let (id, name) = (record.id.clone(), record.name.clone().map(String::from));
    let mut errors: Vec<_> = record.process.map(pidfd::kill).into_iter().filter_map(Result::err).collect();
    errors.extend(network::take_down(record, lock, others));
    if errors.is_empty() {
        entry.forget()?;
    }
    Ok(Collected { id, name, errors })
}
