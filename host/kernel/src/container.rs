//! A container from clone to exec.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use nix::{
    errno::Errno,
    fcntl::OFlag,
    sys::{
        socket::{AddressFamily, SockFlag, SockType, socketpair},
        wait::{WaitStatus, waitpid},
    },
    unistd::{Pid, pipe2},
};
use nshost_init::Report;
pub use nshost_init::Stage;
use nshost_ledger::Receipt;
use nshost_plan::{Argument, Namespace, show};

use crate::{Error, clone, identity, orders::Rendered, process, terminal::Terminal};

/// What the command has besides the plan.
pub struct Settings<'a> {
    /// The command and its arguments; the first is looked for in `PATH`.
    pub command: &'a [Argument],
    /// The terminal that takes the place of the operator's.
    pub terminal: Option<&'a Terminal>,
    /// The value of `TERM` for it.
    pub term: Option<&'a str>,
    /// Whether a reaper is the first process.
    pub reaper: bool,
}

/// A process in new namespaces that waits at its gate. Dropped, it ends without having run anything.
pub struct Waiting {
    pid: Pid,
    pidfd: OwnedFd,
    network: Option<OwnedFd>,
    mounts: Option<OwnedFd>,
    gate: Option<OwnedFd>,
    report: OwnedFd,
}

/// A container whose command runs.
pub struct Running {
    pub(crate) pid: Pid,
    pub(crate) pidfd: OwnedFd,
    mounts: Option<OwnedFd>,
}

/// Why a command does not run although its container is ready.
#[derive(Debug)]
pub struct NotStarted {
    /// Where inside the container it failed.
    pub stage: Stage,
    /// What and why.
    pub error: Error,
}

/// The two ways between broker and child.
pub(crate) struct Channels {
    pub(crate) gate_waiter: OwnedFd,
    pub(crate) gate_opener: OwnedFd,
    pub(crate) report_reader: OwnedFd,
    pub(crate) report_writer: OwnedFd,
}

/// Clones the container's first process, which then waits at its gate, and records it.
pub fn clone(receipt: &mut Receipt, settings: &Settings<'_>) -> Result<Waiting, Error> {
    let channels = Channels::new()?;
    let namespaces = receipt.plan().namespaces();
    let rendered = Rendered::new(receipt.plan(), settings.command, settings.term)?;
    let (pid, pidfd) = rendered.with_orders(&channels, settings.terminal, settings.reaper, |orders| {
        clone::into_namespaces(namespaces, orders)
    })?;
    drop(rendered);
    let Channels { gate_opener, report_reader, .. } = channels;
    let (network, mounts) = (None, None);
    let mut waiting = Waiting { pid, pidfd, network, mounts, gate: Some(gate_opener), report: report_reader };
    receipt
        .started(process::identify(pid)?)
        .map_err(|e| Error::new("record", "the process", std::io::Error::other(e)))?;
    if namespaces.contains(Namespace::User) {
        identity::map(receipt.record(), pid)?;
    }
    let own =
        |kind| namespaces.contains(kind).then(|| process::namespace(&waiting.pidfd, pid, kind)).transpose();
    (waiting.network, waiting.mounts) = (own(Namespace::Network)?, own(Namespace::Mount)?);
    Ok(waiting)
}

impl Waiting {
    /// The container's network namespace, if it has one of its own.
    pub fn network(&self) -> Option<BorrowedFd<'_>> {
        self.network.as_ref().map(AsFd::as_fd)
    }

    /// Lets the child go on, and returns when its command is executed, or says why it is not.
    pub fn open_gate(mut self) -> Result<Result<Running, NotStarted>, Error> {
        let gate = self.gate.take().ok_or_else(|| Error::new("open gate", "container", Errno::EBADF))?;
        File::from(gate).write_all(&[1]).map_err(|e| Error::new("open gate", "container", e))?;
        let mut bytes = Vec::new();
        let report =
            File::from(self.report.try_clone().map_err(|e| Error::new("read report", "container", e))?);
        report
            .take(Report::SIZE as u64)
            .read_to_end(&mut bytes)
            .map_err(|e| Error::new("read report", "container", e))?;
        if bytes.is_empty() {
            let pidfd = self.pidfd.try_clone().map_err(|e| Error::new("copy pidfd", "container", e))?;
            let running = Running { pid: self.pid, pidfd, mounts: self.mounts.take() };
            // The process is Running's from here on: no end, no wait.
            self.pid = Pid::from_raw(0);
            return Ok(Ok(running));
        }
        let report = <[u8; Report::SIZE]>::try_from(bytes).ok().and_then(Report::from_bytes);
        let report = report.ok_or_else(|| Error::new("read report", "container", Errno::EBADMSG))?;
        Ok(Err(not_started(report)))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.gate = None;
        if self.pid.as_raw() > 0 {
            // End-of-file at the gate, or a report already sent: it ends by itself, and soon.
            while let Err(Errno::EINTR) = waitpid(self.pid, None) {}
        }
    }
}

impl Running {
    /// The host's pid of the container's first process.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// What the kernel is slow to take down and this process still holds.
    pub fn into_mounts(self) -> Option<OwnedFd> {
        self.mounts
    }

    /// The ended command's exit status: its own, or 128 + N for signal N.
    pub(crate) fn collect(&self) -> Result<u8, Error> {
        loop {
            match waitpid(self.pid, None) {
                Ok(WaitStatus::Exited(_, status)) => return Ok(status as u8),
                Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(128 + signal as u8),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::new("wait", format!("process {}", self.pid), errno)),
            }
        }
    }
}

impl Channels {
    fn new() -> Result<Self, Error> {
        let failed = |errno| Error::new("make channel", "container", errno);
        let (gate_waiter, gate_opener) = pipe2(OFlag::O_CLOEXEC).map_err(failed)?;
        let (report_reader, report_writer) =
            socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)
                .map_err(failed)?;
        Ok(Channels { gate_waiter, gate_opener, report_reader, report_writer })
    }
}

fn not_started(report: Report) -> NotStarted {
    let (step, hint) = match report.stage {
        Stage::Identity => ("become root of the user namespace", ""),
        Stage::ParentDeath => ("bind to the launcher's life", ""),
        Stage::Hostname => ("set hostname", ""),
        Stage::DomainName => ("set domain name", ""),
        Stage::Propagation => ("make mounts private", ""),
        Stage::ResolvConf => ("put in place", "is there an /etc/resolv.conf to mount over?"),
        Stage::Proc => {
            ("mount", "a user namespace may mount /proc only where the host's is not partly hidden")
        }
        Stage::Terminal => ("take the terminal", ""),
        Stage::WorkingDirectory => {
            ("change directory", "the path must exist in the container and be open to its root")
        }
        Stage::Descriptors => ("close descriptors", ""),
        Stage::Reaper => ("fork", ""),
        Stage::Exec => ("execute", "is it installed, executable, and on the PATH of the container?"),
    };
    let subject = match report.stage {
        Stage::ResolvConf => "/etc/resolv.conf",
        Stage::Proc => "/proc",
        Stage::Exec => "the command",
        _ => "in the container",
    };
    NotStarted {
        stage: report.stage,
        error: Error::new(step, subject, Errno::from_raw(report.errno)).hint(hint),
    }
}

/// Quotes a command for a message.
pub fn show_command(command: &[Argument]) -> String {
    command.iter().map(|word| show::quote(word.as_str())).collect::<Vec<_>>().join(" ")
}
