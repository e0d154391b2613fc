//! The launcher's signals: blocked and read from a descriptor, so that none is lost between clone
//! and exec and no handler ever runs.

use nix::sys::{
    signal::{SigSet, Signal},
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

/// The signals that wait to be passed on.
pub struct Signals(SignalFd);

impl Signals {
    /// From here on signals wait.
    pub fn block() -> Result<Self, Error> {
        let failed = |errno| Error::new("block signals", "launcher", errno);
        let mut set = SigSet::empty();
        FORWARDED.into_iter().for_each(|signal| set.add(signal));
        // Writing to a pipe or terminal that is gone is an error to handle, not a reason to die.
        set.add(Signal::SIGPIPE);
        set.thread_block().map_err(failed)?;
        set.remove(Signal::SIGPIPE);
        Ok(Signals(
            SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map_err(failed)?,
        ))
    }

    /// The next signal that waits.
    pub(crate) fn next(&self) -> Option<Signal> {
        let info = self.0.read_signal().ok()??;
        Signal::try_from(info.ssi_signo as i32).ok()
    }

    pub(crate) fn descriptor(&self) -> &SignalFd {
        &self.0
    }
}
