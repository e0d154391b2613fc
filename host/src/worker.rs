//! The processes without rights: started here, spoken to over one socket, never trusted.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::ExitStatusExt},
    },
    path::PathBuf,
    process::{Child, Command, ExitStatus},
    time::{Duration, Instant},
};

use nshost_plan::{Limits, codec};
use nshost_policy::wire::{
    Answer, COMPILE_MEMORY, COMPILE_TIME, CompileAnswer, Failure as Answered, Inspection, OUT_OF_MEMORY,
    Question,
};

use crate::{
    failure::{Failure, Status},
    paths, print,
};

/// Starting, locking down and loading, on a machine under load; the worker itself keeps the script's
/// own time to the millisecond.
const GRACE: Duration = Duration::from_secs(10);

/// After this an operator at a terminal is told what takes so long.
const PATIENCE: Duration = Duration::from_secs(1);

/// Has the worker evaluate the script in `artifact`. Whether that is sound is looked at while the worker starts,
/// which has no rights whatever it is; none if it is not.
pub fn evaluate(
    artifact: File,
    question: &Question,
    budget: Duration,
    accept_unlocked: bool,
    is_sound: impl FnOnce() -> bool,
) -> Result<Option<(Answer, Ending)>, Failure> {
    let mode = if accept_unlocked { "evaluate-unlocked" } else { "evaluate" };
    // For its own resource limits, which it lowers before it reads anything.
    let memory = question.limits.memory_bytes.to_string();
    let mut helper = Helper::start("nshost-worker", &[mode, &memory], artifact, None)?;
    let sent = helper.send(&codec::encode(question));
    if !is_sound() {
        return Ok(None);
    }
    sent?;
    let answer = match helper.receive(budget + GRACE, None)? {
        Received::Frame(bytes) => codec::decode("answer", &bytes).map_err(nonsense)?,
        Received::Nothing => return Err(helper.died()),
        Received::TooLate => Answer::failed(Answered::Budget {
            name: "wall time".to_string(),
            limit: budget.as_millis() as u64,
            unit: "ms".to_string(),
        }),
    };
    Ok(Some((answer, helper.end())))
}

/// Has the worker say whether it could evaluate the script in `artifact`, of which nothing runs.
pub fn check(artifact: File, accept_unlocked: bool) -> Result<Result<(), Answered>, Failure> {
    let mode = if accept_unlocked { "check-unlocked" } else { "check" };
    let mut helper = Helper::start("nshost-worker", &[mode], artifact, None)?;
    match helper.receive(GRACE, None)? {
        Received::Frame(bytes) => {
            let answer: Answer = codec::decode("answer", &bytes).map_err(nonsense)?;
            Ok(answer.outcome.map(drop))
        }
        Received::Nothing => Err(helper.died()),
        Received::TooLate => Err(Failure::new(Status::Script, "nshost-worker does not answer")),
    }
}

/// Has the compiler turn the script of this name into an artifact, within its budget.
pub fn compile(
    module: File,
    artifact: File,
    limits: &Limits,
    name: &str,
    accept_unlocked: bool,
) -> Result<Result<File, Answered>, Failure> {
    let mode = if accept_unlocked { "compile-unlocked" } else { "compile" };
    let copy =
        artifact.try_clone().map_err(|error| Failure::ours(format!("cannot copy a descriptor: {error}")))?;
    let most = limits.compile_ms.div_ceil(1000);
    let notice = format!("compiling {name} … (once for this script; {most} s at most)");
    match compiler::<CompileAnswer>(mode, module, Some(copy), limits, Some(&notice))? {
        Ok(CompileAnswer { outcome }) => Ok(outcome.map(|_| artifact)),
        Err(failure) => Ok(Err(failure)),
    }
}

/// Has the compiler tell what a module is and asks for.
pub fn inspect(module: File) -> Result<Result<Inspection, Answered>, Failure> {
    compiler::<Result<_, _>>("inspect", module, None, &Limits::DEFAULT, None).map(Result::flatten)
}

