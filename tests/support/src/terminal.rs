//! A terminal with a program on it.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::{AsFd, OwnedFd},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::{
    fcntl::{OFlag, open},
    poll::{PollFd, PollFlags, poll},
    pty::{grantpt, posix_openpt, ptsname_r, unlockpt},
    sys::stat::Mode,
};

use crate::{Nshost, process::TICK};

/// A pseudo terminal of 80 columns and 24 rows; its program is the leader of a session that it
/// controls, as a login shell is. Killed when dropped.
pub struct Terminal {
    child: Child,
    /// `None`: hung up.
    keyboard: Option<File>,
    line: OwnedFd,
    reader: Option<JoinHandle<()>>,
    hung_up: Arc<AtomicBool>,
    screen: Arc<Mutex<Vec<u8>>>,
    /// How much of the screen has been waited for already.
    read: usize,
}

impl Terminal {
    /// Starts `command` on a new terminal.
    pub fn start(command: &Command) -> Result<Terminal> {
        let (master, slave) = pair().context("cannot open a pseudo terminal")?;
        set(&slave, &["rows", "24", "columns", "80"])?;
        let mut leader = Command::new("setsid");
        leader.args(["--ctty", "--wait"]).arg(command.get_program()).args(command.get_args());
        leader.env_clear();
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                leader.env(name, value);
            }
        }
        leader.env("TERM", "xterm");
        let end = || slave.try_clone().map(Stdio::from);
        let child =
            leader.stdin(end()?).stdout(end()?).stderr(end()?).spawn().context("cannot start setsid")?;
        let screen = Arc::new(Mutex::new(Vec::new()));
        let mut reader = File::from(master.try_clone()?);
        let into = Arc::clone(&screen);
        let hung_up = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&hung_up);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 4096];
            while !until.load(Ordering::Relaxed) {
                if poll(&mut [PollFd::new(reader.as_fd(), PollFlags::POLLIN)], 10u8) == Ok(0) {
                    continue;
                }
                let Ok(count @ 1..) = reader.read(&mut buffer) else { return };
                into.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
            }
        });
        let (keyboard, reader) = (Some(File::from(master)), Some(reader));
        let terminal = Terminal { child, keyboard, line: slave, reader, hung_up, screen, read: 0 };
        Ok(terminal)
    }

    /// Starts a shell with job control on a new terminal, in which `"$@"` stands for `nshost`. Its prompt is
    /// `ready> `, and it leads the terminal's session.
    pub fn shell(nshost: Nshost<'_>) -> Result<Terminal> {
        let bash = ["bash", "--norc", "--noprofile", "-i", "-s", "--"];
        let wrapper = [&["setsid", "--ctty", "--wait", "env", "PS1=ready> "], &bash[..]].concat();
        let mut terminal = Terminal::start(&nshost.under(&wrapper))?;
        terminal.expect("ready> ", Duration::from_secs(10))?;
        Ok(terminal)
    }

    /// Types.
    pub fn send(&mut self, text: &str) -> Result<()> {
        self.keyboard.as_mut().context("hung up")?.write_all(text.as_bytes()).context("cannot type")
    }

    /// Hangs up, as a terminal's window does that is closed.
    pub fn hang_up(&mut self) {
        self.hung_up.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        self.keyboard = None;
    }

    /// Waits until `text` comes, after what was waited for before. Returns what came until then.
    pub fn expect(&mut self, text: &str, limit: Duration) -> Result<String> {
        let end = Instant::now() + limit;
        loop {
            let screen = self.screen();
            let new = screen.get(self.read..).unwrap_or_default();
            if let Some(at) = new.find(text) {
                self.read += at + text.len();
                return Ok(new[..at].to_string());
            }
            if Instant::now() > end {
                bail!("no {text:?} came; the screen:\n{screen}");
            }
            thread::sleep(TICK);
        }
    }

    /// Everything that was written to the terminal.
    pub fn screen(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Changes the window's size, as a terminal's window does.
    pub fn resize(&self, rows: u16, columns: u16) -> Result<()> {
        set(&self.line, &["rows", &rows.to_string(), "columns", &columns.to_string()])?;
        Ok(())
    }

    /// The terminal's settings, as `stty -g` prints them.
    pub fn modes(&self) -> Result<String> {
        set(&self.line, &["-g"])
    }

    /// Waits for the program's end. Returns its exit status, as a shell has it.
    pub fn finish(mut self, limit: Duration) -> Result<i32> {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                // As a shell has it.
                let signal = status.signal().map(|signal| 128 + signal);
                return Ok(status.code().or(signal).unwrap_or(-1));
            }
            if Instant::now() > end {
                bail!("still running after {limit:?}; the screen:\n{}", self.screen());
            }
            thread::sleep(TICK);
        }
    }
}

/// What `stty` does with these arguments, and prints.
fn set(line: &OwnedFd, arguments: &[&str]) -> Result<String> {
    let mut stty = Command::new("stty");
    stty.args(arguments).stdin(Stdio::from(line.try_clone()?));
    let output = stty.output().context("cannot start stty")?;
    if !output.status.success() {
        bail!("stty: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_string())
}

/// Both ends; no program has them but the one that is given them, else the terminal could not hang up.
fn pair() -> Result<(OwnedFd, OwnedFd)> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = posix_openpt(flags)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let slave = open(Path::new(&ptsname_r(&master)?), flags, Mode::empty())?;
    Ok((master.into(), slave))
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
