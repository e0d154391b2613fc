//! Waits for the command: passes on signals, keys and output.

use std::{
    fs,
    os::fd::AsFd,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{Signal, killpg},
        wait::{Id, WaitPidFlag, WaitStatus, waitid},
    },
    unistd::{Pid, getpid, read, write},
};

use crate::{
    Error,
    process::{
        container::{End, Running},
        memory, pidfd,
        signals::{Received, Signals},
        terminal::Terminal,
    },
};

/// What came of one look at the terminal's side.
#[derive(PartialEq)]
enum Flow {
    Open,
    /// The side that was read has ended.
    Ended,
    /// The side that was written to is gone.
    Refused,
}

/// What a container may have printed and nobody has read when it ends: some times what a terminal holds.
/// What comes after that is from processes that outlive it.
const LAST_WORDS: usize = 1 << 20;

/// What is read at once, in bytes.
const BUFFER: usize = 4096;

/// What becomes of a signal to the first process.
#[derive(PartialEq)]
enum Reach {
    Arrives,
    /// It is blocked now, and has the default action.
    Held,
    /// The kernel throws it away.
    Lost,
}

/// What was done to the first process, and what is still to be seen.
#[derive(Default)]
struct Fate {
    /// It was killed in place of this signal, which it would not have got.
    killed_for: Option<Signal>,
    held: Option<HeldBack>,
}

/// A signal that was blocked when it was sent.
struct HeldBack {
    signal: Signal,
    /// Until when to look whether it still is.
    until: Instant,
    /// Whether it is to be sent again, since the kernel has made one of it and one that pended. That may be another's:
    /// a reaper takes the kernel's hangup of its terminal for no more than that.
    again: bool,
}

/// A process that blocks a signal for longer means to. By the clock, and not by how often was looked: each line that
/// the container prints is an occasion.
const HELD_BACK: Duration = Duration::from_secs(2);

/// A command that runs for longer than this is waited for with as little memory as possible, in ms.
const SHORT: u8 = 100;

/// How long output may take that is on its way already, in ms.
const ON_ITS_WAY: u8 = 20;

/// This process's whole group, as `kill(2)` has it.
const OWN_GROUP: Pid = Pid::from_raw(0);

/// Waits for the container's end.
pub fn until_end(running: &Running, signals: &mut Signals, terminal: Option<Terminal>) -> Result<End, Error> {
    if terminal.is_some() {
        signals.tell_of_children()?;
    }
    let mut wait = Wait { running, signals, fate: Fate::default(), settled: false };
    match terminal {
        None => wait.while_running()?,
        Some(mut terminal) => {
            terminal.close_container_end();
            wait.relay_while_running(terminal)?;
        }
    }
    let end = running.collect()?;
    // A first process that we had to kill for a signal that it did not handle ended by that signal.
    Ok(match (end, wait.fate.killed_for) {
        (End::Killed(Signal::SIGKILL), Some(signal)) => End::Killed(signal),
        (end, _) => end,
    })
}

/// The waiting for a container's end.
struct Wait<'a> {
    running: &'a Running,
    signals: &'a Signals,
    fate: Fate,
    /// Whether it has become a long one.
    settled: bool,
}

