//! A terminal with a program on it.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::pty::{Winsize, openpty};

use crate::process::TICK;

/// A pseudo terminal of 80 columns and 24 rows; its program is the leader of a session that it
/// controls, as a login shell is. Killed when dropped.
pub struct Terminal {
    child: Child,
    keyboard: File,
    line: OwnedFd,
    screen: Arc<Mutex<Vec<u8>>>,
    /// How much of the screen has been waited for already.
    read: usize,
}

impl Terminal {
    /// Starts `command` on a new terminal.
    pub fn start(command: &Command) -> Result<Terminal> {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(Some(&size), None).context("cannot open a pseudo terminal")?;
        let mut leader = Command::new("setsid");
        leader.args(["--ctty", "--wait"]).arg(command.get_program()).args(command.get_args());
        leader.env_clear();
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                leader.env(name, value);
            }
        }
        leader.env("TERM", "xterm");
        let end = || pair.slave.try_clone().map(Stdio::from);
        let child =
            leader.stdin(end()?).stdout(end()?).stderr(end()?).spawn().context("cannot start setsid")?;
        let screen = Arc::new(Mutex::new(Vec::new()));
        let mut reader = File::from(pair.master.try_clone()?);
        let into = Arc::clone(&screen);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                into.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
            }
        });
        Ok(Terminal { child, keyboard: File::from(pair.master), line: pair.slave, screen, read: 0 })
    }

    /// Types.
    pub fn send(&mut self, text: &str) -> Result<()> {
        self.keyboard.write_all(text.as_bytes()).context("cannot type")
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
        self.settings(&["rows", &rows.to_string(), "columns", &columns.to_string()])?;
        Ok(())
    }

    /// The terminal's settings, as `stty -g` prints them.
    pub fn modes(&self) -> Result<String> {
        self.settings(&["-g"])
    }

    /// Waits for the program's end. Returns its exit status, as a shell has it.
    pub fn finish(mut self, limit: Duration) -> Result<i32> {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code().unwrap_or(-1));
            }
            if Instant::now() > end {
                bail!("still running after {limit:?}; the screen:\n{}", self.screen());
            }
            thread::sleep(TICK);
        }
    }

    fn settings(&self, arguments: &[&str]) -> Result<String> {
        let mut stty = Command::new("stty");
        stty.args(arguments).stdin(Stdio::from(self.line.try_clone()?));
        let output = stty.output().context("cannot start stty")?;
        if !output.status.success() {
            bail!("stty: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_string())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
