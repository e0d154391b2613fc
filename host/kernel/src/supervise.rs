//! Waits for the command: passes on signals, keys and output.

use std::{fs, os::fd::AsFd};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::Signal,
    unistd::{read, write},
};

use crate::{
    Error,
    container::{End, Running},
    memory, process,
    signals::Signals,
    terminal::Terminal,
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
    /// What was blocked when it was sent, and how often to look whether it still is.
    held: Option<(Signal, u8)>,
}

/// As many times [`SHORT`]. A process that blocks a signal for longer means to.
const LOOKS: u8 = 20;

/// A command that runs for longer than this is waited for with as little memory as possible, in ms.
const SHORT: u8 = 100;

/// Waits for the container's end.
pub fn until_end(running: &Running, signals: &Signals, terminal: Option<Terminal>) -> Result<End, Error> {
    let mut fate = Fate::default();
    match terminal {
        None => while_running(running, signals, &mut fate)?,
        Some(mut terminal) => {
            terminal.close_container_end();
            terminal.raw();
            relay_while_running(running, signals, terminal, &mut fate)?;
        }
    }
    let end = running.collect()?;
    // A first process that we had to kill for a signal that it did not handle ended by that signal.
    Ok(match (end, fate.killed_for) {
        (End::Status(status), Some(signal)) if status == 128 + libc::SIGKILL as u8 => {
            End::Status(128 + signal as u8)
        }
        (end, _) => end,
    })
}

fn while_running(running: &Running, signals: &Signals, fate: &mut Fate) -> Result<(), Error> {
    let mut settled = false;
    loop {
        let mut wanted = [
            PollFd::new(running.pidfd.as_fd(), PollFlags::POLLIN),
            PollFd::new(signals.descriptor().as_fd(), PollFlags::POLLIN),
        ];
        wait_for(&mut wanted, &mut settled, fate)?;
        look_again(running, fate)?;
        let [ended, signalled] = wanted.map(|fd| fd.any().unwrap_or(false));
        if signalled {
            forward_all(running, signals, None, fate)?;
        }
        if ended {
            return Ok(());
        }
    }
}

fn relay_while_running(
    running: &Running,
    signals: &Signals,
    terminal: Terminal,
    fate: &mut Fate,
) -> Result<(), Error> {
    let stdin = std::io::stdin();
    let (mut keys, mut settled, mut last_words) = (terminal.is_raw(), false, LAST_WORDS);
    loop {
        let signal = signals.descriptor().as_fd();
        let mut wanted = [
            PollFd::new(running.pidfd.as_fd(), PollFlags::POLLIN),
            PollFd::new(signal, PollFlags::POLLIN),
            PollFd::new(terminal.controller(), PollFlags::POLLIN),
            // Whatever is asked for, a terminal that has hung up is reported for ever: what is not read any
            // more must not be among these.
            PollFd::new(if keys { stdin.as_fd() } else { signal }, PollFlags::POLLIN),
        ];
        wait_for(&mut wanted, &mut settled, fate)?;
        look_again(running, fate)?;
        let hung_up = keys && wanted[3].revents().is_some_and(|events| events.contains(PollFlags::POLLHUP));
        let [ended, signalled, printed, typed] = wanted.map(|fd| fd.any().unwrap_or(false));
        if signalled {
            forward_all(running, signals, Some(&terminal), fate)?;
        }
        let output = if printed { pass(terminal.controller(), terminal.operator()) } else { Flow::Open };
        if typed && keys {
            keys = type_in(running, &terminal, stdin.as_fd(), fate)? == Flow::Open;
        }
        last_words = if ended { last_words.saturating_sub(BUFFER) } else { LAST_WORDS };
        if ended && !(printed && output == Flow::Open && last_words > 0) {
            return Ok(());
        }
        if output == Flow::Refused || hung_up {
            // The kernel tells the container's session, where reading then ends and writing fails: a command
            // that goes on would otherwise wait for ever for its output to be taken.
            drop(terminal);
            reaches(running, Signal::SIGHUP, fate)?;
            return while_running(running, signals, fate);
        }
        // Nobody in the container has its terminal any more; what is left to wait for is the end.
        if output == Flow::Ended && !ended {
            return while_running(running, signals, fate);
        }
    }
}

