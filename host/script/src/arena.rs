//! The worker's memory: a piece of its own image, handed out in order.
//!
//! A worker lives for a millisecond and allocates some thousand times, mostly while it decodes an
//! artifact. musl's allocator makes that a quarter of the whole evaluation (measured: 0.86 instead of
//! 0.5 ms), by system calls and by touching new pages one fault at a time. So the first [`SIZE`] bytes
//! come from here and are, but for the last allocation, not given back. What is larger or comes later is
//! the C library's, as usual: a script that makes the host allocate without end gains nothing.
#![allow(unsafe_code)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::UnsafeCell,
};

/// How much there is, in bytes.
const SIZE: usize = 1 << 20;
/// What nearly every script needs, in bytes: those pages are had in one system call.
const USUAL: usize = 160 << 10;
/// Larger pieces are the C library's.
const LARGEST: usize = 64 << 10;

/// To be the `#[global_allocator]` of a program with one thread.
pub struct Arena {
    bytes: UnsafeCell<Bytes>,
    used: UnsafeCell<usize>,
}

#[repr(align(4096))]
#[expect(dead_code, reason = "reached by its address only")]
struct Bytes([u8; SIZE]);

// SAFETY: the worker has one thread: it starts none, nothing that it links does, and a locked one is
// killed for `clone`. The one signal handler that runs beside it does not allocate (`clock.rs`).
unsafe impl Sync for Arena {}

impl Arena {
    /// An arena, all of it free.
    #[expect(clippy::new_without_default, reason = "it is a static's value, and Default is not const")]
    pub const fn new() -> Arena {
        Arena { bytes: UnsafeCell::new(Bytes([0; SIZE])), used: UnsafeCell::new(0) }
    }

    /// Has the kernel set the usual pages aside at once. What fails here is made up for page by page.
    pub fn warm(&self) {
        // SAFETY: the range lies within the arena; the pages' contents stay (zeroes or what was written).
        unsafe { libc::madvise(self.start().cast(), USUAL, libc::MADV_POPULATE_WRITE) };
    }

    fn start(&self) -> *mut u8 {
        self.bytes.get().cast()
    }

    /// How far into the arena a piece begins; none if it is not of it.
    fn offset(&self, piece: *mut u8) -> Option<usize> {
        piece.addr().checked_sub(self.start().addr()).filter(|offset| *offset < SIZE)
    }

    /// Whether nothing was handed out after the piece of `size` bytes at `offset`.
    fn is_last(&self, offset: usize, size: usize) -> bool {
        // SAFETY: one thread, and no reference to the cell outlives its expression.
        unsafe { *self.used.get() == offset + size }
    }

    fn set_used(&self, used: usize) {
        // SAFETY: as above.
        unsafe { *self.used.get() = used }
    }
}

// SAFETY: a piece lies within the arena, at the layout's alignment, and overlaps no other: `used` only
// passes over what was handed out, and goes back only over the piece that is given back. What is not of
// the arena is told by its address and is the system allocator's from beginning to end.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `is_last`.
        let used = unsafe { *self.used.get() };
        let offset = used.next_multiple_of(layout.align());
        if layout.size() > LARGEST || layout.align() > 4096 || offset + layout.size() > SIZE {
            // SAFETY: the caller's promise.
            return unsafe { System.alloc(layout) };
        }
        self.set_used(offset + layout.size());
        // SAFETY: `offset` was just found to lie within the arena.
        unsafe { self.start().add(offset) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.size() > LARGEST {
            // SAFETY: the caller's promise.
            return unsafe { System.alloc_zeroed(layout) };
        }
        // SAFETY: the caller's promise.
        let piece = unsafe { self.alloc(layout) };
        if !piece.is_null() {
            // What was handed out before and given back is not zero any more.
            // SAFETY: the piece is `layout.size()` bytes long.
            unsafe { piece.write_bytes(0, layout.size()) };
        }
        piece
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        match self.offset(piece) {
            Some(offset) if self.is_last(offset, layout.size()) => self.set_used(offset),
            Some(_) => {}
            // SAFETY: not of the arena, so it came from the system allocator, by this layout.
            None => unsafe { System.dealloc(piece, layout) },
        }
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(offset) = self.offset(piece) else {
            // SAFETY: not of the arena, so it came from the system allocator, by this layout.
            return unsafe { System.realloc(piece, layout, size) };
        };
        if self.is_last(offset, layout.size()) && size <= LARGEST && offset + size <= SIZE {
            self.set_used(offset + size);
            return piece;
        }
        if size <= layout.size() {
            return piece;
        }
        // SAFETY: the size is not zero, by the caller's promise, and the alignment is a valid one.
        let new = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !new.is_null() {
            // SAFETY: two different pieces, the old one `layout.size()` bytes long, the new one longer.
            unsafe { new.copy_from_nonoverlapping(piece, layout.size()) };
        }
        new
    }
}
