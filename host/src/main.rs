//! `nshost`: launches Linux containers that a sandboxed WebAssembly script decides.

mod answered;
mod approve;
mod audit;
mod cache;
mod cli;
mod collect;
mod decide;
mod evaluate;
mod failure;
mod launch;
mod module;
mod named;
mod paths;
mod print;
mod program;
mod request;
mod start;
mod worker;

use launch::Ended;
use nshost_kernel::process::signals;

/// musl's allocator maps and unmaps memory for every buffer, which is a tenth of a launch's system calls.
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// Parse, do, print what went wrong, exit: each in this one place.
fn main() {
    signals::settle();
    let Ended { outcome, besides, leftovers } = cli::run();
    let status = outcome.unwrap_or_else(|failure| {
        print::failure(&failure);
        failure.status as u8
    });
    besides.iter().for_each(print::failure);
    // The last thing: what the kernel is slow with must not keep the operator waiting.
    leftovers.exit(status)
}
