//! The pseudo-terminal between the operator and an interactive command (`pty(7)`).
//!
//! The container never gets the operator's own terminal: with it, a command could push characters
//! into the operator's shell (TIOCSTI, CVE-2017-5226) or read what is typed there later.

#![expect(unsafe_code, reason = "terminal ioctls")]

use std::{
    io::IsTerminal,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
};

use nix::{
    fcntl::OFlag,
    pty::{grantpt, posix_openpt, unlockpt},
    sys::{
        signal::Signal,
        termios::{self, LocalFlags, SetArg, SpecialCharacterIndices, Termios},
    },
    unistd::{Pid, getpgrp, tcgetpgrp},
};

use crate::Error;

/// A pseudo-terminal, and the operator's terminal that it stands in for.
pub struct Terminal {
    controller: OwnedFd,
    /// Until the container has it.
    container_end: Option<OwnedFd>,
    /// Which of standard input, output and error are the operator's terminal.
    replaces: [bool; 3],
    saved: Option<Termios>,
}

impl Terminal {
    /// A pseudo-terminal of the operator's size and settings; `None` where none of the three
    /// standard descriptors is a terminal.
    pub fn for_operator() -> Result<Option<Terminal>, Error> {
        let replaces = [
            std::io::stdin().is_terminal(),
            std::io::stdout().is_terminal(),
            std::io::stderr().is_terminal(),
        ];
        if replaces == [false; 3] {
            return Ok(None);
        }
        let failed = |what: &'static str| move |errno| Error::new(what, "pseudo-terminal", errno);
        let controller =
            posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).map_err(failed("open"))?;
        grantpt(&controller).map_err(failed("grant"))?;
        unlockpt(&controller).map_err(failed("unlock"))?;
        // Without going through a path in /dev/pts that somebody may have exchanged (CVE-2025-52565).
        // SAFETY: the controller is open; the argument is a set of open(2) flags.
        let fd = unsafe {
            libc::ioctl(
                controller.as_raw_fd(),
                libc::TIOCGPTPEER,
                libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC,
            )
        };
        if fd < 0 {
            return Err(Error::last("open", "pseudo-terminal"));
        }
        // SAFETY: a new fd that nobody else owns.
        let container_end = unsafe { OwnedFd::from_raw_fd(fd) };
        let controller = OwnedFd::from(controller);
        let terminal = Terminal { controller, container_end: Some(container_end), replaces, saved: None };
        terminal.copy_size();
        if let Ok(settings) = termios::tcgetattr(terminal.operator()) {
            let _ = termios::tcsetattr(&terminal.controller, SetArg::TCSANOW, &settings);
        }
        Ok(Some(terminal))
    }

    /// Gives the container's end to its root, so that it can be opened anew there.
    pub fn give_to(&self, user: u32) -> Result<(), Error> {
        let Some(end) = &self.container_end else { return Ok(()) };
        std::os::unix::fs::fchown(end, Some(user), None)
            .map_err(|e| Error::new("change owner", "pseudo-terminal", e))
    }

    /// Passes every key to the container from now on, if this process has the terminal's foreground.
    pub(crate) fn raw(&mut self) {
        if !self.replaces[0] || !matches!(tcgetpgrp(self.operator()), Ok(group) if group == getpgrp()) {
            return;
        }
        let Ok(settings) = termios::tcgetattr(self.operator()) else { return };
        let mut raw = settings.clone();
        termios::cfmakeraw(&mut raw);
        if termios::tcsetattr(self.operator(), SetArg::TCSADRAIN, &raw).is_ok() {
            self.saved = Some(settings);
        }
    }

    /// Whether keys are passed on.
    pub(crate) fn is_raw(&self) -> bool {
        self.saved.is_some()
    }

    /// The operator's window has a new size.
    pub(crate) fn copy_size(&self) {
        let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: both are terminals; `size` is a winsize. A terminal without a size keeps none.
        unsafe {
            if libc::ioctl(self.operator().as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) == 0 {
                libc::ioctl(self.controller.as_raw_fd(), libc::TIOCSWINSZ, &raw const size);
            }
        }
    }

    /// The signal that the kernel makes of one of these keys (`termios(3)`, ISIG), where it goes to the
    /// process group that `leader` leads.
    pub(crate) fn interrupt(&self, keys: &[u8], leader: Pid) -> Option<Signal> {
        let settings = termios::tcgetattr(&self.controller).ok()?;
        if !settings.local_flags.contains(LocalFlags::ISIG) || tcgetpgrp(&self.controller) != Ok(leader) {
            return None;
        }
        let typed = |character: SpecialCharacterIndices| {
            let key = settings.control_chars[character as usize];
            key != 0 && keys.contains(&key)
        };
        let signals = [
            (SpecialCharacterIndices::VINTR, Signal::SIGINT),
            (SpecialCharacterIndices::VQUIT, Signal::SIGQUIT),
        ];
        signals.into_iter().find_map(|(character, signal)| typed(character).then_some(signal))
    }

    /// Where keys are written to and output is read from.
    pub(crate) fn controller(&self) -> BorrowedFd<'_> {
        self.controller.as_fd()
    }

    /// Where output goes: the operator's terminal.
    pub(crate) fn operator(&self) -> BorrowedFd<'static> {
        let fd =
            (0..).zip(self.replaces).find_map(|(fd, is_terminal)| is_terminal.then_some(fd)).unwrap_or(0);
        // SAFETY: the standard descriptors stay open for the life of this process.
        unsafe { BorrowedFd::borrow_raw(fd) }
    }

    pub(crate) fn container_end(&self) -> Option<RawFd> {
        self.container_end.as_ref().map(AsRawFd::as_raw_fd)
    }

    pub(crate) fn replaces(&self) -> [bool; 3] {
        self.replaces
    }

    /// Lets go of the container's end, so that reading ends when the last process there does.
    pub(crate) fn close_container_end(&mut self) {
        self.container_end = None;
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(settings) = &self.saved {
            let _ = termios::tcsetattr(self.operator(), SetArg::TCSADRAIN, settings);
        }
    }
}
