//! Programs with a time limit, whose output can be watched while they run.

use std::{
    fs,
    io::{Read, Write},
    os::unix::process::ExitStatusExt,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::{sys::signal, unistd::Pid};

/// How often a condition is looked at. Short against what is waited for, long against a system call.
pub(crate) const TICK: Duration = Duration::from_millis(5);

/// What a program left.
#[derive(Debug, Clone)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote on standard output.
    pub stdout: String,
    /// What it wrote on standard error.
    pub stderr: String,
}

impl Output {
    /// Its exit status, or as a shell has it: 128 and the signal that killed it.
    pub fn code(&self) -> i32 {
        self.status.code().or_else(|| self.status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
    }

    /// Both outputs, to show when a test fails.
    pub fn text(&self) -> String {
        format!("{}\n--- stdout\n{}--- stderr\n{}", self.status, self.stdout, self.stderr)
    }

    /// Its standard output, if it ended with `code`; else an error that shows everything.
    pub fn expect(&self, code: i32) -> Result<&str> {
        if self.code() != code {
            bail!("expected exit status {code}: {}", self.text());
        }
        Ok(&self.stdout)
    }
}

/// Runs `command` to its end without standard input, for at most `limit`.
pub fn run(mut command: Command, limit: Duration) -> Result<Output> {
    command.stdin(Stdio::null());
    Running::start(command)?.finish(limit)
}

/// A program that runs, with its standard input and outputs in our hands. Killed when dropped.
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Collected,
    stderr: Collected,
    /// Whether `child` is an `nsenter` that waits for the program itself.
    wrapped: bool,
}

impl Running {
    /// Starts `command`. Its standard input is ours unless it has one already.
    pub fn start(mut command: Command) -> Result<Running> {
        let wrapped = command.get_program() == "nsenter";
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let stdout = Collected::start(child.stdout.take());
        let stderr = Collected::start(child.stderr.take());
        Ok(Running { stdin: child.stdin.take(), child, stdout, stderr, wrapped })
    }

    /// Waits until standard output or standard error contains `text`.
    pub fn wait_for(&mut self, text: &str, limit: Duration) -> Result<()> {
        let end = Instant::now() + limit;
        while !self.stdout.text().contains(text) && !self.stderr.text().contains(text) {
            if Instant::now() > end || self.child.try_wait()?.is_some() {
                bail!("no {text:?} came: {}{}", self.stdout.text(), self.stderr.text());
            }
            thread::sleep(TICK);
        }
        Ok(())
    }

    /// Writes to its standard input.
    pub fn send(&mut self, text: &str) -> Result<()> {
        let stdin = self.stdin.as_mut().context("standard input is closed")?;
        stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush()).context("cannot write to the program")
    }

    /// Ends its standard input.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// What it wrote on standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// The program's own process id, as we see it.
    pub fn pid(&self) -> Result<i32> {
        let own = self.child.id() as i32;
        if self.wrapped { only_child(own) } else { Ok(own) }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: signal::Signal) -> Result<()> {
        signal::kill(Pid::from_raw(self.pid()?), signal).context("cannot signal the program")
    }

    /// Lets it go on after a SIGSTOP; `nsenter` stops with its program.
    pub fn resume(&self) -> Result<()> {
        signal::kill(Pid::from_raw(self.child.id() as i32), signal::Signal::SIGCONT)
            .context("cannot let nsenter go on")?;
        self.signal(signal::Signal::SIGCONT)
    }

    /// Waits for its end, for at most `limit`; standard input is closed.
    pub fn finish(mut self, limit: Duration) -> Result<Output> {
        self.close_stdin();
        let end = Instant::now() + limit;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if Instant::now() > end {
                bail!("still running after {limit:?}: {}{}", self.stdout.text(), self.stderr.text());
            }
            thread::sleep(TICK);
        };
        Ok(Output { status, stdout: self.stdout.finish(end), stderr: self.stderr.finish(end) })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        let _ = self.signal(signal::Signal::SIGKILL);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The child of `parent`: `nsenter` has one, soon after it started.
fn only_child(parent: i32) -> Result<i32> {
    let end = Instant::now() + Duration::from_secs(2);
    while Instant::now() < end {
        for entry in fs::read_dir("/proc")?.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
                continue;
            };
            if parent_of(pid) == Some(parent) {
                return Ok(pid);
            }
        }
        thread::sleep(TICK);
    }
    bail!("process {parent} has no child");
}

/// Field 4 of `/proc/PID/stat`, after the name, which may hold anything.
fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// What comes out of a pipe, collected by a thread.
struct Collected {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Collected {
    fn start(pipe: Option<impl Read + Send + 'static>) -> Collected {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&bytes);
        let reader = pipe.map(|mut pipe| {
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                    into.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
                }
            })
        });
        Collected { bytes, reader }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// All of it. A process that outlived the program may hold the pipe open: then what came until `end`.
    fn finish(&mut self, end: Instant) -> String {
        if let Some(reader) = self.reader.take() {
            while !reader.is_finished() && Instant::now() < end {
                thread::sleep(TICK);
            }
        }
        self.text()
    }
}
