//! A child that is stopped before and after each of its system calls.

use std::{
    fs,
    io::{Read, Write},
    process::Child,
};

use nix::{
    sys::{
        ptrace::{self, Options},
        signal::Signal,
        wait::{WaitStatus, waitpid},
    },
    unistd::Pid,
};

use crate::start;

const WAITING: &[u8; 8] = b"waiting\n";

pub struct Traced {
    child: Child,
    pid: Pid,
    ended: bool,
}

impl Traced {
    /// Starts a child and holds it just before its work.
    pub fn start(arguments: &[&str]) -> Traced {
        let mut child = start(arguments);
        let pid = Pid::from_raw(child.id() as i32);
        // Before, it could be stopped by its own execve.
        let mut said = [0; 8];
        child.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
        assert_eq!(&said, WAITING);
        ptrace::attach(pid).unwrap();
        assert!(matches!(waitpid(pid, None).unwrap(), WaitStatus::Stopped(_, Signal::SIGSTOP)));
        ptrace::setoptions(pid, Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_EXITKILL).unwrap();
        child.stdin.as_mut().unwrap().write_all(b"x").unwrap();
        Traced { child, pid, ended: false }
    }

    /// Runs to the next entry to or return from a system call. False: it has ended.
    pub fn step(&mut self) -> bool {
        let mut signal = None;
        loop {
            ptrace::syscall(self.pid, signal).unwrap();
            match waitpid(self.pid, None).unwrap() {
                WaitStatus::PtraceSyscall(_) => return true,
                WaitStatus::Stopped(_, other) => signal = Some(other),
                WaitStatus::Exited(_, code) => {
                    self.ended = true;
                    assert_eq!(code, 0, "the child failed");
                    return false;
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// Whether it has a file of that name open.
    pub fn has_open(&self, name: &str) -> bool {
        let descriptors = fs::read_dir(format!("/proc/{}/fd", self.pid)).unwrap();
        descriptors
            .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
            .any(|path| path.ends_with(name))
    }

    /// Kills it where it is; the marks that it has made until then.
    pub fn kill(mut self) -> Vec<String> {
        self.end();
        let mut text = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        text.lines().map(str::to_string).collect()
    }

    fn end(&mut self) {
        if !self.ended {
            self.child.kill().unwrap();
            // Not by the child's own wait, which takes a trap for nothing of its own.
            while !matches!(
                waitpid(self.pid, None).unwrap(),
                WaitStatus::Signaled(..) | WaitStatus::Exited(..)
            ) {}
            self.ended = true;
        }
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        self.end();
    }
}
