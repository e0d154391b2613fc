//! Going into a network namespace for a moment (`setns(2)`).

use std::{
    fs::File,
    os::fd::{AsFd, BorrowedFd},
    process,
};

use nix::sched::{CloneFlags, setns};

use crate::Error;

/// The calling thread's network namespace. `/proc/self` would show the main thread's.
const OWN: &str = "/proc/thread-self/ns/net";

/// Does `work` inside a network namespace, and is back outside when it returns or unwinds.
///
/// A socket that is opened inside stays bound to that namespace; so `work` is a few lines that open
/// one. Everything that this process does later would go to the wrong network if it could not come
/// back: then it aborts.
pub fn inside<T>(namespace: BorrowedFd<'_>, work: impl FnOnce() -> T) -> Result<T, Error> {
    let home = Home(File::open(OWN).map_err(|e| Error::new("open namespace", OWN, e))?);
    enter(namespace).map_err(|errno| Error::new("enter network namespace", "of the container", errno))?;
    let result = work();
    drop(home);
    Ok(result)
}

/// The namespace to return to, whatever happens.
struct Home(File);

impl Drop for Home {
    fn drop(&mut self) {
        if enter(self.0.as_fd()).is_err() {
            process::abort();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that always comes back")]
fn enter(namespace: BorrowedFd<'_>) -> nix::Result<()> {
    setns(namespace, CloneFlags::CLONE_NEWNET)
}
