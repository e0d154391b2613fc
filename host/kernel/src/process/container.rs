//! A container from clone to exec.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::{
    errno::Errno,
    fcntl::OFlag,
    sys::{
        eventfd::{EfdFlags, EventFd},
        signal::Signal,
        wait::{WaitStatus, waitpid},
    },
    unistd::{Pid, pipe2, read, write},
};
use nshost_init::Report;
pub use nshost_init::Stage;
use nshost_ledger::Receipt;
use nshost_plan::{Argument, ContainerId, Inside, Namespace, Namespaces, Plan, Variable, show};

use crate::{
    Error,
    process::{
        clone::{self, Cloned},
        identity,
        orders::Rendered,
        pidfd,
        terminal::Terminal,
        tree::Wanted,
    },
};

/// What the command has besides the plan.
pub struct Settings<'a> {
    /// The command and its arguments.
    pub command: &'a [Argument],
    /// Whether the script chose it: then the first is the path of the file that was granted, and no other is
    /// executed. The operator's own is looked for in [`nshost_plan::Command::PATH`].
    pub by_script: bool,
    /// The terminal that takes the place of the operator's.
    pub terminal: Option<&'a Terminal>,
    /// Where the command starts.
    pub directory: &'a str,
    /// Variables of the command, in the place of the plan's.
    pub variables: &'a [Variable],
    /// The value of `TERM` for it.
    pub term: Option<&'a str>,
    /// The signals that the command ignores from the beginning: [`crate::process::signals::Signals::ignored`].
    pub ignored: u64,
    /// Whether a reaper is the first process.
    pub reaper: bool,
}

/// A process in new namespaces that waits at its gate. Dropped, it ends without having run anything.
pub struct Waiting {
    gate: Option<OwnedFd>,
    network: Option<OwnedFd>,
    process: Option<Running>,
}

/// A container past its gate.
pub struct Running {
    pub(crate) pid: Pid,
    pub(crate) pidfd: OwnedFd,
    report: OwnedFd,
    /// How a reaper tells that the command has been stopped.
    pub(crate) stopped: Option<EventFd>,
    mounts: Vec<OwnedFd>,
    /// The file that is executed: held, so that its inode is no other file's.
    _program: Option<OwnedFd>,
}

/// How a container ended.
#[derive(Debug)]
pub enum End {
    /// With the command's exit status.
    Status(u8),
    /// By a signal.
    Killed(Signal),
    /// Without having run the command.
    NotStarted(NotStarted),
}

/// Why a command did not run although its container was ready.
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
    let namespaces = identity::namespaces(receipt.record());
    let rendered = Rendered::new(receipt.record(), namespaces, settings)?;
    let tree = tree(receipt.plan(), namespaces);
    let stopped = stopped(settings)?;
    let Cloned { pid, pidfd, tree } =
        rendered.with_orders(&channels, settings, stopped.as_ref(), |orders| {
            clone::into_namespaces(namespaces, tree, orders)
        })?;
    let program = rendered.into_held();
    let Channels { gate_opener, report_reader, .. } = channels;
    let mounts = tree.into_iter().collect();
    let process = Running { pid, pidfd, report: report_reader, stopped, mounts, _program: program };
    let id = pidfd::identify(&process.pidfd, pid);
    let mut waiting = Waiting { gate: Some(gate_opener), network: None, process: Some(process) };
    receipt.started(id?).map_err(|e| Error::new("record", "the process", std::io::Error::other(e)))?;
    if namespaces.contains(Namespace::User) {
        identity::map(receipt.record(), pid)?;
    }
    if let Some(process) = &mut waiting.process {
        let own = |kind| namespaces.contains(kind).then(|| pidfd::namespace(&process.pidfd, pid, kind));
        let (network, mounts) = (own(Namespace::Network), own(Namespace::Mount));
        waiting.network = network.transpose()?;
        process.mounts.extend(mounts.transpose()?);
    }
    Ok(waiting)
}

/// A stopped child is told to its parent only, and that is the reaper. Of use to whoever has to give a terminal back.
fn stopped(settings: &Settings<'_>) -> Result<Option<EventFd>, Error> {
    if !settings.reaper || settings.terminal.is_none() {
        return Ok(None);
    }
    let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
    let made = EventFd::from_flags(flags);
    made.map(Some).map_err(|errno| Error::new("make channel", "container", errno))
}

/// Where there is a user namespace, what its root must not undo is prepared before the clone.
fn tree(plan: &Plan, namespaces: Namespaces) -> Option<Wanted> {
    let prepared = namespaces.contains(Namespace::User) && namespaces.contains(Namespace::Mount);
    prepared.then(|| Wanted {
        private: plan.has_private_propagation(ContainerId::FIRST) || namespaces.contains(Namespace::Pid),
        without_host_proc: namespaces.contains(Namespace::Pid),
        own_proc: plan.inside(ContainerId::FIRST).any(|inside| *inside == Inside::Proc),
    })
}

