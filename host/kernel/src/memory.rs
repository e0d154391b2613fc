//! A launcher that waits holds little memory.

#![expect(unsafe_code, reason = "madvise on the program's own pages")]

use std::fs;

use nix::libc;

/// Gives back the pages of the program itself: the kernel maps them generously, some 1.5 MB of which the
/// wait needs a few. They come back from the page cache when they are used. A failure costs nothing.
pub(crate) fn give_back_program() {
    let (Ok(maps), Ok(program)) = (fs::read_to_string("/proc/self/maps"), fs::read_link("/proc/self/exe"))
    else {
        return;
    };
    let program = program.to_string_lossy();
    for line in maps.lines().filter(|line| line.ends_with(&*program)) {
        let mut fields = line.split_ascii_whitespace();
        let (Some(range), Some(rights)) = (fields.next(), fields.next()) else { continue };
        // What cannot be written is as it is in the file.
        if rights.contains('w') {
            continue;
        }
        let bounds = range
            .split_once('-')
            .map(|(from, to)| (usize::from_str_radix(from, 16), usize::from_str_radix(to, 16)));
        if let Some((Ok(from), Ok(to))) = bounds {
            // SAFETY: a private, unwritable mapping of this program's file: dropped pages are read again
            // from the file, which cannot be written while it is executed, so memory does not change.
            unsafe { libc::madvise(from as *mut libc::c_void, to - from, libc::MADV_DONTNEED) };
        }
    }
}
