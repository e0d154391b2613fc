//! The state directory: opened once, checked once, and from then on reached only through its
//! descriptor, whatever happens to its path.

use std::{
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd, OwnedFd, RawFd},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, OFlag, openat},
    sys::stat::{Mode, SFlag, fstat, mkdirat},
    unistd::{UnlinkatFlags, geteuid, unlinkat},
};
use nshost_plan::show;
use rustix::fs::{FileType, RawDir, SeekFrom, seek};

use crate::{Error, Problem};

/// Which file an entry is: `NNNN-ID`, the instance number in decimal and the container's id. The
/// number can be told without opening the file, and no name ever comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct EntryName {
    pub instance: u16,
    pub id: u128,
}

impl EntryName {
    /// The highest instance number.
    pub const MAX_INSTANCE: u16 = 3839;

    /// The id as it is told and written: 32 hexadecimal digits.
    pub fn id(&self) -> String {
        format!("{:032x}", self.id)
    }

    pub fn file(&self) -> String {
        format!("{:04}-{:032x}", self.instance, self.id)
    }

    fn parse(file: &str) -> Option<EntryName> {
        let (instance, id) = file.split_once('-')?;
        let digits = instance.len() == 4 && instance.bytes().all(|b| b.is_ascii_digit());
        let hex = id.len() == 32 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let instance = instance.parse().ok().filter(|n| digits && *n <= Self::MAX_INSTANCE)?;
        let id = u128::from_str_radix(id, 16).ok().filter(|_| hex)?;
        Some(EntryName { instance, id })
    }
}

/// What lies in `containers/`, in the order of instance numbers.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub entries: Vec<EntryName>,
    /// Files that nobody of us made, safe to print, and why they are none of ours.
    pub foreign: Vec<(String, String)>,
}

#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    root: OwnedFd,
    entries: OwnedFd,
    /// Device and inode of the state directory.
    pub key: (u64, u64),
}

