//! A stack for signal handlers (`sigaltstack(2)`), set before the lock.
//!
//! Where it finds none of this size wasmtime maps one when it first runs a script, with a guard page and
//! under the lock: three system calls more. This one is part of the program, and takes memory only when
//! it is used.
#![allow(unsafe_code)]

use std::{cell::UnsafeCell, io, ptr};

/// What wasmtime asks for at least, in bytes.
const SIZE: usize = 256 << 10;

#[repr(align(16))]
struct Stack(UnsafeCell<[u8; SIZE]>);

// SAFETY: nobody here looks into it; the kernel hands it to one handler of the only thread at a time.
unsafe impl Sync for Stack {}

static STACK: Stack = Stack(UnsafeCell::new([0; SIZE]));

/// Takes the place of the smaller one that std has set up at start.
pub fn set() -> io::Result<()> {
    let stack = libc::stack_t { ss_sp: STACK.0.get().cast(), ss_flags: 0, ss_size: SIZE };
    // SAFETY: `stack` is live and names memory that lives as long as the process; no handler runs now.
    match unsafe { libc::sigaltstack(&raw const stack, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