/// One answer of a compiler, or the budget that it has used up.
fn compiler<T: serde::de::DeserializeOwned>(
    mode: &str,
    module: File,
    output: Option<File>,
    limits: &Limits,
    notice: Option<&str>,
) -> Result<Result<T, Answered>, Failure> {
    let (memory, time) = (limits.compile_memory_bytes, limits.compile_ms);
    let words = [mode, &memory.to_string(), &time.to_string()];
    let mut helper = Helper::start("nshost-compiler", &words, module, output)?;
    let used_up = |name: &str, limit: u64, unit: &str| {
        Ok(Err(Answered::Budget { name: name.to_string(), limit, unit: unit.to_string() }))
    };
    match helper.receive(Duration::from_millis(time.into()), notice)? {
        Received::Frame(bytes) => codec::decode("answer", &bytes).map(Ok).map_err(|error| {
            Failure::new(Status::Script, format!("the compiler's process answered nonsense: {error}"))
        }),
        Received::TooLate => used_up(COMPILE_TIME, time.into(), "ms"),
        Received::Nothing => match helper.child.wait() {
            Ok(status) if status.code() == Some(OUT_OF_MEMORY) => {
                used_up(COMPILE_MEMORY, memory >> 20, "MiB")
            }
            Ok(status) if status.signal() == Some(nix::libc::SIGXCPU) => {
                used_up(COMPILE_TIME, time.into(), "ms")
            }
            _ => Err(helper.died()),
        },
    }
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

    /// One frame, within `time` from now, however slowly it trickles in. When that takes long, an operator at a
    /// terminal gets the notice.
    fn receive(&mut self, time: Duration, notice: Option<&str>) -> Result<Received, Failure> {
        let begun = Instant::now();
        let notice = notice.map(|notice| (begun + PATIENCE, notice));
        let reader = Deadline { socket: &self.socket, end: begun + time, notice };
        match codec::read_frame(BufReader::new(reader)) {
            Ok(bytes) => Ok(Received::Frame(bytes)),
            Err(error) => match error.kind() {
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => Ok(Received::Nothing),
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Ok(Received::TooLate),
                io::ErrorKind::InvalidData => Err(nonsense(error)),
                _ => Err(failed(self.name, "read from", &error)),
            },
        }
    }

    /// It has answered; its process ends by itself, and if not, now.
    fn end(mut self) -> Ending {
        let _ = self.child.kill();
        Ending(self)
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
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A helper that was killed and does nothing more. The kernel takes its memory down for longer than a launch has
/// to wait; dropping this does.
pub struct Ending(#[expect(dead_code, reason = "dropped")] Helper);

/// Reads until a point in time.
struct Deadline<'a> {
    socket: &'a UnixStream,
    end: Instant,
    /// What to say, and when, if nothing has come by then.
    notice: Option<(Instant, &'a str)>,
}

impl Deadline<'_> {
    /// Reads until then.
    fn read_until(&self, end: Instant, buffer: &mut [u8]) -> io::Result<usize> {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.socket.set_read_timeout(Some(left))?;
        let mut socket = self.socket;
        socket.read(buffer)
    }
}

impl Read for Deadline<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some((when, notice)) = self.notice.filter(|(when, _)| *when < self.end) {
            match self.read_until(when, buffer) {
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    print::progress(notice);
                    self.notice = None;
                }
                read => return read,
            }
        }
        self.read_until(self.end, buffer)
    }
}

fn describe(status: ExitStatus) -> String {
    match status.signal() {
        Some(nix::libc::SIGSYS) => "killed for a system call that its lock forbids (SIGSYS)".to_string(),
        Some(signal) => format!("killed by signal {signal}"),
        None => status.to_string(),
    }
}

fn nonsense(error: impl std::fmt::Display) -> Failure {
    Failure::new(Status::Script, format!("the script's process answered nonsense: {error}"))
}

fn failed(name: &str, what: &str, error: &io::Error) -> Failure {
    Failure::ours(format!("cannot {what} {name}: {error}"))
}

fn missing(name: &str) -> Failure {
    let own = std::fs::read_link("/proc/self/exe").unwrap_or_else(|_| PathBuf::from("nshost"));
    Failure::ours(format!("{name} is not there, or not for this user to read")).hint(format!(
        "it is installed beside {} or in ../libexec/nshost; `cargo xtask build` makes it",
        own.display()
    ))
}
