//! Which user ids a container with a user namespace has on the host.
//!
//! Files that a container leaves where others see them belong to its ids, and so to whoever has these ids
//! next. So a range of ids is given again as late as can be: always the one that was out of use for longest,
//! and one that was never used before any other, chosen at random since the ledger forgets with the boot.
//! In which case no range rests for less than the time in which all others were used; that nobody is refused
//! because a range has not rested long enough is decided: launches must not depend on how many there were.

use std::{
    os::fd::OwnedFd,
    time::{SystemTime, UNIX_EPOCH},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, fcntl},
    libc,
    sys::uio::{pread, pwrite},
};

use crate::{Error, HostLock, claim::random, store::Store};

/// A number of a range of ids, held for as long as this lives.
///
/// In the file stands, for each number, when it was last in use; whoever holds one has the lock of the byte
/// of that number, which goes with the process. When the process is killed, the beginning of its use stands
/// there.
#[derive(Debug)]
pub(crate) struct Ids {
    file: OwnedFd,
    number: u16,
    since: u64,
}

impl Ids {
    /// How many there are: users of number N have the host's ids from 0x7000_0000 + N × 65536, and
    /// 0x7f00_0000 is the end of that space.
    const COUNT: usize = 3840;
    /// A time, in nanoseconds.
    const ENTRY: usize = size_of::<u64>();

    /// Takes the number that was out of use for longest. Two do not look at once: the host's lock is held.
    pub fn take(store: &Store, _: &HostLock) -> Result<Ids, Error> {
        let failed = |step| move |errno| Error::io(step, store.ids_path(), errno);
        let file = store.open_ids()?;
        let mut used = read(&file).map_err(failed("read"))?;
        let mut start = [0; 2];
        random(&mut start)?;
        let start = usize::from(u16::from_ne_bytes(start)) % Self::COUNT;
        for _ in 0..Self::COUNT {
            let order = (0..Self::COUNT).map(|step| (start + step) % Self::COUNT);
            let oldest = order.min_by_key(|number| used[*number]).unwrap_or(start);
            // Later than all others, whatever has become of the clock.
            let since = now().max(used.iter().max().map_or(0, |last| last.saturating_add(1)));
            let number = oldest as u16;
            let free = lock(&file, number).map_err(failed("lock"))?;
            write(&file, number, since).map_err(failed("write"))?;
            if free {
                return Ok(Ids { file, number, since });
            }
            // Somebody uses it since long.
            used[oldest] = since;
        }
        Err(Error::Full { instances: Self::COUNT })
    }

    pub fn number(&self) -> u16 {
        self.number
    }
}

impl Drop for Ids {
    fn drop(&mut self) {
        // What fails leaves the beginning of its use there.
        let _ = write(&self.file, self.number, now().max(self.since));
    }
}

fn now() -> u64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// When each number was last used; 0 for never, and for what is not in the file.
fn read(file: &OwnedFd) -> Result<Vec<u64>, Errno> {
    let mut bytes = vec![0; Ids::COUNT * Ids::ENTRY];
    let mut filled = 0;
    while filled < bytes.len() {
        match pread(file, &mut bytes[filled..], filled as i64) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(bytes.as_chunks().0.iter().map(|entry| u64::from_ne_bytes(*entry)).collect())
}

/// Eight bytes that lie in one page: a reader sees all of them or none.
fn write(file: &OwnedFd, number: u16, time: u64) -> Result<(), Errno> {
    let place = (usize::from(number) * Ids::ENTRY) as i64;
    match pwrite(file, &time.to_ne_bytes(), place) {
        Ok(Ids::ENTRY) => Ok(()),
        Ok(_) => Err(Errno::EIO),
        Err(errno) => Err(errno),
    }
}

fn lock(file: &OwnedFd, number: u16) -> Result<bool, Errno> {
    let byte = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: libc::off_t::from(number),
        l_len: 1,
        l_pid: 0,
    };
    match fcntl(file, FcntlArg::F_OFD_SETLK(&byte)) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, fs};

    use super::*;

    fn with_store(name: &str, test: impl FnOnce(&Store, &HostLock)) {
        let path = std::env::temp_dir().join(format!("nshost-ledger-ids-{name}-{}", std::process::id()));
        let store = Store::open(&path, true).unwrap().unwrap();
        let lock = HostLock::acquire(&store).unwrap();
        test(&store, &lock);
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_number_comes_again_after_all_others() {
        with_store("again", |store, lock| {
            let mut seen = HashSet::new();
            let first = Ids::take(store, lock).unwrap().number();
            seen.insert(first);
            // One that lives all the time, and one killed: neither is given before its turn.
            let living = Ids::take(store, lock).unwrap();
            assert!(seen.insert(living.number()));
            let killed = Ids::take(store, lock).unwrap();
            assert!(seen.insert(killed.number()));
            let since = killed.since;
            std::mem::forget(killed);
            for _ in 3..Ids::COUNT {
                assert!(seen.insert(Ids::take(store, lock).unwrap().number()));
            }
            assert_eq!(Ids::take(store, lock).unwrap().number(), first);
            assert!(since > 0);
            for _ in 0..Ids::COUNT {
                assert_ne!(Ids::take(store, lock).unwrap().number(), living.number());
            }
        });
    }

    #[test]
    fn the_end_of_use_counts() {
        with_store("end", |store, lock| {
            let long = Ids::take(store, lock).unwrap();
            let number = long.number();
            let short = Ids::take(store, lock).unwrap().number();
            drop(long);
            let used = read(&store.open_ids().unwrap()).unwrap();
            assert!(used[usize::from(number)] > used[usize::from(short)]);
        });
    }

    #[test]
    fn a_file_of_nonsense_is_as_good_as_a_new_one() {
        with_store("nonsense", |store, lock| {
            for bytes in [&[0xff_u8; 40_000][..], &[1; 3], &[]] {
                fs::write(store.ids_path(), bytes).unwrap();
                let (one, two) = (Ids::take(store, lock).unwrap(), Ids::take(store, lock).unwrap());
                assert_ne!(one.number(), two.number());
                assert!(usize::from(one.number()) < Ids::COUNT);
            }
        });
    }
}
