//! By the kernel's list as a text, which it writes out with every path of every mount.

use core::ffi::{CStr, c_int};

use crate::report;

const MOUNTS: &CStr = c"/proc/self/mountinfo";
/// Longer than any line about a procfs: a path has 4095 bytes, each written as four at most.
const LONGEST: usize = 20 << 10;

/// As [`super::each`]. Not inlined: the stack that it needs would be touched without it.
#[inline(never)]
pub(super) fn each(visit: &mut dyn FnMut(&CStr) -> Result<(), c_int>) -> Result<(), c_int> {
    // SAFETY: a C string.
    let file = unsafe { libc::open(MOUNTS.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
    if file < 0 {
        return Err(report::errno());
    }
    let found = read(file, visit);
    // SAFETY: the fd that was opened here.
    unsafe { libc::close(file) };
    found
}

fn read(file: c_int, visit: &mut dyn FnMut(&CStr) -> Result<(), c_int>) -> Result<(), c_int> {
    let mut buffer = [0u8; LONGEST];
    let mut filled = 0;
    loop {
        let room = &mut buffer[filled..];
        // SAFETY: pointer and length are of one slice.
        let length = unsafe { libc::read(file, room.as_mut_ptr().cast(), room.len()) };
        match length {
            0 => return Ok(()),
            1.. => filled += length.unsigned_abs(),
            _ if report::errno() == libc::EINTR => continue,
            _ => return Err(report::errno()),
        }
        let mut start = 0;
        while let Some(end) = buffer[start..filled].iter().position(|byte| *byte == b'\n') {
            let line = &mut buffer[start..start + end];
            start += end + 1;
            if let Some(path) = place(line) {
                visit(path)?;
            }
        }
        // A line that fills everything is not about a procfs.
        if start == 0 && filled == buffer.len() {
            filled = 0;
        }
        buffer.copy_within(start..filled, 0);
        filled -= start;
    }
}

/// The mount point, if the line is about a procfs (`proc_pid_mountinfo(5)`): the fifth field, where space,
/// tab, newline and backslash are written in octal. Decoded where it stands.
fn place(line: &mut [u8]) -> Option<&CStr> {
    let separator = line.windows(3).position(|bytes| bytes == b" - ")?;
    if !line[separator..].starts_with(b" - proc ") {
        return None;
    }
    let mut spaces = line.iter().enumerate().filter(|(_, byte)| **byte == b' ').map(|(at, _)| at);
    let (from, to) = (spaces.nth(3)? + 1, spaces.next()?);
    let path = line.get_mut(from..=to)?;
    let (mut read, mut written) = (0, 0);
    while read < path.len() - 1 {
        let octal = match path.get(read..read + 4) {
            Some([b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7']) => {
                Some((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'))
            }
            _ => None,
        };
        path[written] = octal.unwrap_or(path[read]);
        read += if octal.is_some() { 4 } else { 1 };
        written += 1;
    }
    path[written] = 0;
    CStr::from_bytes_until_nul(path).ok()
}