impl Wait<'_> {
    fn while_running(&mut self) -> Result<(), Error> {
        loop {
            let mut wanted = [
                PollFd::new(self.running.pidfd.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.signals.descriptor().as_fd(), PollFlags::POLLIN),
            ];
            self.wait_for(&mut wanted, false)?;
            self.look_again()?;
            let [ended, signalled] = wanted.map(|fd| fd.any().unwrap_or(false));
            if ended {
                return Ok(());
            }
            if signalled {
                self.pass_on_signals(None)?;
            }
        }
    }

    fn relay_while_running(&mut self, mut terminal: Terminal) -> Result<(), Error> {
        let (mut last_words, mut looking) = (LAST_WORDS, true);
        terminal.look();
        loop {
            let (keys, keyboard) = (terminal.takes_keys(), terminal.operator());
            // What happens to a terminal is looked at when it has come to rest.
            let watching = !keys && !looking;
            if watching {
                terminal.watch();
            }
            let signal = self.signals.descriptor().as_fd();
            let stopped = self.running.stopped.as_ref().map_or(signal, AsFd::as_fd);
            let stirring = terminal.stirring().filter(|_| watching).unwrap_or(signal);
            let mut wanted = [
                PollFd::new(self.running.pidfd.as_fd(), PollFlags::POLLIN),
                PollFd::new(signal, PollFlags::POLLIN),
                PollFd::new(terminal.controller(), PollFlags::POLLIN),
                PollFd::new(stopped, PollFlags::POLLIN),
                // Whatever is asked for, a terminal that has hung up is reported for ever: what is not read
                // any more must not be among these.
                PollFd::new(if keys { keyboard } else { stirring }, PollFlags::POLLIN),
            ];
            let rested = self.wait_for(&mut wanted, looking && !keys)?;
            self.look_again()?;
            let [ended, signalled, printed, stopped, stirred] = wanted.map(|fd| fd.any().unwrap_or(false));
            if signalled && !ended {
                self.pass_on_signals(Some(&mut terminal))?;
            }
            if stopped && let Some(stopped) = &self.running.stopped {
                // Else it has been let go on already.
                if stopped.read().is_ok() && terminal.takes_keys() {
                    self.stop_with(&mut terminal, Signal::SIGTSTP)?;
                }
            }
            let output = if printed { self.pass_output(&mut terminal)? } else { Flow::Open };
            if !keys && (looking || stirred) {
                terminal.look();
            }
            looking = match looking {
                true => !rested,
                // Its settings may be about to change, too.
                false => !keys && (stirred || printed),
            };
            if stirred && !keys {
                terminal.settle();
            }
            if stirred && keys {
                // Somebody else may have got the terminal without a word, and what was there may have been read.
                terminal.look();
                if terminal.takes_keys() && terminal.has_keys() {
                    self.type_in(&mut terminal)?;
                }
            }
            last_words = if ended { last_words.saturating_sub(BUFFER) } else { LAST_WORDS };
            if ended && !(printed && output == Flow::Open && last_words > 0) {
                return Ok(());
            }
            if output == Flow::Refused || (stirred && terminal.has_hung_up()) {
                // The kernel tells the container's session, where reading then ends and writing fails: a command
                // that goes on would otherwise wait for ever for its output to be taken. Whom that ends is not
                // decided here: who wants this process to end with the terminal sends a signal.
                drop(terminal);
                return self.while_running();
            }
            // Nobody in the container has its terminal any more; what is left to wait for is the end.
            if output == Flow::Ended && !ended {
                return self.while_running();
            }
        }
    }

    /// Waits for any of the descriptors, or for a short time; returns whether that has passed.
    fn wait_for(&mut self, wanted: &mut [PollFd<'_>], briefly: bool) -> Result<bool, Error> {
        let short = briefly || !self.settled || self.fate.held.is_some();
        let patience = if short { PollTimeout::from(SHORT) } else { PollTimeout::NONE };
        match poll(wanted, patience) {
            Ok(0) => {
                if !self.settled {
                    self.settled = true;
                    memory::give_back_program();
                }
                Ok(true)
            }
            Ok(_) | Err(Errno::EINTR) => Ok(false),
            Err(errno) => Err(Error::new("poll", "container", errno)),
        }
    }

    /// What the container prints, unless the terminal has it that who is in the background stops instead.
    fn pass_output(&mut self, terminal: &mut Terminal) -> Result<Flow, Error> {
        if terminal.is_silenced() && self.signals.may_stop_for(Signal::SIGTTOU) {
            self.stop_inside()?;
            let stopped = self.signals.stop(Signal::SIGTTOU, OWN_GROUP);
            self.let_go_on(terminal)?;
            if stopped {
                return Ok(Flow::Open);
            }
        }
        let flow = pass(terminal.controller(), terminal.operator());
        // A terminal that is there and refuses it, as it does in the background where nobody could be stopped for it.
        let is_there = flow == Flow::Refused && !terminal.has_hung_up();
        Ok(if is_there { Flow::Open } else { flow })
    }

    /// One read's worth of what the operator types. Of some keys the kernel makes a signal; but a first process that
    /// does not handle it would not even notice, so what the operator expects of it is done to it here.
    fn type_in(&mut self, terminal: &mut Terminal) -> Result<(), Error> {
        let mut buffer = [0; BUFFER];
        let keys = match take(terminal.operator(), &mut buffer) {
            Ok(keys) => keys,
            Err(Flow::Ended | Flow::Refused) => {
                terminal.leave_keys();
                return Ok(());
            }
            Err(Flow::Open) => return Ok(()),
        };
        let signal = terminal.signal_of(keys);
        let is_for_first = terminal.foreground_inside() == Some(self.running.pid);
        give(terminal.controller(), keys);
        match signal.filter(|_| is_for_first) {
            Some(Signal::SIGTSTP)
                if self.signals.may_stop_for(Signal::SIGTSTP) && self.takes_no(Signal::SIGTSTP) =>
            {
                self.stop_first();
                self.stop_with(terminal, Signal::SIGTSTP)
            }
            None | Some(Signal::SIGTSTP) => Ok(()),
            Some(signal) => self.reaches(signal).map(drop),
        }
    }

    /// Has this process and its group stopped by `signal` as a shell's job is, its terminal given back, and all go on
    /// when somebody lets them; what is in the container has been stopped before.
    fn stop_with(&mut self, terminal: &mut Terminal, signal: Signal) -> Result<(), Error> {
        self.give_back(terminal);
        // The keys came here in place of a signal to all of the group.
        if self.signals.stop(signal, OWN_GROUP) { Ok(()) } else { self.let_go_on(terminal) }
    }

    fn give_back(&self, terminal: &mut Terminal) {
        // What was typed is shown, or what a program leaves on the screen.
        let mut left = LAST_WORDS;
        let mut printed = [PollFd::new(terminal.controller(), PollFlags::POLLIN)];
        while left > 0 && poll(&mut printed, PollTimeout::from(ON_ITS_WAY)).is_ok_and(|ready| ready > 0) {
            left = match pass(terminal.controller(), terminal.operator()) {
                Flow::Open => left.saturating_sub(BUFFER),
                Flow::Ended | Flow::Refused => 0,
            };
        }
        terminal.put_back();
    }

    /// What was stopped here goes on, on a terminal that may have changed meanwhile.
    fn let_go_on(&self, terminal: &mut Terminal) -> Result<(), Error> {
        terminal.copy_size();
        terminal.look();
        if let Some(stopped) = &self.running.stopped {
            // What it tells is over.
            let _ = stopped.read();
        }
        self.signal_first(Signal::SIGCONT)
    }

    /// The first process's group is stopped, whatever it would say to another signal.
    fn stop_first(&self) {
        // It has ended, or does not lead a group yet: then there is nothing to stop.
        let _ = killpg(self.running.pid, Signal::SIGSTOP);
    }

    /// As a signal to stop does: who handles it, or hands it on as a reaper does, has it. The kernel would throw it away
    /// for one who does not.
    fn stop_inside(&self) -> Result<(), Error> {
        if self.takes_no(Signal::SIGTSTP) {
            self.stop_first();
            return Ok(());
        }
        pidfd::signal(&self.running.pidfd, libc::SIGTSTP)
    }

    /// As a shell lets a job go on, or the kernel tells of a key: to all of the first process's group.
    fn signal_first(&self, signal: Signal) -> Result<(), Error> {
        match killpg(self.running.pid, signal) {
            Ok(()) => Ok(()),
            // It does not lead one yet.
            Err(_) => pidfd::signal(&self.running.pidfd, signal as i32),
        }
    }

    fn pass_on_signals(&mut self, mut terminal: Option<&mut Terminal>) -> Result<(), Error> {
        while let Some(received) = self.signals.next() {
            match (received.signal, &mut terminal) {
                // The kernel tells the container's foreground itself when its terminal's size changes.
                (Signal::SIGWINCH, Some(terminal)) => terminal.copy_size(),
                (Signal::SIGWINCH, None) => pidfd::signal(&self.running.pidfd, libc::SIGWINCH)?,
                (Signal::SIGCONT, Some(terminal)) => self.let_go_on(terminal)?,
                (Signal::SIGCONT, None) => self.signal_first(Signal::SIGCONT)?,
                (Signal::SIGCHLD, Some(terminal)) => self.look_at_first(terminal)?,
                (Signal::SIGCHLD, None) => {}
                (Signal::SIGTSTP, terminal) => self.stop_for(&received, terminal.as_deref_mut())?,
                (_, terminal) => self.pass_on(&received, terminal.as_deref())?,
            }
        }
        Ok(())
    }

    /// Where the first process has been stopped and nobody inside could let it go on, nor anybody type anything: as of
    /// any child of a shell's, it is the operator's shell that has the terminal now.
    fn look_at_first(&mut self, terminal: &mut Terminal) -> Result<(), Error> {
        let look = WaitPidFlag::WSTOPPED | WaitPidFlag::WNOHANG;
        match waitid(Id::Pid(self.running.pid), look) {
            Ok(WaitStatus::Stopped(..)) if terminal.takes_keys() => {
                self.give_back(terminal);
                // It alone was stopped, so that this process is. Where it cannot be, somebody means the container.
                self.signals.stop(Signal::SIGTSTP, getpid());
                terminal.look();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// This process is to stop, and the container with it.
    fn stop_for(&mut self, received: &Received, terminal: Option<&mut Terminal>) -> Result<(), Error> {
        match self.job_inside(received, terminal.as_deref()) {
            Some(terminal) => terminal.signal_inside(Signal::SIGTSTP),
            None => self.stop_inside()?,
        }
        match terminal {
            Some(terminal) => {
                self.give_back(terminal);
                if !self.signals.stop(Signal::SIGTSTP, getpid()) {
                    self.let_go_on(terminal)?;
                }
            }
            None => {
                if !self.signals.stop(Signal::SIGTSTP, getpid()) {
                    self.signal_first(Signal::SIGCONT)?;
                }
            }
        }
        Ok(())
    }

    /// A PID namespace's first process gets no signal for which it has no handler, not even from outside
    /// (`pid_namespaces(7)`); for one whose default is to end the process, the operator expects the end.
    fn pass_on(&mut self, received: &Received, terminal: Option<&Terminal>) -> Result<(), Error> {
        if let Some(terminal) = self.job_inside(received, terminal) {
            terminal.signal_inside(received.signal);
        } else if self.reaches(received.signal)? {
            match is_key(received) {
                true => self.signal_first(received.signal)?,
                false => pidfd::signal(&self.running.pidfd, received.signal as i32)?,
            }
        }
        Ok(())
    }

    /// The container's terminal, where a key of the operator's made this signal, and in the container it would go to
    /// others than the first process's group: a shell's job.
    fn job_inside<'t>(&self, received: &Received, terminal: Option<&'t Terminal>) -> Option<&'t Terminal> {
        terminal.filter(|terminal| {
            is_key(received) && terminal.foreground_inside().is_some_and(|group| group != self.running.pid)
        })
    }

    /// Whether the first process gets such a signal, or might; else it is ended for it.
    fn reaches(&mut self, signal: Signal) -> Result<bool, Error> {
        let actions = Actions::of(self.running);
        match self.fate_of(signal, actions.as_ref()) {
            Reach::Arrives => Ok(true),
            Reach::Held => {
                let again = actions.is_some_and(|actions| actions.pending & bit(signal) != 0);
                self.fate.held = Some(HeldBack { signal, until: Instant::now() + HELD_BACK, again });
                Ok(true)
            }
            Reach::Lost => self.end_for(signal).map(|()| false),
        }
    }

    /// What was held back when it was sent may be thrown away when it is let through, as a shell does that forks
    /// at that moment: then it is lost after all.
    fn look_again(&mut self) -> Result<(), Error> {
        let Some(mut held) = self.fate.held.take() else { return Ok(()) };
        let actions = Actions::of(self.running);
        match self.fate_of(held.signal, actions.as_ref()) {
            Reach::Lost => self.end_for(held.signal),
            Reach::Held if Instant::now() < held.until => {
                if held.again && actions.is_some_and(|actions| actions.pending & bit(held.signal) == 0) {
                    pidfd::signal(&self.running.pidfd, held.signal as i32)?;
                    held.again = false;
                }
                self.fate.held = Some(held);
                Ok(())
            }
            Reach::Held | Reach::Arrives => Ok(()),
        }
    }

    fn fate_of(&self, signal: Signal, actions: Option<&Actions>) -> Reach {
        let Some(actions) = actions else { return Reach::Arrives };
        if !actions.is_first || (actions.caught | actions.ignored) & bit(signal) != 0 {
            Reach::Arrives
        } else if actions.blocked & bit(signal) != 0 {
            Reach::Held
        } else if is_waiting_for_signals(self.running) {
            Reach::Arrives
        } else {
            Reach::Lost
        }
    }

    fn end_for(&mut self, signal: Signal) -> Result<(), Error> {
        self.fate.killed_for = Some(signal);
        pidfd::signal(&self.running.pidfd, libc::SIGKILL)
    }

    /// Whether the first process has the default action for a signal that stops others. It leads a session, out of
    /// which nobody could let it go on: the kernel does not stop it, whatever its PID namespace.
    fn takes_no(&self, signal: Signal) -> bool {
        Actions::of(self.running).is_some_and(|actions| actions.is_default(signal))
    }
}

/// Whether a key of the operator's terminal made it, and so it went to everybody in this process's group.
fn is_key(received: &Received) -> bool {
    let makes = matches!(received.signal, Signal::SIGINT | Signal::SIGQUIT | Signal::SIGTSTP);
    makes && received.by_kernel
}

/// One read's worth of what the container prints.
fn pass(from: impl AsFd, to: impl AsFd) -> Flow {
    let mut buffer = [0; BUFFER];
    match take(from, &mut buffer) {
        Ok(bytes) => give(to, bytes),
        Err(flow) => flow,
    }
}

fn take(from: impl AsFd, buffer: &mut [u8]) -> Result<&[u8], Flow> {
    match read(from, buffer) {
        Ok(0) => Err(Flow::Ended),
        Ok(length) => Ok(&buffer[..length]),
        Err(Errno::EINTR | Errno::EAGAIN) => Err(Flow::Open),
        // EIO: no process has the container's end open any more.
        Err(_) => Err(Flow::Ended),
    }
}

fn give(to: impl AsFd, mut bytes: &[u8]) -> Flow {
    while !bytes.is_empty() {
        match write(&to, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::EINTR) => {}
            // Somebody else has made the operator's terminal one that does not wait: this does, in its place.
            Err(Errno::EAGAIN) => {
                let _ = poll(&mut [PollFd::new(to.as_fd(), PollFlags::POLLOUT)], PollTimeout::NONE);
            }
            Err(_) => return Flow::Refused,
        }
    }
    Flow::Open
}

