//! A file that is mapped before the lock and read after it.
#![allow(unsafe_code)]

use std::{fs::File, io, os::fd::AsRawFd, ptr::NonNull};

/// A file in memory, private and not writable. It stays until the process ends.
#[derive(Debug)]
pub struct Input {
    bytes: NonNull<[u8]>,
}

impl Input {
    /// Maps a file of 1 to `most` bytes to be read. Nothing in it is looked at. An empty one is an unexpected end.
    pub fn map(file: &File, most: u64) -> io::Result<Input> {
        Input::with(file, most, libc::PROT_READ)
    }

    /// The same, to be executed as well.
    pub(crate) fn map_executable(file: &File, most: u64) -> io::Result<Input> {
        match Input::with(file, most, EXECUTABLE) {
            // A file system that is mounted noexec. The code is not more hostile from there than from
            // anywhere else, so it is copied.
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => Input::copy(file, most),
            mapped => mapped,
        }
    }

    /// The file's bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: a mapping of this length, readable, never unmapped or made writable. A module is a sealed
        // copy; an artifact's owner, who is the launcher's user, replaces it by rename and does not write
        // into it.
        unsafe { self.bytes.as_ref() }
    }

    /// Where they are.
    pub(crate) fn address(&self) -> NonNull<[u8]> {
        self.bytes
    }

    fn with(file: &File, most: u64, protection: i32) -> io::Result<Input> {
        let bytes = map(length(file, most)?, protection, libc::MAP_PRIVATE, file.as_raw_fd())?;
        Ok(Input { bytes })
    }

    fn copy(file: &File, most: u64) -> io::Result<Input> {
        use std::os::unix::fs::FileExt;
        let length = length(file, most)?;
        let anonymous = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let mut bytes = map(length, libc::PROT_READ | libc::PROT_WRITE, anonymous, -1)?;
        // SAFETY: a fresh mapping of `length` zeroed bytes that nothing else points to.
        file.read_exact_at(unsafe { bytes.as_mut() }, 0)?;
        // SAFETY: the same mapping, whole; the reference above is gone.
        if unsafe { libc::mprotect(bytes.as_ptr().cast(), length, EXECUTABLE) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Input { bytes })
    }
}

const EXECUTABLE: i32 = libc::PROT_READ | libc::PROT_EXEC;

fn length(file: &File, most: u64) -> io::Result<usize> {
    let length = file.metadata()?.len();
    if length == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if length > most {
        let message = format!("{length} bytes, instead of 1 to {most}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(length as usize)
}

fn map(length: usize, protection: i32, flags: i32, fd: i32) -> io::Result<NonNull<[u8]>> {
    // SAFETY: a new mapping at an address of the kernel's choice; nothing existing is touched.
    let address = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, fd, 0) };
    if address == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let start = NonNull::new(address.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
    Ok(NonNull::slice_from_raw_parts(start, length))
}
