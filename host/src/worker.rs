//! The processes without rights: started here, spoken to over one socket, never trusted.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::PathBuf,
    process::{Child, Command, ExitStatus},
    time::{Duration, Instant},
};

use nshost_plan::codec;
use nshost_policy::wire::{Answer, CompileAnswer, Failure as Answered, Inspection, Question};

use crate::{
    failure::{Failure, Status},
    paths,
};

/// Starting, locking down and loading, on a machine under load; the worker itself keeps the script's
/// own time to the millisecond.
const GRACE: Duration = Duration::from_secs(10);

/// The largest scripts (an interpreter of 20 MB) take about 12 s to compile.
const COMPILE: Duration = Duration::from_secs(180);

/// Has the worker evaluate the script in `artifact`.
pub fn evaluate(
    artifact: File,
    question: &Question,
    budget: Duration,
    accept_unlocked: bool,
) -> Result<Answer, Failure> {
    let mode = if accept_unlocked { "evaluate-unlocked" } else { "evaluate" };
    // For its own resource limits, which it lowers before it reads anything.
    let memory = question.limits.memory_bytes.to_string();
    let mut helper = Helper::start("nshost-worker", &[mode, &memory], artifact, None)?;
    helper.send(&codec::encode(question))?;
    match helper.receive(budget + GRACE)? {
        Received::Frame(bytes) => {
            helper.end();
            codec::decode("answer", &bytes).map_err(|error| {
                Failure::new(Status::Script, format!("the script's process answered nonsense: {error}"))
            })
        }
        Received::Nothing => Err(helper.died()),
        Received::TooLate => Ok(Answer::failed(Answered::Budget {
            name: "wall time".to_string(),
            limit: budget.as_millis() as u64,
            unit: "ms".to_string(),
        })),
    }
}

/// Has the compiler turn the script into an artifact.
pub fn compile(
    module: File,
    artifact: File,
    accept_unlocked: bool,
) -> Result<Result<File, Answered>, Failure> {
    let mode = if accept_unlocked { "compile-unlocked" } else { "compile" };
    let copy =
        artifact.try_clone().map_err(|error| Failure::ours(format!("cannot copy a descriptor: {error}")))?;
    let helper = Helper::start("nshost-compiler", &[mode], module, Some(copy))?;
    match helper.answer::<CompileAnswer>()?.outcome {
        Ok(_) => Ok(Ok(artifact)),
        Err(failure) => Ok(Err(failure)),
    }
}

/// Has the compiler tell what a module is and asks for.
pub fn inspect(module: File) -> Result<Result<Inspection, Answered>, Failure> {
    Helper::start("nshost-compiler", &["inspect"], module, None)?.answer()
}

struct Helper {
    name: &'static str,
    child: Child,
    socket: UnixStream,
}

enum Received {
    Frame(Vec<u8>),
    Nothing,
    TooLate,
}

impl Helper {
    /// Starts a helper with nothing but a socket and the two files: no environment, no other descriptor
    /// (all of ours are close-on-exec). One that writes no file gets the socket in its place.
    #[expect(clippy::disallowed_methods, reason = "the one place where the launcher starts a program")]
    fn start(
        name: &'static str,
        words: &[&str],
        input: File,
        output: Option<File>,
    ) -> Result<Helper, Failure> {
        let path = paths::helper(name).ok_or_else(|| missing(name))?;
        let socket = |error: io::Error| failed(name, "make a socket for", &error);
        let (ours, theirs) = UnixStream::pair().map_err(socket)?;
        let output = match output {
            Some(file) => OwnedFd::from(file),
            None => theirs.try_clone().map_err(socket)?.into(),
        };
        let child = Command::new(&path)
            .args(words)
            .env_clear()
            .current_dir("/")
            .stdin(OwnedFd::from(theirs))
            .stdout(input)
            .stderr(output)
            .spawn()
            .map_err(|error| failed(name, "start", &error))?;
        Ok(Helper { name, child, socket: ours })
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match codec::write_frame(&self.socket, bytes) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(self.died()),
            Err(error) => Err(failed(self.name, "write to", &error)),
        }
    }

    /// One frame, within `time` from now, however slowly it trickles in.
    fn receive(&mut self, time: Duration) -> Result<Received, Failure> {
        let reader = Deadline { socket: &self.socket, end: Instant::now() + time };
        match codec::read_frame(BufReader::new(reader)) {
            Ok(bytes) => Ok(Received::Frame(bytes)),
            Err(error) => match error.kind() {
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => Ok(Received::Nothing),
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Ok(Received::TooLate),
                io::ErrorKind::InvalidData => Err(Failure::new(
                    Status::Script,
                    format!("the script's process answered nonsense: {error}"),
                )),
                _ => Err(failed(self.name, "read from", &error)),
            },
        }
    }

    fn answer<T: serde::de::DeserializeOwned>(mut self) -> Result<T, Failure> {
        match self.receive(COMPILE)? {
            Received::Frame(bytes) => {
                self.end();
                codec::decode("answer", &bytes).map_err(|error| {
                    Failure::new(Status::Script, format!("the compiler's process answered nonsense: {error}"))
                })
            }
            Received::Nothing => Err(self.died()),
            Received::TooLate => Err(Failure::new(
                Status::Budget,
                format!("the script took longer than {} s to compile", COMPILE.as_secs()),
            )),
        }
    }

    /// It has answered; its process ends by itself, and if not, now.
    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// It closed its socket without an answer.
    fn died(&mut self) -> Failure {
        let how = match self.child.wait() {
            Ok(status) => describe(status),
            Err(error) => error.to_string(),
        };
        Failure::new(Status::Script, format!("{} ended without an answer: {how}", self.name))
            .hint("the script made its process fail; nothing was run, nothing was touched")
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.end();
    }
}

/// Reads until a point in time.
struct Deadline<'a> {
    socket: &'a UnixStream,
    end: Instant,
}

impl Read for Deadline<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.socket.set_read_timeout(Some(left))?;
        self.socket.read(buffer)
    }
}

fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match status.signal() {
        Some(nix::libc::SIGSYS) => "killed for a system call that its lock forbids (SIGSYS)".to_string(),
        Some(signal) => format!("killed by signal {signal}"),
        None => status.to_string(),
    }
}

fn failed(name: &str, what: &str, error: &io::Error) -> Failure {
    Failure::ours(format!("cannot {what} {name}: {error}"))
}

fn missing(name: &str) -> Failure {
    let own = std::fs::read_link("/proc/self/exe").unwrap_or_else(|_| PathBuf::from("nshost"));
    Failure::ours(format!("{name} is not there")).hint(format!(
        "it is installed beside {} or in ../libexec/nshost; `cargo xtask build` makes it",
        own.display()
    ))
}
