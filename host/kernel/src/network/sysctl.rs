//! Network settings beneath `/proc/sys/net` (`sysctl(8)`).

use std::{
    fs::File,
    io::{ErrorKind, Read, Write},
    os::fd::OwnedFd,
};

use nix::{
    errno::Errno,
    fcntl::{OFlag, open, openat},
    sys::{
        stat::Mode,
        statfs::{PROC_SUPER_MAGIC, fstatfs},
    },
};

use crate::Error;

const ROOT: &str = "/proc/sys/net";
/// As other container engines mount it.
const READ_ONLY: &str = "this seems to be a container itself: give it a /proc/sys that can be written \
                         (`mount -o remount,rw /proc/sys`, or more rights for it), or launch from outside of it";

/// The settings of the network namespace of the thread that opens them.
pub(crate) struct Sysctls(OwnedFd);

impl Sysctls {
    /// Fails if something else than procfs is mounted there: it could lead a write anywhere.
    pub(crate) fn open() -> Result<Self, Error> {
        let failed = |errno| Error::new("open", ROOT, errno);
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let root = open(ROOT, flags, Mode::empty()).map_err(failed)?;
        match fstatfs(&root).map_err(failed)?.filesystem_type() {
            PROC_SUPER_MAGIC => Ok(Sysctls(root)),
            _ => Err(failed(Errno::EXDEV).hint("/proc is not the kernel's")),
        }
    }

    /// The number in a setting; none if the kernel has no such setting.
    pub(crate) fn get(&self, path: &str) -> Result<Option<i32>, Error> {
        let failed = |error: std::io::Error| Error::new("read", format!("{ROOT}/{path}"), error);
        let Some(mut file) = self.file(path, OFlag::O_RDONLY)? else { return Ok(None) };
        let mut text = [0; 32];
        let length = file.read(&mut text).map_err(failed)?;
        let number = std::str::from_utf8(&text[..length]).ok().and_then(|text| text.trim().parse().ok());
        number.map(Some).ok_or_else(|| failed(ErrorKind::InvalidData.into()))
    }

    /// Changes a setting; false if the kernel has no such setting. Where nobody can change any, it may be as it
    /// should be.
    pub(crate) fn set(&self, path: &str, value: bool) -> Result<bool, Error> {
        let mut file = match self.file(path, OFlag::O_WRONLY) {
            Ok(Some(file)) => file,
            Ok(None) => return Ok(false),
            Err(error) if error.errno() == Some(libc::EROFS) && self.is(path, value) => return Ok(true),
            Err(error) => return Err(error),
        };
        let text = if value { b"1" } else { b"0" };
        match file.write_all(text) {
            // The interface went after the file was opened.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            result => result.map(|()| true).map_err(|e| Error::new("write", format!("{ROOT}/{path}"), e)),
        }
    }

    fn is(&self, path: &str, value: bool) -> bool {
        self.get(path).is_ok_and(|now| now == Some(value.into()))
    }

    fn file(&self, path: &str, flags: OFlag) -> Result<Option<File>, Error> {
        match openat(&self.0, path, flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty()) {
            Ok(fd) => Ok(Some(fd.into())),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => {
                let hint = if errno == Errno::EROFS { READ_ONLY } else { "" };
                Err(Error::new("open", format!("{ROOT}/{path}"), errno).hint(hint))
            }
        }
    }
}
