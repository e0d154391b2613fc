//! What is done where nobody waits for it: after the launcher has exited.

#![expect(unsafe_code, reason = "clone, and close_range which nix does not have")]

use std::{
    io::Write,
    mem,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    process, ptr, thread,
    time::{Duration, Instant},
};

use nix::{errno::Errno, fcntl::OFlag, sys::signal::SigSet, unistd::pipe2};
use nshost_ledger::Gone;

use crate::{
    network::{self, link, netlink},
    process::signals::Signals,
    table::owner::Owner,
};

/// The child's stack: it closes descriptors, looks at links, and removes a file. As large as the buffers
/// that the launch has given back: so it costs no system call.
const STACK: usize = 48 << 10;

/// What the kernel is slow with: the last close of what frees a mount namespace or what nftables has
/// deleted, and the end of a container's links, after which its entry is removed; and what may be needed again
/// at once, the tables that guard links.
#[derive(Default)]
pub struct Leftovers {
    /// The mount namespaces of a container that has ended.
    pub mounts: Vec<OwnedFd>,
    /// The entry of a container whose links are about to vanish.
    pub gone: Option<Gone>,
    /// The right to change the tables, which are taken away when nobody has come for a second.
    pub tables: Option<Owner>,
    /// Whether SIGINT ended the command. Then it ends this process too: a shell that runs this in a loop leaves the
    /// loop only if what it waits for died of the key.
    pub interrupted: bool,
    /// Blocked until there is nothing left to do: one more signal while this process ends would take it from the child.
    pub signals: Option<Signals>,
}

impl Leftovers {
    /// Ends this process, and leaves to a child for which nobody waits what there is left to do. Should the
    /// child be killed, the next command sees to it.
    #[expect(clippy::disallowed_methods, reason = "for main, which has nothing left to do")]
    pub fn exit(self, status: u8) -> ! {
        let mut descriptors = netlink::take_lingering();
        descriptors.extend(self.mounts);
        if !descriptors.is_empty() || self.gone.is_some() {
            // What follows does not run what flushes it.
            let _ = std::io::stdout().flush();
            let Leftovers { gone, tables, interrupted, .. } = self;
            let errand = Errand { descriptors, gone, tables, open: Vec::new(), end: None };
            after_exit(errand, status, interrupted);
            process::exit(i32::from(status))
        }
        if self.interrupted {
            let _ = std::io::stdout().flush();
            end(status, true)
        }
        process::exit(i32::from(status))
    }
}

/// How long the tables stay when the last who needed them has gone.
const TABLES_STAY: Duration = Duration::from_secs(1);

/// By then, in ticks of 20 ms, the kernel has nearly always removed the links of a container that has ended.
const SOON: u32 = 4;

/// What the child does and needs.
struct Errand {
    descriptors: Vec<OwnedFd>,
    gone: Option<Gone>,
    tables: Option<Owner>,
    /// Everything that the child holds, in order.
    open: Vec<RawFd>,
    /// A pipe that ends with the parent.
    end: Option<OwnedFd>,
}

/// Starts the child and ends this process; returns only if there can be no child.
///
/// The child has this process's memory, not a copy of it: that takes half the time to make, and this
/// process need not take it down at its end. So the child touches nothing before that, and from the clone on this
/// one does nothing but end. The child holds no other descriptor than it needs: no lock, no pipe to whoever reads
/// this process's output.
fn after_exit(mut errand: Errand, status: u8, interrupted: bool) {
    let Ok((reader, writer)) = pipe2(OFlag::O_CLOEXEC) else { return };
    let ours = errand.descriptors.iter().map(AsRawFd::as_raw_fd);
    let entry = errand.gone.iter().flat_map(Gone::descriptors);
    let tables = errand.tables.iter().map(Owner::descriptor);
    errand.open = ours.chain(entry).chain(tables).chain([reader.as_raw_fd()]).collect();
    errand.open.sort_unstable();
    errand.end = Some(reader);
    // Where this process leads a terminal's session, its end hangs up the child.
    let _ = SigSet::all().thread_block();
    let mut stack = Vec::<u128>::with_capacity(STACK / size_of::<u128>());
    let top = stack.spare_capacity_mut().as_mut_ptr_range().end;
    let flags = libc::CLONE_VM | libc::SIGCHLD;
    // SAFETY: the stack's end is that of a block of STACK bytes, aligned to 16. Stack, errand and writer are
    // neither moved nor dropped before this process ends, and the memory outlives it in the child, which reads
    // the errand's list of descriptors and nothing else before the pipe's end tells it that this process has
    // ended, wherever it is killed.
    let pid = unsafe { libc::clone(run, top.cast(), flags, (&raw mut errand).cast()) };
    if pid > 0 {
        end(status, interrupted)
    }
    drop(writer);
}