impl Store {
    /// None only where there is none and none is to be made.
    pub fn open(path: &Path, make: bool) -> Result<Option<Store>, Error> {
        // Without a trailing slash, which would make the kernel follow a link in spite of O_NOFOLLOW.
        let path: PathBuf = path.components().collect();
        let Some((root, key)) = open_directory(AT_FDCWD, &path, &path, make)? else { return Ok(None) };
        let below = path.join("containers");
        let entries = open_directory(&root, Path::new("containers"), &below, make)?;
        Ok(entries.map(|(entries, _)| Store { path, root, entries, key }))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Through which everything is reached.
    pub fn descriptors(&self) -> [RawFd; 2] {
        [self.root.as_raw_fd(), self.entries.as_raw_fd()]
    }

    /// The entries at this moment. One that is made or removed meanwhile may be seen or not; no name
    /// is ever changed, so an entry that stays is always seen.
    pub fn list(&self) -> Result<Listing, Error> {
        let failed = |errno: rustix::io::Errno| {
            Error::io("read", self.path.join("containers"), Errno::from_raw(errno.raw_os_error()))
        };
        seek(&self.entries, SeekFrom::Start(0)).map_err(failed)?;
        // Into a buffer of our own: libc's takes memory from libc's allocator, which nothing else here wakes.
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let (mut items, mut listing) = (RawDir::new(&self.entries, &mut buffer), Listing::default());
        while let Some(item) = items.next() {
            let item = item.map_err(failed)?;
            let file = item.file_name().to_string_lossy();
            match (EntryName::parse(&file), item.file_type()) {
                (Some(name), FileType::RegularFile | FileType::Unknown) => listing.entries.push(name),
                (Some(_), _) => listing.foreign.push((show::quote(&file), "not a regular file".into())),
                (None, _) if file == "." || file == ".." => (),
                (None, _) => listing.foreign.push((show::quote(&file), "not a name of an entry".into())),
            }
        }
        listing.entries.sort_unstable();
        listing.foreign.sort_unstable();
        Ok(listing)
    }

    /// A new, empty entry.
    pub fn create(&self, name: &EntryName) -> Result<OwnedFd, Error> {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(&self.entries, name.file().as_str(), flags, Mode::from_bits_truncate(0o600))
            .map_err(|errno| Error::io("create", self.entry_path(name), errno))
    }

    /// An entry to look at. Nothing that may lie there makes this wait, and no link is followed.
    pub fn read(&self, name: &EntryName) -> Result<OwnedFd, Errno> {
        let flags =
            OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        openat(&self.entries, name.file().as_str(), flags, Mode::empty())
    }

    /// When an entry was last added to: of one that lives, soon after it was launched.
    pub fn written(&self, name: &EntryName) -> Option<SystemTime> {
        let stat = fstat(&self.read(name).ok()?).ok()?;
        let seconds = Duration::new(stat.st_mtime.try_into().ok()?, stat.st_mtime_nsec.try_into().ok()?);
        SystemTime::UNIX_EPOCH.checked_add(seconds)
    }

    /// Removes an entry; one that is gone already is as good.
    pub fn remove(&self, name: &EntryName) -> Result<(), Error> {
        match unlinkat(&self.entries, name.file().as_str(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(Error::io("remove", self.entry_path(name), errno)),
        }
    }

    /// An open file description of its own of the lock file, which is made once and never removed.
    pub fn open_lock(&self) -> Result<OwnedFd, Error> {
        self.open_own("lock")
    }

    /// The file of [`crate::ids`], likewise.
    pub fn open_ids(&self) -> Result<OwnedFd, Error> {
        self.open_own("ids")
    }

    fn open_own(&self, name: &str) -> Result<OwnedFd, Error> {
        let flags = OFlag::O_RDWR
            | OFlag::O_CREAT
            | OFlag::O_NONBLOCK
            | OFlag::O_NOFOLLOW
            | OFlag::O_NOCTTY
            | OFlag::O_CLOEXEC;
        openat(&self.root, name, flags, Mode::from_bits_truncate(0o600))
            .map_err(|errno| Error::io("open", self.path.join(name), errno))
    }

    pub fn ids_path(&self) -> PathBuf {
        self.path.join("ids")
    }

    pub fn lock_path(&self) -> PathBuf {
        self.path.join("lock")
    }

    pub fn entry_path(&self, name: &EntryName) -> PathBuf {
        self.path.join("containers").join(name.file())
    }
}

/// Whether it is a regular file; only asked where the file system does not tell while listing.
pub(crate) fn is_regular(file: &OwnedFd) -> Result<bool, Errno> {
    Ok(SFlag::from_bits_truncate(fstat(file)?.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG)
}

/// With device and inode.
type Opened = (OwnedFd, (u64, u64));

fn open_directory(at: impl AsFd, name: &Path, full: &Path, make: bool) -> Result<Option<Opened>, Error> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let open = || openat(at.as_fd(), name, flags, Mode::empty());
    let opened = match open() {
        Err(Errno::ENOENT) if !make => return Ok(None),
        Err(Errno::ENOENT) => match mkdirat(at.as_fd(), name, Mode::S_IRWXU) {
            Ok(()) | Err(Errno::EEXIST) => open(),
            Err(errno) => return Err(Error::io("create", full, errno)),
        },
        other => other,
    };
    let untrusted = |problem| Error::Untrusted { directory: full.to_path_buf(), problem };
    let directory = opened.map_err(|errno| match errno {
        Errno::ELOOP | Errno::ENOTDIR => untrusted(Problem::NotADirectory),
        errno => Error::io("open", full, errno),
    })?;
    let stat = fstat(&directory).map_err(|errno| Error::io("stat", full, errno))?;
    let expected = geteuid().as_raw();
    if stat.st_uid != expected {
        return Err(untrusted(Problem::Owner { uid: stat.st_uid, expected }));
    }
    // What is in it was then put there by its owner, and needs no such check of its own.
    if stat.st_mode & 0o022 != 0 {
        return Err(untrusted(Problem::Permissions { mode: stat.st_mode & 0o7777 }));
    }
    Ok(Some((directory, (stat.st_dev, stat.st_ino))))
}