impl Waiting {
    /// The container's network namespace, if it has one of its own.
    pub fn network(&self) -> Option<BorrowedFd<'_>> {
        self.network.as_ref().map(AsFd::as_fd)
    }

    /// Lets the process go on to its command. Whether it comes to that is told at its end: waiting for the
    /// one moment would wake this process in the middle of the command's start.
    pub fn open_gate(mut self) -> Result<Running, Error> {
        pidfd::close_memory()?;
        let failed = |errno| Error::new("open gate", "container", errno);
        let (gate, process) =
            self.gate.take().zip(self.process.take()).ok_or_else(|| failed(Errno::EBADF))?;
        match write(&gate, &[1]) {
            Ok(_) => Ok(process),
            Err(errno) => {
                self.process = Some(process);
                Err(failed(errno))
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.gate = None;
        if let Some(process) = &self.process {
            // End-of-file at the gate, or a report already sent: it ends by itself, and soon.
            while let Err(Errno::EINTR) = waitpid(process.pid, None) {}
        }
    }
}

impl Running {
    /// The host's pid of the container's first process.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// What the kernel is slow to take down and this process still holds.
    pub fn into_mounts(self) -> Vec<OwnedFd> {
        self.mounts
    }

    /// Waits for the first process, and tells how it ended.
    pub(crate) fn collect(&self) -> Result<End, Error> {
        let end = loop {
            match waitpid(self.pid, None) {
                Ok(WaitStatus::Exited(_, status)) => break End::Status(status as u8),
                Ok(WaitStatus::Signaled(_, signal, _)) => break End::Killed(signal),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::new("wait", format!("process {}", self.pid), errno)),
            }
        };
        let mut report = [0; Report::SIZE];
        // Nothing there: exec has closed the pipe. Nobody is waited for who might still have it.
        match read(&self.report, &mut report) {
            Ok(0) | Err(Errno::EAGAIN) => Ok(end),
            Ok(_) => {
                let report = Report::from_bytes(report)
                    .ok_or_else(|| Error::new("read report", "container", Errno::EBADMSG))?;
                Ok(End::NotStarted(not_started(report)))
            }
            Err(errno) => Err(Error::new("read report", "container", errno)),
        }
    }
}

impl Channels {
    fn new() -> Result<Self, Error> {
        let failed = |errno| Error::new("make channel", "container", errno);
        let (gate_waiter, gate_opener) = pipe2(OFlag::O_CLOEXEC).map_err(failed)?;
        // Not waited for: see [`Running::collect`].
        let (report_reader, report_writer) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).map_err(failed)?;
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
        Stage::Hosts => ("put in place", "is there still an /etc/hosts to mount over?"),
        Stage::Proc => {
            ("mount", "a user namespace may mount /proc only where the host's is not partly hidden")
        }
        Stage::Terminal => ("take the terminal", ""),
        Stage::WorkingDirectory if report.errno == libc::ESTALE => {
            ("change directory", "a link leads elsewhere: the path names the directory itself")
        }
        Stage::WorkingDirectory => {
            let hint = "the path must exist in the container, be open to its root, and not lead through a \
                        link of /proc to where another process is";
            ("change directory", hint)
        }
        Stage::Descriptors => (
            "hand over standard input, output and error",
            "none of them may be a directory: paths lead from it to the host's files",
        ),
        Stage::Reaper => ("fork", ""),
        Stage::Exec => ("execute", of_exec(report.errno)),
        Stage::Keyring => (
            "join a session keyring",
            "end other containers of this user, or raise /proc/sys/kernel/keys/maxkeys",
        ),
        Stage::HostProc if report.errno == libc::EBUSY => (
            "unmount",
            "one lies beneath another mount, from where root in the container could uncover it (findmnt -A -t proc); \
             unmount it on the host, or give the container a user namespace",
        ),
        Stage::HostProc => ("unmount", ""),
    };
    let subject = match report.stage {
        Stage::ResolvConf => "/etc/resolv.conf",
        Stage::Hosts => "/etc/hosts",
        Stage::Proc => "/proc",
        Stage::HostProc => "the host's /proc",
        Stage::Exec => "the command",
        _ => "in the container",
    };
    NotStarted {
        stage: report.stage,
        error: Error::new(step, subject, Errno::from_raw(report.errno)).hint(hint),
    }
}

fn of_exec(errno: i32) -> &'static str {
    match errno {
        libc::ESTALE => "in the container, another file is at this path than the one that was granted",
        libc::EOPNOTSUPP => {
            "a script (#!) that was granted is read by /dev/fd, so that it is this very file: the container \
             needs a /proc of its own for that"
        }
        libc::ELOOP => "a program is granted by a path without links of /proc",
        libc::EACCES => "is it a plain file (no directory), and executable (chmod +x)?",
        libc::ENOEXEC => "it is neither a program for this machine, nor a script that begins with #!",
        libc::E2BIG => "its arguments and variables are more than the kernel takes",
        _ => "is it installed, executable, and in one of the usual directories?",
    }
}

/// Quotes a command for a message.
pub fn show_command(command: &[Argument]) -> String {
    command.iter().map(|word| show::quote(word.as_str())).collect::<Vec<_>>().join(" ")
}