/// What a process does with signals (`proc_pid_status(5)`).
struct Actions {
    caught: u64,
    ignored: u64,
    blocked: u64,
    pending: u64,
    /// Whether it is the first process of a PID namespace.
    is_first: bool,
}

impl Actions {
    fn of(running: &Running) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{}/status", running.pid())).ok()?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let mask = |name: &str| field(name).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or(0);
        // NSpid lists the pid in each nested namespace, the innermost last.
        let is_first =
            field("NSpid:").is_some_and(|pids| pids.split_whitespace().skip(1).last() == Some("1"));
        let (caught, ignored, blocked) = (mask("SigCgt:"), mask("SigIgn:"), mask("SigBlk:"));
        Some(Actions { caught, ignored, blocked, pending: mask("ShdPnd:"), is_first })
    }

    fn is_default(&self, signal: Signal) -> bool {
        (self.caught | self.ignored | self.blocked) & bit(signal) == 0
    }
}

fn bit(signal: Signal) -> u64 {
    1 << (signal as i32 - 1)
}

/// Whether it is in `sigwait(2)` or the like, during which the signals do not count as blocked. The kernel's
/// name for that; where it tells none, such a process counts as one that does not wait.
fn is_waiting_for_signals(running: &Running) -> bool {
    let place = fs::read_to_string(format!("/proc/{}/wchan", running.pid()));
    place.is_ok_and(|place| place.contains("sigtimedwait"))
}
