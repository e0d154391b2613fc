//! Going into a network namespace for a moment (`setns(2)`).

use std::{
    fs::File,
    os::fd::{AsFd, BorrowedFd},
    process,
};

use nix::sched::{CloneFlags, setns};

use crate::Error;

/// The calling thread's network namespace. `/proc/self` shows the main thread's, which for the broker is
/// the same, and there by then: it takes the kernel 15 µs less.
pub(crate) fn own() -> &'static str {
    let main = nix::unistd::gettid() == nix::unistd::getpid();
    if main { "/proc/self/ns/net" } else { "/proc/thread-self/ns/net" }
}

/// Does `work` inside a network namespace, and is back outside when it returns or unwinds.
///
/// A socket that is opened inside stays bound to that namespace; so `work` is a few lines that open
/// one. Everything that this process does later would go to the wrong network if it could not come
/// back: then it aborts.
pub fn inside<T>(namespace: BorrowedFd<'_>, work: impl FnOnce() -> T) -> Result<T, Error> {
    let home = Home(File::open(own()).map_err(|e| Error::new("open namespace", own(), e))?);
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

#[cfg(test)]
mod tests {
    use std::{fs, panic, thread};

    use nix::sched::unshare;

    use super::*;

    fn here() -> String {
        fs::read_link(own()).expect("namespace").display().to_string()
    }

    #[test]
    fn comes_back_even_when_the_work_panics() {
        if !nix::unistd::geteuid().is_root() {
            assert!(
                std::env::var_os("NSHOST_CI").is_none(),
                "root is missing, and here no test may be left out"
            );
            return eprintln!("ignored, because it needs root");
        }
        thread::scope(|scope| {
            scope.spawn(|| {
                let home = here();
                unshare(CloneFlags::CLONE_NEWNET).expect("network namespace");
                let (other, fd) = (here(), File::open(own()).expect("namespace"));
                enter_home(&home);
                assert_eq!(inside(fd.as_fd(), here).expect("inside"), other);
                assert_eq!(here(), home);
                let fell = panic::catch_unwind(|| inside(fd.as_fd(), || panic!("on purpose")));
                assert!(fell.is_err());
                assert_eq!(here(), home);
            });
        });
    }

    /// The process's first thread is still there.
    fn enter_home(home: &str) {
        let file = File::open("/proc/self/ns/net").expect("namespace");
        enter(file.as_fd()).expect("setns");
        assert_eq!(here(), home);
    }
}