/// Ends this process without running a destructor: by SIGINT, unless that is ignored, or with this status.
fn end(status: u8, interrupted: bool) -> ! {
    // SAFETY: an empty set is one, and initialised by the first call; `_exit` takes any status. What is at its
    // default action here has been so all the time: nothing handles a signal.
    unsafe {
        if interrupted {
            let mut interrupt: libc::sigset_t = mem::zeroed();
            libc::sigemptyset(&raw mut interrupt);
            libc::sigaddset(&raw mut interrupt, libc::SIGINT);
            libc::kill(libc::getpid(), libc::SIGINT);
            libc::sigprocmask(libc::SIG_UNBLOCK, &raw const interrupt, ptr::null_mut());
        }
        libc::_exit(i32::from(status))
    }
}

/// Who launches next takes the tables' owner from the child. Without that word it waits for the child's end.
fn hand_on(errand: &Errand) {
    if let (Some(tables), Some(gone)) = (&errand.tables, &errand.gone)
        && let Ok(guarding) = tables.guarding()
    {
        let _ = gone.hand_on(guarding);
    }
}

extern "C" fn run(errand: *mut libc::c_void) -> libc::c_int {
    // SAFETY: it is the parent's errand, which nobody uses any more once the parent has ended; until then
    // this only reads it.
    let errand = unsafe { &mut *errand.cast::<Errand>() };
    close_all_but(&errand.open);
    if let Some(end) = &errand.end {
        wait_for_end(end);
    }
    hand_on(errand);
    errand.descriptors.clear();
    let begin = Instant::now();
    if let Some(gone) = errand.gone.take() {
        forget_when_vanished(&gone);
        if let Some(tables) = errand.tables.take() {
            thread::sleep(TABLES_STAY.saturating_sub(begin.elapsed()));
            // What fails is left to the next command.
            let _ = take_tables_away(tables, &gone);
        }
    }
    // SAFETY: ends the child without running anything of the parent's.
    unsafe { libc::_exit(0) }
}

/// Some tens of milliseconds, as a rule. Who keeps the container's network namespace keeps the links: what comes
/// by them is dropped since the table lacks them; soon they are down and without addresses, and after two
/// seconds they are removed by force.
fn forget_when_vanished(gone: &Gone) {
    for tick in 0..100 {
        thread::sleep(Duration::from_millis(20));
        if let Ok(false) = link::any_left(gone.record()) {
            let _ = gone.forget();
            return;
        }
        if tick == SOON {
            // The next command tries again.
            let _ = link::silence(gone.record());
        }
    }
    if link::remove(gone.record()).is_empty() {
        let _ = gone.forget();
    }
}

/// Unless somebody has come since, who will do it in turn: the word that was left last is not of this child. That
/// is asked first without the lock: who has it may wait for this child's end.
fn take_tables_away(tables: Owner, gone: &Gone) -> Result<(), Box<dyn std::error::Error>> {
    let own = Some(tables.guarding()?);
    if gone.keeper()? != own {
        return Ok(());
    }
    let (lock, host) = (gone.lock()?, gone.record().host);
    if lock.keeper(host) == own {
        network::sweep_tables(Some(tables), &lock, host, &gone.others()?)?;
    }
    Ok(())
}

/// `kept` is in order. A kernel without `close_range(2)` (before 5.9) has not launched a container.
fn close_all_but(kept: &[RawFd]) {
    let mut first = 0;
    for &fd in kept {
        close_range(first, fd - 1);
        first = fd + 1;
    }
    close_range(first, RawFd::MAX);
}

fn close_range(first: RawFd, last: RawFd) {
    if first <= last {
        // SAFETY: numbers only; in this child nobody uses the descriptors that it closes.
        unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    }
}

fn wait_for_end(reader: &OwnedFd) {
    let mut byte = [0];
    while let Err(Errno::EINTR) = nix::unistd::read(reader, &mut byte) {}
}
