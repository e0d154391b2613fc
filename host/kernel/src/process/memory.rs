//! The launcher's own memory: it holds little while it waits, and its words are not the container's.

#![expect(unsafe_code, reason = "madvise on the program's own pages")]

use std::fs;

use nix::libc;
use nshost_init::Words;

/// Where the words lie that this program was started with; none if the kernel does not say.
pub(crate) fn words() -> Option<Words> {
    find_words(&fs::read_to_string("/proc/self/stat").ok()?)
}

/// Of `proc_pid_stat(5)`: fields 48 to 51, of which the program's name, the second, may hold anything.
fn find_words(stat: &str) -> Option<Words> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut bounds = rest.split_ascii_whitespace().skip(48 - 3).map(str::parse::<usize>);
    let mut bound = || bounds.next()?.ok();
    let (start, arguments_end, variables, end) = (bound()?, bound()?, bound()?, bound()?);
    let in_order = 0 < start && start < arguments_end && arguments_end == variables && variables <= end;
    in_order.then_some(Words { start, arguments_end, end })
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_where_the_kernel_says() {
        let words = words().expect("words");
        let first = std::env::args_os().next().expect("a program's name");
        // SAFETY: as long as the first argument is, it is there to be read.
        let bytes = unsafe { std::slice::from_raw_parts(words.start as *const u8, first.len()) };
        assert_eq!(bytes, first.as_encoded_bytes());
        assert!(words.end > words.arguments_end, "{words:?}");
    }

    #[test]
    fn what_the_kernel_does_not_say_is_not_believed() {
        let stat = |bounds: &str| format!("1 (a) b) S {}{bounds}", "0 ".repeat(44));
        let words = Words { start: 10, arguments_end: 20, end: 30 };
        assert_eq!(find_words(&stat("10 20 20 30 0")), Some(words));
        for bounds in ["0 0 0 0 0", "10 20 21 30 0", "20 10 10 30 0", "10 20 20 19 0", "10 20", "a b c d"] {
            assert_eq!(find_words(&stat(bounds)), None, "{bounds}");
        }
        assert_eq!(find_words(""), None);
    }
}
