//! `kill-at N COMMAND…`: runs a command and kills it with SIGKILL as it enters its Nth system call.
//!
//! Exit status: 0 if it was killed there; 9 if it ended before it got so far (the sweep is complete).
//! Only the command's own process is traced; what it starts runs free.

#![expect(unsafe_code, reason = "ptrace is requested between fork and exec")]
#![expect(clippy::disallowed_methods, reason = "this is not the launcher")]

use std::{
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result};
use nix::{
    sys::{
        ptrace,
        signal::Signal,
        wait::{WaitStatus, waitpid},
    },
    unistd::Pid,
};

const ENDED_BEFORE: u8 = 9;

fn main() -> Result<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let target: u64 =
        arguments.next().and_then(|n| n.to_str()?.parse().ok()).context("kill-at N COMMAND…")?;
    let mut command = Command::new(arguments.next().context("kill-at N COMMAND…")?);
    command.args(arguments);
    // SAFETY: one system call; nothing is allocated or locked.
    unsafe {
        command.pre_exec(|| ptrace::traceme().map_err(Into::into));
    }
    let pid = Pid::from_raw(command.spawn()?.id() as i32);
    // The stop after exec. From here on a stop for a system call has bit 7 set.
    waitpid(pid, None)?;
    ptrace::setoptions(pid, ptrace::Options::PTRACE_O_TRACESYSGOOD | ptrace::Options::PTRACE_O_EXITKILL)?;
    let (mut calls, mut entering, mut pending) = (0, true, None);
    loop {
        ptrace::syscall(pid, pending.take())?;
        match waitpid(pid, None)? {
            WaitStatus::PtraceSyscall(_) => {
                calls += u64::from(entering);
                if entering && calls == target {
                    nix::sys::signal::kill(pid, Signal::SIGKILL)?;
                    waitpid(pid, None)?;
                    return Ok(ExitCode::SUCCESS);
                }
                entering = !entering;
            }
            WaitStatus::Stopped(_, signal) => pending = Some(signal),
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => return Ok(ExitCode::from(ENDED_BEFORE)),
            _ => {}
        }
    }
}
