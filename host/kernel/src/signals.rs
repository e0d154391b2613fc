//! The launcher's signals: blocked and read from a descriptor, so that none is lost between clone
//! and exec and no handler ever runs.

#![expect(unsafe_code, reason = "sigaction")]

use nix::sys::{
    signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction},
    signalfd::{SfdFlags, SignalFd},
};

use crate::Error;

/// What is passed on to the command.
const FORWARDED: [Signal; 9] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGCONT,
    Signal::SIGWINCH,
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

/// The signals that wait to be passed on. Dropped, they have their usual effect again.
pub struct Signals {
    descriptor: SignalFd,
    blocked: SigSet,
}

impl Signals {
    /// From here on signals wait.
    pub fn block() -> Result<Self, Error> {
        let failed = |errno| Error::new("block signals", "launcher", errno);
        let mut read = SigSet::empty();
        FORWARDED.into_iter().for_each(|signal| read.add(signal));
        let mut blocked = read;
        // Writing to a pipe or terminal that is gone is an error to handle, not a reason to die.
        blocked.add(Signal::SIGPIPE);
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let descriptor = SignalFd::with_flags(&read, flags).map_err(failed)?;
        blocked.thread_block().map_err(failed)?;
        Ok(Signals { descriptor, blocked })
    }

    /// The next signal that waits.
    pub(crate) fn next(&self) -> Option<Signal> {
        let info = self.descriptor.read_signal().ok()??;
        Signal::try_from(info.ssi_signo as i32).ok()
    }

    pub(crate) fn descriptor(&self) -> &SignalFd {
        &self.descriptor
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        let _ = self.blocked.thread_unblock();
    }
}