/// Waits for any of the descriptors. `settled`: whether it has become a long wait.
fn wait_for(wanted: &mut [PollFd<'_>], settled: &mut bool, fate: &Fate) -> Result<(), Error> {
    let short = !*settled || fate.held.is_some();
    let patience = if short { PollTimeout::from(SHORT) } else { PollTimeout::NONE };
    match poll(wanted, patience) {
        Ok(0) if !*settled => {
            *settled = true;
            memory::give_back_program();
            Ok(())
        }
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(Error::new("poll", "container", errno)),
    }
}

/// One read's worth of what the container prints.
fn pass(from: impl AsFd, to: impl AsFd) -> Flow {
    let mut buffer = [0; BUFFER];
    match take(from, &mut buffer) {
        Ok(bytes) => give(to, bytes),
        Err(flow) => flow,
    }
}

/// One read's worth of what the operator types. Ctrl-C is the kernel's to make a signal of; but a first
/// process that does not handle it would not even notice, so it is ended as for a signal to the launcher.
fn type_in(running: &Running, terminal: &Terminal, from: impl AsFd, fate: &mut Fate) -> Result<Flow, Error> {
    let mut buffer = [0; BUFFER];
    let keys = match take(from, &mut buffer) {
        Ok(keys) => keys,
        Err(flow) => return Ok(flow),
    };
    let interrupt = terminal.interrupt(keys, running.pid);
    let flow = give(terminal.controller(), keys);
    if let Some(signal) = interrupt {
        reaches(running, signal, fate)?;
    }
    Ok(flow)
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

fn forward_all(
    running: &Running,
    signals: &Signals,
    terminal: Option<&Terminal>,
    fate: &mut Fate,
) -> Result<(), Error> {
    while let Some(signal) = signals.next() {
        match (signal, terminal) {
            // The kernel tells the container's foreground itself when its terminal's size changes.
            (Signal::SIGWINCH, Some(terminal)) => terminal.copy_size(),
            _ => forward(running, signal, fate)?,
        }
    }
    Ok(())
}

/// A PID namespace's first process gets no signal for which it has no handler, not even from outside
/// (`pid_namespaces(7)`); for one whose default is to end the process, the operator expects the end.
fn forward(running: &Running, signal: Signal, fate: &mut Fate) -> Result<(), Error> {
    let harmless = matches!(signal, Signal::SIGCONT | Signal::SIGWINCH);
    if harmless || reaches(running, signal, fate)? {
        process::signal(&running.pidfd, signal as i32)?;
    }
    Ok(())
}

/// Whether the first process gets such a signal, or might; else it is ended for it.
fn reaches(running: &Running, signal: Signal, fate: &mut Fate) -> Result<bool, Error> {
    match fate_of(running, signal) {
        Reach::Arrives => Ok(true),
        Reach::Held => {
            fate.held = Some((signal, LOOKS));
            Ok(true)
        }
        Reach::Lost => end_for(running, signal, fate).map(|()| false),
    }
}

/// What was held back when it was sent may be thrown away when it is let through, as a shell does that forks
/// at that moment: then it is lost after all.
fn look_again(running: &Running, fate: &mut Fate) -> Result<(), Error> {
    let Some((signal, looks)) = fate.held.take() else { return Ok(()) };
    match fate_of(running, signal) {
        Reach::Lost => end_for(running, signal, fate),
        Reach::Held if looks > 0 => {
            fate.held = Some((signal, looks - 1));
            Ok(())
        }
        Reach::Held | Reach::Arrives => Ok(()),
    }
}

fn end_for(running: &Running, signal: Signal, fate: &mut Fate) -> Result<(), Error> {
    fate.killed_for = Some(signal);
    process::signal(&running.pidfd, libc::SIGKILL)
}

fn fate_of(running: &Running, signal: Signal) -> Reach {
    let Ok(status) = fs::read_to_string(format!("/proc/{}/status", running.pid())) else {
        return Reach::Arrives;
    };
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let in_mask = |name: &str| {
        let mask = field(name).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or(0);
        mask & (1 << (signal as i32 - 1)) != 0
    };
    // NSpid lists the pid in each nested namespace, the innermost last.
    let is_first = field("NSpid:").is_some_and(|pids| pids.split_whitespace().skip(1).last() == Some("1"));
    if !is_first || in_mask("SigCgt:") || in_mask("SigIgn:") {
        Reach::Arrives
    } else if in_mask("SigBlk:") {
        Reach::Held
    } else if is_waiting_for_signals(running) {
        Reach::Arrives
    } else {
        Reach::Lost
    }
}

/// Whether it is in `sigwait(2)` or the like, during which the signals do not count as blocked. The kernel's
/// name for that; where it tells none, such a process counts as one that does not wait.
fn is_waiting_for_signals(running: &Running) -> bool {
    let place = fs::read_to_string(format!("/proc/{}/wchan", running.pid()));
    place.is_ok_and(|place| place.contains("sigtimedwait"))
}
