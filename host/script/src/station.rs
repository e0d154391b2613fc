//! How our helper processes begin and end.
//!
//! The launcher starts them with an empty environment and three files: 0 is a socket to the launcher, 1
//! the input (for the worker the compiled artifact, for the compiler the module), 2 the output (for the
//! compiler the file that the artifact goes into; the worker has none, and closes what is there). That is what
//! `std::process::Command` can hand over without `unsafe`, and it is enough: each file is used for one
//! thing, in one direction. The input is mapped and closed before the lock. A helper answers once and ends.
#![allow(unsafe_code)]

use std::{fs::File, hash::RandomState, io, os::fd::FromRawFd};

use nshost_plan::codec;

/// The files of a helper process. After the lock none of them is closed: the end of the process does that.
pub struct Station {
    /// To the launcher.
    pub socket: File,
    /// What it works on.
    pub input: File,
    /// Where its work goes.
    pub output: File,
}

impl Station {
    /// Takes over the three files and closes whatever else was inherited. To be called once, first.
    pub fn enter() -> io::Result<Station> {
        // The default hook would write to file 2.
        std::panic::set_hook(Box::new(|_| leave(Leave::Panicked)));
        // The keys of std's hash tables are drawn once: now, and not by a locked process.
        drop(RandomState::new());
        // SAFETY: closes what nobody in this process has: it has opened nothing yet.
        if unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: std made sure at start that 0, 1 and 2 are open; nothing else owns them, as this is
        // called once and nothing here uses std's own streams.
        unsafe {
            Ok(Station {
                socket: File::from_raw_fd(0),
                input: File::from_raw_fd(1),
                output: File::from_raw_fd(2),
            })
        }
    }
}

/// Writes the encoded answer and ends the process.
pub fn answer(socket: &File, answer: &[u8]) -> ! {
    match codec::write_frame(socket, answer) {
        Ok(()) => leave(Leave::Answered),
        Err(_) => leave(Leave::Unheard),
    }
}

/// How a helper ends.
#[derive(Debug, Clone, Copy)]
pub enum Leave {
    /// It has answered.
    Answered = 0,
    /// The launcher did not listen to the end, or has not asked.
    Unheard = 1,
    /// It was started wrongly.
    Misused = 2,
    /// Its memory is used up.
    OutOfMemory = nshost_policy::wire::OUT_OF_MEMORY as isize,
    /// A bug of ours.
    Panicked = 101,
}

/// Ends the process at once: no destructor would do anything that the kernel does not.
pub fn leave(how: Leave) -> ! {
    // SAFETY: never fails, never returns; other than `exit` it runs no handler.
    unsafe { libc::_exit(how as i32) }
}
