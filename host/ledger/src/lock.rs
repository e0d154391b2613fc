//! Locks: who lives, and whose turn it is.
//!
//! All of them are open-file-description locks (`F_OFD_SETLK`, `fcntl(2)`) on single bytes. Unlike a
//! `flock(2)`, such a lock can be asked for without being taken, so that a look at an entry never
//! makes it seem alive to somebody else, and one file can hold several.

use std::{
    fs,
    os::fd::{AsFd, OwnedFd},
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, fcntl},
    libc,
    sys::uio::{pread, pwrite},
};

use nshost_plan::codec;

use crate::{Error, Guarding, Holder, NetworkNamespaceId, store::Store};

/// A byte of the lock file: whoever changes what all containers of the host share has this.
const HOST: libc::off_t = 0;
/// A byte of the lock file: whoever makes or sweeps entries that hold no record yet has this, for
/// microseconds. It may be taken under the host's lock, never the other way round.
const CLAIMS: libc::off_t = 1;
/// The byte of an entry that its owner has for its life.
const OWNER: libc::off_t = 0;

/// From here on stands in the lock file who has the tables' owner of each host: so many places of so many bytes,
/// in each a length and what it is of. Hosts that fall on the same place overwrite each other's word.
const KEEPERS: libc::off_t = 64;
const PLACES: u64 = 64;
const KEEPER: usize = 64;

/// A launch holds the host's lock for some milliseconds; with one that has it for this long something is wrong. Of a
/// thousand that end at once the last waits longer, but not for the same one.
const PATIENCE: Duration = Duration::from_secs(10);
/// For one that was stopped nobody waits for longer than this: it may be stopped for ever.
const PATIENCE_WITH_STOPPED: Duration = Duration::from_secs(1);
/// Who has waited for long asks less often, so that many who wait leave the processors to the one that works.
const SHORT_PAUSE: Duration = Duration::from_millis(1);
const LONG_PAUSE: Duration = Duration::from_millis(20);
const PAUSES_TO_A_WAIT: u32 = 32;

/// The right to change what all containers of the host share: reservations, the firewall's table,
/// sysctls. Others wait while it is held, so it is held shortly. Dropping it releases it, as does the
/// process's end.
#[derive(Debug)]
#[must_use = "it is released when dropped"]
pub struct HostLock {
    pub(crate) held: Held,
    pub(crate) key: (u64, u64),
}

impl HostLock {
    pub(crate) fn acquire(store: &Store) -> Result<HostLock, Error> {
        Ok(HostLock { held: Held::acquire(store, HOST, PATIENCE)?, key: store.key })
    }

    /// Who had the socket that owns the firewall's tables of this host last, by what was left word of. It may
    /// have ended.
    pub fn keeper(&self, host: NetworkNamespaceId) -> Option<Guarding> {
        keeper(&self.held.file, host)
    }

    /// Who had it before that one, and may have it still: of a launcher that was killed, whoever it had it from.
    pub fn former_keeper(&self, host: NetworkNamespaceId) -> Option<Guarding> {
        word_at(&self.held.file, host, place_of_former(host))
    }
}

pub(crate) fn keeper(lock: &OwnedFd, host: NetworkNamespaceId) -> Option<Guarding> {
    word_at(lock, host, place_of_keeper(host))
}

fn word_at(lock: &OwnedFd, host: NetworkNamespaceId, place: libc::off_t) -> Option<Guarding> {
    let mut bytes = [0; KEEPER];
    let read = pread(lock, &mut bytes, place).ok()?;
    let word = codec::decode("keeper", bytes.get(1..=usize::from(bytes[0]))?).ok();
    let (of, guarding): (NetworkNamespaceId, Guarding) = word?;
    Some(guarding).filter(|_| read == KEEPER && of == host)
}

/// Leaves word of who has the socket that owns this host's tables. It decides nothing: whoever reads it asks the
/// kernel whether it is so.
pub(crate) fn note_keeper(lock: &OwnedFd, host: NetworkNamespaceId, guarding: Guarding) {
    if let Some(former) = keeper(lock, host).filter(|former| *former != guarding) {
        leave_word(lock, host, former, place_of_former(host));
    }
    leave_word(lock, host, guarding, place_of_keeper(host));
}

fn leave_word(lock: &OwnedFd, host: NetworkNamespaceId, guarding: Guarding, at: libc::off_t) {
    let encoded = codec::encode(&(host, guarding));
    let mut bytes = [0; KEEPER];
    if let Some(place) = bytes.get_mut(1..=encoded.len()) {
        place.copy_from_slice(&encoded);
        bytes[0] = encoded.len() as u8;
        let _ = pwrite(lock, &bytes, at);
    }
}

