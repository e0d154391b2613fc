//! The pseudo-terminal between the operator and an interactive command (`pty(7)`).
//!
//! The container never gets the operator's own terminal: with it, a command could push characters
//! into the operator's shell (TIOCSTI, CVE-2017-5226) or read what is typed there later.

#![expect(unsafe_code, reason = "terminal ioctls")]

use std::{
    io::IsTerminal,
    mem,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
};

use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    pty::{grantpt, posix_openpt, unlockpt},
    sys::{
        epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
        signal::Signal,
        termios::{self, LocalFlags, SetArg, SpecialCharacterIndices, Termios},
    },
    unistd::{Pid, getpgrp, read, tcgetpgrp, write},
};

use crate::Error;

/// A pseudo-terminal, and the operator's terminal that it stands in for.
///
/// The operator's terminal belongs to whoever has its foreground (`setpgid(2)`), and its settings to whoever has set
/// them last. So this process takes keys, and sets the terminal, only in the foreground, and puts back only what is
/// still as it was set here.
pub struct Terminal {
    controller: OwnedFd,
    /// Until the container has it.
    container_end: Option<OwnedFd>,
    /// Which of standard input, output and error are the operator's terminal.
    replaces: [bool; 3],
    /// What the container's end was set to, and whether that is what the operator's was.
    given: Option<(Termios, bool)>,
    /// Whether keys are the command's as soon as this process has the foreground.
    wanted: bool,
    /// Whether there are no more of them.
    left: bool,
    held: Option<Held>,
    stirring: Option<Epoll>,
}

