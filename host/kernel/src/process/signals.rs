//! The launcher's signals: blocked and read from a descriptor, so that none is lost between clone
//! and exec and no handler ever runs.

#![expect(unsafe_code, reason = "sigaction and sigpending")]

use std::{mem::MaybeUninit, ptr};

use nix::{
    sys::{
        signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction},
        signalfd::{SfdFlags, SignalFd},
    },
    unistd::Pid,
};

use crate::Error;

/// What is passed on to the command.
const FORWARDED: [Signal; 10] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGCONT,
    Signal::SIGWINCH,
    Signal::SIGTSTP,
];

/// Puts right what a parent may have left to this process: ignored SIGCHLD would have the kernel throw away
/// how children ended. And a limit on file sizes is an error to tell, not a reason to die.
pub fn settle() {
    let set = |signal, handler| {
        let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
        // SAFETY: no handler of ours is installed; a process before its first child relies on neither.
        // These two signals have actions that can be set, so it cannot fail.
        let _ = unsafe { sigaction(signal, &action) };
    };
    set(Signal::SIGCHLD, SigHandler::SigDfl);
    set(Signal::SIGXFSZ, SigHandler::SigIgn);
}

/// A signal to this process.
pub(crate) struct Received {
    pub(crate) signal: Signal,
    /// Not from a process: by a key of the terminal, say, and then to this process's whole group.
    pub(crate) by_kernel: bool,
}

/// The signals that wait to be passed on. Dropped, they have their usual effect again.
///
/// What was ignored when this process was started stays so, for it and for the command: whoever says `nohup`,
/// or a shell that puts something into the background, means both.
pub struct Signals {
    descriptor: SignalFd,
    read: SigSet,
    blocked: SigSet,
    ignored: SigSet,
}

impl Signals {
    /// From here on signals wait.
    pub fn block() -> Result<Self, Error> {
        let (mut read, mut ignored) = (SigSet::empty(), SigSet::empty());
        for signal in FORWARDED {
            // Ignoring them changes nothing about what these do.
            let always = matches!(signal, Signal::SIGCONT | Signal::SIGWINCH);
            let set = if !always && is_ignored(signal) { &mut ignored } else { &mut read };
            set.add(signal);
        }
        let mut blocked = read;
        // Writing to a pipe or terminal that is gone is an error to handle, not a reason to die.
        blocked.add(Signal::SIGPIPE);
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let descriptor = SignalFd::with_flags(&read, flags).map_err(failed)?;
        blocked.thread_block().map_err(failed)?;
        Ok(Signals { descriptor, read, blocked, ignored })
    }

    /// The signals that the command ignores from the beginning, bit N-1 for signal N. To stop is not among them:
    /// its terminal is another one, on which somebody can let it go on.
    pub fn ignored(&self) -> u64 {
        let inherited = self.ignored.iter().filter(|signal| *signal != Signal::SIGTSTP);
        inherited.fold(0, |mask, signal| mask | 1 << (signal as i32 - 1))
    }

    /// Has the end and the stopping of children told, too.
    pub(crate) fn tell_of_children(&mut self) -> Result<(), Error> {
        self.read.add(Signal::SIGCHLD);
        self.blocked.add(Signal::SIGCHLD);
        self.blocked.thread_block().map_err(failed)?;
        self.descriptor.set_mask(&self.read).map_err(failed)
    }

    /// The next signal that waits.
    pub(crate) fn next(&self) -> Option<Received> {
        let info = self.descriptor.read_signal().ok()??;
        let signal = Signal::try_from(info.ssi_signo as i32).ok()?;
        Some(Received { signal, by_kernel: info.ssi_code == libc::SI_KERNEL })
    }

    pub(crate) fn descriptor(&self) -> &SignalFd {
        &self.descriptor
    }

    /// Whether such a signal may stop this process.
    pub(crate) fn may_stop_for(&self, signal: Signal) -> bool {
        !is_ignored(signal)
    }

    /// Stops this process, or its whole group, until somebody lets it go on. Returns whether it was: where nobody could
    /// let it go on, in an orphaned group, the kernel does not stop it, and at once it goes on here.
    pub(crate) fn stop(&self, signal: Signal, whom: Pid) -> bool {
        let mut alone = SigSet::empty();
        alone.add(signal);
        let _ = alone.thread_unblock();
        let _ = kill(whom, signal);
        if self.blocked.contains(signal) {
            let _ = alone.thread_block();
        }
        is_pending(Signal::SIGCONT)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        let _ = self.blocked.thread_unblock();
    }
}

fn failed(errno: nix::errno::Errno) -> Error {
    Error::new("block signals", "launcher", errno)
}

fn is_ignored(signal: Signal) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: asks only; a sigaction of zeroes is one (SIG_DFL), and writable.
    unsafe {
        libc::sigaction(signal as i32, ptr::null(), action.as_mut_ptr());
        action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}

fn is_pending(signal: Signal) -> bool {
    let mut pending = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: a sigset of zeroes is one, and writable.
    unsafe {
        libc::sigpending(pending.as_mut_ptr());
        libc::sigismember(pending.as_ptr(), signal as i32) == 1
    }
}