/// Behind the words of all places.
fn place_of_former(host: NetworkNamespaceId) -> libc::off_t {
    place_of_keeper(host) + PLACES as libc::off_t * KEEPER as libc::off_t
}

fn place_of_keeper(host: NetworkNamespaceId) -> libc::off_t {
    let number = match host {
        NetworkNamespaceId::Cookie(cookie) => cookie,
        NetworkNamespaceId::File { inode, .. } => inode,
    };
    KEEPERS + (number % PLACES) as libc::off_t * KEEPER as libc::off_t
}

/// A locked byte of the lock file.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) file: OwnedFd,
    byte: libc::off_t,
}

impl Held {
    /// The right to make entries.
    pub fn claims(store: &Store) -> Result<Held, Error> {
        Held::acquire(store, CLAIMS, PATIENCE)
    }

    /// The same if it can be had at once.
    pub fn claims_now(store: &Store) -> Result<Option<Held>, Error> {
        let file = store.open_lock()?;
        let got = try_lock(&file, CLAIMS).map_err(|errno| Error::io("lock", store.lock_path(), errno))?;
        Ok(got.then_some(Held { file, byte: CLAIMS }))
    }

    /// Asks again and again instead of sleeping in the kernel: one stopped launcher must not hang all
    /// others without a word, and a process with one thread has no other way to stop waiting.
    fn acquire(store: &Store, byte: libc::off_t, patience: Duration) -> Result<Held, Error> {
        // Opened anew, as two locks of one open file description would not exclude each other.
        let file = store.open_lock()?;
        let (begin, mut pause) = (Instant::now(), Duration::from_micros(20));
        let (mut since, mut stopped, mut last) = (begin, PATIENCE_WITH_STOPPED, None);
        while !try_lock(&file, byte).map_err(|errno| Error::io("lock", store.lock_path(), errno))? {
            let word = word_of_holder(&file, byte);
            if word != last {
                (since, stopped, last) = (Instant::now(), PATIENCE_WITH_STOPPED, word);
            }
            let waited = since.elapsed();
            if waited >= patience || waited >= stopped {
                let holder = holder(&file, byte);
                if waited >= patience || holder.as_ref().is_some_and(|holder| holder.stopped) {
                    return Err(Error::Busy { lock: store.lock_path(), waited, holder });
                }
                stopped = waited + PATIENCE_WITH_STOPPED;
            }
            sleep(pause);
            pause = (pause * 2).min((begin.elapsed() / PAUSES_TO_A_WAIT).clamp(SHORT_PAUSE, LONG_PAUSE));
        }
        note_holder(&file, byte);
        Ok(Held { file, byte })
    }
}

/// Leaves word of who has the lock, for those who wait: the kernel does not tell whose an open-file-description lock
/// is. It decides nothing but for how long they do.
fn note_holder(file: &OwnedFd, byte: libc::off_t) {
    let _ = pwrite(file, &std::process::id().to_ne_bytes(), place_of_holder(byte));
}

fn holder(file: &OwnedFd, byte: libc::off_t) -> Option<Holder> {
    let pid = word_of_holder(file, byte)?;
    // Field 3, after the command's name in parentheses, which may hold anything.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_ascii_whitespace().next());
    Some(Holder { pid, stopped: matches!(state, Some("T" | "t")) })
}

/// The pid of who took it last.
fn word_of_holder(file: &OwnedFd, byte: libc::off_t) -> Option<u32> {
    let mut pid = [0; 4];
    let read = pread(file, &mut pid, place_of_holder(byte)).ok()?;
    Some(u32::from_ne_bytes(pid)).filter(|pid| read == 4 && *pid != 0)
}

/// Behind the bytes that are locked.
fn place_of_holder(byte: libc::off_t) -> libc::off_t {
    8 + byte * 4
}

impl Drop for Held {
    fn drop(&mut self) {
        release(&self.file, self.byte);
    }
}

/// Makes the caller the owner of an entry that nobody else has seen.
pub(crate) fn own(entry: &OwnedFd) -> Result<bool, Errno> {
    try_lock(entry, OWNER)
}

/// Lets an entry look abandoned, even while a child that has not executed yet shares the description.
pub(crate) fn disown(entry: &OwnedFd) {
    release(entry, OWNER);
}

/// Whether the entry's owner lives. `entry` is a description of its own; the lock stays as it is.
pub(crate) fn is_owned(entry: &OwnedFd) -> Result<bool, Errno> {
    let mut lock = byte_lock(libc::F_WRLCK, OWNER);
    fcntl(entry, FcntlArg::F_OFD_GETLK(&mut lock))?;
    Ok(libc::c_int::from(lock.l_type) != libc::F_UNLCK)
}