/// The operator's terminal while every key is passed on.
struct Held {
    /// Its settings before, to be put back.
    before: Termios,
    /// What they were set to.
    raw: Termios,
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
        // What there was to read may have been read when it comes to that.
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let controller = posix_openpt(flags).map_err(failed("open"))?;
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
        let mut terminal = Terminal {
            controller,
            container_end: Some(container_end),
            replaces,
            given: None,
            // Where input or output is elsewhere, the keys may be another's: a pager's, say, at the other end of the
            // pipe, which sets the terminal itself and puts back what it has found.
            wanted: replaces[0] && replaces[1],
            left: false,
            held: None,
            stirring: None,
        };
        terminal.copy_size();
        let settings = termios::tcgetattr(terminal.operator()).ok();
        // In the background it is as a shell's editor has it, or whoever else is in the foreground.
        terminal.give(settings.filter(|settings| terminal.has_foreground() && is_canonical(settings)));
        Ok(Some(terminal))
    }

    /// Gives the container's end to its root, so that it can be opened anew there.
    pub fn give_to(&self, user: u32) -> Result<(), Error> {
        let Some(end) = &self.container_end else { return Ok(()) };
        std::os::unix::fs::fchown(end, Some(user), None)
            .map_err(|e| Error::new("change owner", "pseudo-terminal", e))
    }

    /// Sees whose the keys are, and takes them if they are the command's: then every one of them is passed on.
    ///
    /// Where input or output is elsewhere, they are so when the command has set its own terminal to take them one by
    /// one, or somebody has typed a line that nobody else has taken.
    pub(crate) fn look(&mut self) {
        if !self.has_foreground() {
            // Whoever has it sets it.
            self.held = None;
            return;
        }
        let Ok(settings) = termios::tcgetattr(self.operator()) else { return };
        if self.held.as_ref().is_some_and(|held| are_same(&held.raw, &settings)) {
            return;
        }
        self.held = None;
        let lines = is_canonical(&settings);
        self.wanted = self.wanted || self.is_set_inside() || (self.replaces[0] && lines && self.has_keys());
        if self.wanted && (lines || (self.replaces[0] && self.replaces[1])) && self.may_read() {
            self.take(settings);
        }
    }

    fn take(&mut self, before: Termios) {
        // Lines that are complete are read as such: the end of input is no key.
        while is_canonical(&before) && self.has_keys() {
            let mut line = [0; 4096];
            let Ok(length) = read(self.operator(), &mut line) else { break };
            let end = [before.control_chars[SpecialCharacterIndices::VEOF as usize]];
            let typed = if length == 0 { &end[..] } else { &line[..length] };
            if write(&self.controller, typed).is_err() {
                break;
            }
        }
        let mut raw = before.clone();
        termios::cfmakeraw(&mut raw);
        if !self.replaces[1] {
            // What is printed at the other end of a pipe is not made for a raw terminal.
            raw.output_flags = before.output_flags;
        }
        if termios::tcsetattr(self.operator(), SetArg::TCSADRAIN, &raw).is_err() {
            return;
        }
        let Ok(raw) = termios::tcgetattr(self.operator()) else { return };
        if !self.is_set_inside() && matches!(self.given, Some((_, false))) {
            self.give(Some(before.clone()));
        }
        self.held = Some(Held { before, raw });
    }

    /// Gives the operator's terminal back as it was, until the next look.
    pub(crate) fn put_back(&mut self) {
        let Some(held) = self.held.take() else { return };
        let settings = termios::tcgetattr(self.operator());
        if self.has_foreground() && settings.is_ok_and(|settings| are_same(&held.raw, &settings)) {
            let _ = termios::tcsetattr(self.operator(), SetArg::TCSADRAIN, &held.before);
        }
    }

    /// Takes no keys any more.
    pub(crate) fn leave_keys(&mut self) {
        self.put_back();
        self.left = true;
    }

    /// Whether keys are passed on.
    pub(crate) fn takes_keys(&self) -> bool {
        self.held.is_some()
    }

    /// Whether a process in the background must not write to the operator's terminal, and this is one.
    pub(crate) fn is_silenced(&self) -> bool {
        self.held.is_none()
            && tcgetpgrp(self.operator()).is_ok_and(|group| group != getpgrp())
            && termios::tcgetattr(self.operator())
                .is_ok_and(|settings| settings.local_flags.contains(LocalFlags::TOSTOP))
    }

    /// From here on [`Terminal::stirring`] tells. What fails leaves it to SIGCONT to tell, as most shells send it.
    pub(crate) fn watch(&mut self) {
        if self.stirring.is_some() {
            return;
        }
        let Ok(epoll) = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC) else { return };
        // Writable: it always is, so that every edge is told. What is on the terminal is not looked at.
        let edges = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
        if epoll.add(self.operator(), EpollEvent::new(edges, 0)).is_ok() {
            self.stirring = Some(epoll);
        }
    }

    /// Readable when something has happened to the operator's terminal: somebody has typed, printed, or set it. The
    /// kernel tells nobody that he has got the foreground, but who gives it does one of these.
    pub(crate) fn stirring(&self) -> Option<BorrowedFd<'_>> {
        self.stirring.as_ref().map(|epoll| epoll.0.as_fd())
    }

    /// Takes note of what has happened.
    pub(crate) fn settle(&self) {
        if let Some(epoll) = &self.stirring {
            let _ = epoll.wait(&mut [EpollEvent::empty()], EpollTimeout::ZERO);
        }
    }

    /// Whether the operator's terminal is gone.
    pub(crate) fn has_hung_up(&self) -> bool {
        self.events(PollFlags::empty()).contains(PollFlags::POLLHUP)
    }

    /// Whether reading keys does not wait.
    pub(crate) fn has_keys(&self) -> bool {
        self.may_read() && self.events(PollFlags::POLLIN).contains(PollFlags::POLLIN)
    }

    fn events(&self, wanted: PollFlags) -> PollFlags {
        let mut operator = [PollFd::new(self.operator(), wanted)];
        match poll(&mut operator, PollTimeout::ZERO) {
            Ok(1..) => operator[0].revents().unwrap_or(PollFlags::empty()),
            _ => PollFlags::empty(),
        }
    }

    fn may_read(&self) -> bool {
        if self.left {
            return false;
        }
        let flags = fcntl(self.operator(), FcntlArg::F_GETFL).map(OFlag::from_bits_retain);
        flags.is_ok_and(|flags| flags & OFlag::O_ACCMODE != OFlag::O_WRONLY)
    }

    /// Of a terminal that is not this session's, nobody here can tell who has it: it is another's.
    fn has_foreground(&self) -> bool {
        matches!(tcgetpgrp(self.operator()), Ok(group) if group == getpgrp())
    }

    /// Sets the container's end as the operator's terminal is, or leaves it as the kernel makes it.
    fn give(&mut self, settings: Option<Termios>) {
        if let Some(settings) = &settings {
            let _ = termios::tcsetattr(&self.controller, SetArg::TCSANOW, settings);
        }
        self.given = termios::tcgetattr(&self.controller).ok().map(|given| (given, settings.is_some()));
    }

    /// Whether somebody in the container has changed how keys are taken and shown.
    fn is_set_inside(&self) -> bool {
        let manner = LocalFlags::ICANON | LocalFlags::ECHO;
        let (Some((given, _)), Ok(now)) = (&self.given, termios::tcgetattr(&self.controller)) else {
            return false;
        };
        given.local_flags & manner != now.local_flags & manner
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

    /// The signal that the kernel makes of one of these keys (`termios(3)`, ISIG).
    pub(crate) fn signal_of(&self, keys: &[u8]) -> Option<Signal> {
        let settings = termios::tcgetattr(&self.controller).ok()?;
        if !settings.local_flags.contains(LocalFlags::ISIG) {
            return None;
        }
        let typed = |character: SpecialCharacterIndices| {
            let key = settings.control_chars[character as usize];
            key != 0 && keys.contains(&key)
        };
        let signals = [
            (SpecialCharacterIndices::VINTR, Signal::SIGINT),
            (SpecialCharacterIndices::VQUIT, Signal::SIGQUIT),
            (SpecialCharacterIndices::VSUSP, Signal::SIGTSTP),
        ];
        signals.into_iter().find_map(|(character, signal)| typed(character).then_some(signal))
    }

    /// The process group to which the kernel sends what it makes of keys in the container.
    pub(crate) fn foreground_inside(&self) -> Option<Pid> {
        tcgetpgrp(&self.controller).ok().filter(|group| group.as_raw() > 0)
    }

    /// Sends it a signal as a key does.
    pub(crate) fn signal_inside(&self, signal: Signal) {
        // TIOCSIG, which libc does not have.
        let request = nix::request_code_write!(b'T', 0x36, mem::size_of::<libc::c_int>());
        // SAFETY: a terminal's controller, and the number of a signal.
        unsafe { libc::ioctl(self.controller.as_raw_fd(), request as _, signal as libc::c_int) };
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
        self.put_back();
    }
}

/// Whether keys come as lines.
fn is_canonical(settings: &Termios) -> bool {
    settings.local_flags.contains(LocalFlags::ICANON)
}

/// By what the kernel knows: the C library's structure has room for more.
fn are_same(one: &Termios, other: &Termios) -> bool {
    let known = |settings: &Termios| {
        let keys = settings.control_chars;
        let flags =
            (settings.input_flags, settings.output_flags, settings.control_flags, settings.local_flags);
        (flags, keys.first_chunk::<17>().copied())
    };
    known(one) == known(other)
}
