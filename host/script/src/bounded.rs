//! An allocator whose end is the process's: a compiler that has used up its memory says so by its exit status.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};

use dlmalloc::GlobalDlmalloc;

use crate::station::{Leave, leave};

/// dlmalloc, and no way on without memory. What Rust would do instead writes to the artifact and raises a
/// signal, which the lock forbids.
pub struct Bounded;

fn there(block: *mut u8) -> *mut u8 {
    if block.is_null() { leave(Leave::OutOfMemory) } else { block }
}

// SAFETY: each is the inner allocator's own, of which only a null is not handed on.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are handed on.
        there(unsafe { GlobalDlmalloc.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        there(unsafe { GlobalDlmalloc.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        there(unsafe { GlobalDlmalloc.realloc(block, layout, size) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { GlobalDlmalloc.dealloc(block, layout) }
    }
}