fn try_lock(file: impl AsFd, byte: libc::off_t) -> Result<bool, Errno> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&byte_lock(libc::F_WRLCK, byte))) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(errno) => Err(errno),
    }
}

fn release(file: impl AsFd, byte: libc::off_t) {
    // Cannot fail for a lock that is held; the end of the descriptor releases it all the same.
    let _ = fcntl(file, FcntlArg::F_OFD_SETLK(&byte_lock(libc::F_UNLCK, byte)));
}

fn byte_lock(kind: libc::c_int, byte: libc::off_t) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: byte,
        l_len: 1,
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_locks_exclude_and_waiting_ends() {
        let path = std::env::temp_dir().join(format!("nshost-ledger-lock-{}", std::process::id()));
        let store = Store::open(&path, true).unwrap().unwrap();
        let held = Held::acquire(&store, HOST, PATIENCE).unwrap();
        let start = Instant::now();
        let refused = Held::acquire(&store, HOST, Duration::from_millis(30));
        assert!(matches!(refused.err(), Some(Error::Busy { .. })));
        assert!(start.elapsed() < PATIENCE);
        assert!(Held::claims_now(&store).unwrap().is_some(), "another byte is another lock");
        drop(held);
        Held::acquire(&store, HOST, Duration::ZERO).unwrap();
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn patience_is_with_one_holder() {
        let path = std::env::temp_dir().join(format!("nshost-ledger-patience-{}", std::process::id()));
        let store = Store::open(&path, true).unwrap().unwrap();
        let held = Held::acquire(&store, HOST, PATIENCE).unwrap();
        let (patience, start) = (Duration::from_millis(200), Instant::now());
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| {
                let store = Store::open(&path, true).unwrap().unwrap();
                Held::acquire(&store, HOST, patience).map(drop)
            });
            // As if one after the other had it.
            for pid in 1..=60u32 {
                pwrite(&held.file, &pid.to_ne_bytes(), place_of_holder(HOST)).unwrap();
                sleep(Duration::from_millis(10));
            }
            assert!(start.elapsed() > 2 * patience && !waits.is_finished());
            // This one keeps it.
            assert!(matches!(waits.join().unwrap().err(), Some(Error::Busy { .. })));
        });
        drop(held);
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn each_host_has_its_own_word_of_the_tables_owner() {
        let path = std::env::temp_dir().join(format!("nshost-ledger-keeper-{}", std::process::id()));
        let store = Store::open(&path, true).unwrap().unwrap();
        let file = store.open_lock().unwrap();
        let largest = crate::ProcessId { pid: i32::MAX, birth: u64::MAX };
        let word = |descriptor| Guarding { launcher: largest, descriptor };
        let (one, other) = (NetworkNamespaceId::Cookie(1), NetworkNamespaceId::Cookie(2));
        let old = NetworkNamespaceId::File { device: u64::MAX, inode: u64::MAX };
        assert_eq!(keeper(&file, one), None);
        for (host, descriptor) in [(one, 3), (other, 4), (old, i32::MAX)] {
            note_keeper(&file, host, word(descriptor));
        }
        assert_eq!([one, other, old].map(|host| keeper(&file, host).unwrap().descriptor), [3, 4, i32::MAX]);
        // Whoever had it before is known too; the same word twice is no other.
        let former = |host| word_at(&file, host, place_of_former(host)).map(|word| word.descriptor);
        assert_eq!(former(one), None);
        for _ in 0..2 {
            note_keeper(&file, one, word(5));
            assert_eq!((keeper(&file, one).unwrap().descriptor, former(one)), (5, Some(3)));
        }
        assert_eq!(former(other), None);
        // One that falls on the same place has none rather than another's.
        assert_eq!(keeper(&file, NetworkNamespaceId::Cookie(1 + PLACES)), None);
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn asking_does_not_take() {
        let path = std::env::temp_dir().join(format!("nshost-ledger-own-{}", std::process::id()));
        let open =
            || OwnedFd::from(std::fs::OpenOptions::new().create(true).append(true).open(&path).unwrap());
        let (owner, other) = (open(), open());
        let inherited = owner.try_clone().unwrap();
        assert!(!is_owned(&other).unwrap() && own(&owner).unwrap());
        assert!(is_owned(&other).unwrap() && is_owned(&other).unwrap() && !own(&other).unwrap());
        // As with a child that has the descriptor still.
        disown(&owner);
        assert!(!is_owned(&other).unwrap());
        drop((owner, inherited));
        std::fs::remove_file(path).unwrap();
    }
}
