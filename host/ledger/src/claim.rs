//! The first mark of a launch: an instance number and an id.

use std::{collections::HashSet, os::fd::OwnedFd, path::PathBuf, rc::Rc};

use nix::errno::Errno;

use crate::{
    Error, Mac,
    lock::{self, Held},
    store::{EntryName, Store},
};

/// An entry that this process owns.
#[derive(Debug)]
pub(crate) struct Owned {
    pub store: Rc<Store>,
    pub name: EntryName,
    pub file: OwnedFd,
    /// Whether the entry stays when this is dropped: what it speaks of may exist.
    pub kept: bool,
}

impl Drop for Owned {
    fn drop(&mut self) {
        if !self.kept {
            // What stays after a failure is swept like a killed launch's.
            let _ = self.store.remove(&self.name);
        }
        lock::disown(&self.file);
    }
}

/// An instance number and an id that nobody else has, for as long as this lives. Its entry holds no
/// record yet. Dropped, or when the process ends, both are free again.
#[derive(Debug)]
#[must_use = "its number is free again when it is dropped"]
pub struct Claim {
    pub(crate) owned: Owned,
}

impl Claim {
    /// Takes the lowest number that no entry has, but for those of which is known that they are gone, which they
    /// are for good.
    pub(crate) fn take(store: &Rc<Store>, gone: &[EntryName]) -> Result<Claim, Error> {
        let mut id = [0; 16];
        random(&mut id)?;
        let _claims = Held::claims(store)?;
        let mut others = store.list()?.entries;
        others.retain(|entry| !gone.contains(entry));
        let instance = lowest_free(&others)?;
        let name = EntryName { instance, id: u128::from_ne_bytes(id) };
        let file = store.create(&name)?;
        let owned = Owned { store: store.clone(), name, file, kept: false };
        // Nobody else can have the lock: whoever looks does not take it.
        match lock::own(&owned.file) {
            Ok(true) => Ok(Claim { owned }),
            Ok(false) => Err(Error::io("lock", store.entry_path(&owned.name), Errno::EAGAIN)),
            Err(errno) => Err(Error::io("lock", store.entry_path(&owned.name), errno)),
        }
    }

    /// A small number, lower than 3840, that no other container has of which anything but links on their way out
    /// may be left.
    pub fn instance(&self) -> u16 {
        self.owned.name.instance
    }

    /// The container's id: 32 hexadecimal digits, chosen at random.
    pub fn id(&self) -> String {
        self.owned.name.id()
    }
}

/// `entries` are in the order of their numbers.
fn lowest_free(entries: &[EntryName]) -> Result<u16, Error> {
    let mut free = 0;
    for entry in entries {
        if entry.instance > free {
            break;
        }
        free = entry.instance + 1;
    }
    if free > EntryName::MAX_INSTANCE {
        return Err(Error::Full { instances: usize::from(EntryName::MAX_INSTANCE) + 1 });
    }
    Ok(free)
}

/// Hardware addresses at random: locally administered, unicast (IEEE 802, the two lowest bits of the
/// first byte), no two the same.
pub(crate) fn new_macs(count: usize) -> Result<Vec<Mac>, Error> {
    let mut macs: Vec<Mac> = Vec::with_capacity(count);
    while macs.len() < count {
        let mut bytes = vec![0; (count - macs.len()) * 6];
        random(&mut bytes)?;
        for chunk in bytes.as_chunks::<6>().0 {
            let mut mac = *chunk;
            mac[0] = mac[0] & !0b01 | 0b10;
            if !macs.contains(&mac) {
                macs.push(mac);
            }
        }
    }
    Ok(macs)
}

/// A conntrack zone that none of the others has, at random, which makes it unlikely that the last container that had
/// it ended a short time ago; not 0, where everybody's flows are. There are many more of them than containers.
pub(crate) fn new_zone(taken: &HashSet<u16>) -> Result<u16, Error> {
    loop {
        let mut bytes = [0; 2];
        random(&mut bytes)?;
        let zone = u16::from_ne_bytes(bytes);
        if zone != 0 && !taken.contains(&zone) {
            return Ok(zone);
        }
    }
}

pub(crate) fn random(bytes: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(bytes).map_err(|error| {
        let errno = Errno::from_raw(error.raw_os_error().unwrap_or(nix::libc::EIO));
        Error::io("getrandom", PathBuf::from("random bytes"), errno)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_nobody_elses() {
        let all_but_two: HashSet<u16> = (1..=u16::MAX).filter(|zone| ![7, 8].contains(zone)).collect();
        for _ in 0..4 {
            assert!([7, 8].contains(&new_zone(&all_but_two).unwrap()));
        }
    }
}
