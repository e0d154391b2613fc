//! Renders what the child needs, before the clone: after it there is no allocation.

use std::{
    ffi::{CStr, CString, c_char},
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
    ptr,
};

use nix::sys::eventfd::EventFd;
use nshost_init::{Orders, Stage, Text};
use nshost_ledger::Record;
use nshost_plan::{
    Argument, Command, ContainerId, Inside, Namespace, Namespaces, Plan, ResolvConf, UtsName, Variable,
};

use crate::{
    Error,
    process::{
        container::{Channels, Settings},
        hosts, identity, memory,
        program::{File, Program},
        terminal::Terminal,
    },
};

/// Owns the memory that [`Orders`] point into.
pub(crate) struct Rendered<'a> {
    steps: Steps<'a>,
    namespaces: Namespaces,
    program: Program,
    arguments: Vec<CString>,
    environment: Vec<CString>,
    working_directory: CString,
    texts: Vec<Over>,
    /// Root's id in the container, on the host.
    root: u32,
}

/// A text, and where it is put.
struct Over {
    stage: Stage,
    over: &'static CStr,
    written: &'static CStr,
    says: Vec<u8>,
}

impl<'a> Rendered<'a> {
    /// From the plan on record, the namespaces that are the container's own, and what the command has besides.
    pub(crate) fn new(
        record: &'a Record,
        namespaces: Namespaces,
        settings: &Settings<'_>,
    ) -> Result<Self, Error> {
        let steps = Steps::of(&record.plan, ContainerId::FIRST);
        let (command, environment) = (settings.command, environment(&steps, settings));
        let program = command.first().map_or("", Argument::as_str);
        Ok(Rendered {
            namespaces,
            program: if settings.by_script { Program::granted(program)? } else { Program::typed(program)? },
            arguments: command
                .iter()
                .map(|argument| c_string(argument.as_str()))
                .collect::<Result<_, _>>()?,
            environment: environment.iter().map(|entry| c_string(entry)).collect::<Result<_, _>>()?,
            working_directory: c_string(settings.directory)?,
            texts: texts(&record.plan, &steps),
            root: identity::host_root(record),
            steps,
        })
    }

    /// Calls `use_orders` with orders that point into this memory.
    pub(crate) fn with_orders<T>(
        &self,
        channels: &Channels,
        settings: &Settings<'_>,
        stopped: Option<&EventFd>,
        use_orders: impl FnOnce(&Orders<'_>) -> T,
    ) -> T {
        let candidates: Vec<&CStr> = match &self.program {
            Program::First(candidates) => candidates.iter().map(CString::as_c_str).collect(),
            Program::File { .. } => Vec::new(),
        };
        let program = match &self.program {
            Program::First(_) => nshost_init::Program::First(&candidates),
            Program::File { path, found: Ok(File { device, inode, .. }) } => {
                nshost_init::Program::File { path, device: *device, inode: *inode }
            }
            Program::File { found: Err(errno), .. } => nshost_init::Program::Missing(*errno as i32),
        };
        let texts: Vec<Text<'_>> = self
            .texts
            .iter()
            .map(|Over { stage, over, written, says }| Text {
                stage: *stage,
                over,
                written,
                says,
                owner: self.root,
            })
            .collect();
        let (arguments, environment) = (pointers(&self.arguments), pointers(&self.environment));
        let own = |kind| self.namespaces.contains(kind);
        // With a user namespace the tree is prepared before the clone: `crate::process::tree`.
        let prepares_mounts = own(Namespace::Mount) && !own(Namespace::User);
        use_orders(&Orders {
            gate: channels.gate_waiter.as_raw_fd(),
            report: channels.report_writer.as_raw_fd(),
            user_namespace: own(Namespace::User),
            hostname: self.steps.hostname.map(|name| name.as_str().as_bytes()),
            domain_name: self.steps.domain_name.map(|name| name.as_str().as_bytes()),
            private_propagation: prepares_mounts && self.steps.private_propagation,
            leave_host_proc: prepares_mounts && own(Namespace::Pid),
            proc: self.steps.proc,
            texts: &texts,
            terminal: settings.terminal.and_then(Terminal::container_end),
            terminal_for: settings.terminal.map_or([false; 3], Terminal::replaces),
            working_directory: &self.working_directory,
            program,
            arguments: arguments.as_ptr(),
            environment: environment.as_ptr(),
            ignored: settings.ignored,
            reaper: settings.reaper,
            stopped: stopped.map(AsRawFd::as_raw_fd),
            words: if settings.reaper { memory::words() } else { None },
        })
    }

    /// What is to be held open until the child has executed it.
    pub(crate) fn into_held(self) -> Option<OwnedFd> {
        self.program.into_held()
    }
}

/// What of a container's steps its first process does, and what its command gets.
#[derive(Default)]
struct Steps<'a> {
    hostname: Option<&'a UtsName>,
    domain_name: Option<&'a UtsName>,
    private_propagation: bool,
    proc: bool,
    resolv_conf: Option<&'a ResolvConf>,
    variables: Vec<&'a Variable>,
}

impl<'a> Steps<'a> {
    fn of(plan: &'a Plan, container: ContainerId) -> Self {
        let mut steps = Steps::default();
        for inside in plan.inside(container) {
            match inside {
                Inside::Hostname(name) => steps.hostname = Some(name),
                Inside::DomainName(name) => steps.domain_name = Some(name),
                Inside::PrivatePropagation => steps.private_propagation = true,
                Inside::Proc => steps.proc = true,
                Inside::ResolvConf(conf) => steps.resolv_conf = Some(conf),
                Inside::Variable(variable) => steps.variables.push(variable),
                // Made by the clone; and what is executed, and where, the launcher says: it may be the operator's word.
                Inside::Namespace(_) | Inside::Command(_) | Inside::WorkingDirectory(_) => {}
            }
        }
        steps
    }
}

/// What the container finds in the place of files of the host's.
fn texts(plan: &Plan, steps: &Steps<'_>) -> Vec<Over> {
    let conf = steps.resolv_conf.map(|conf| conf.render().into_bytes());
    // Where the host has none, there is nothing to mount over, and nobody who looks.
    let hosts = plan.hosts(ContainerId::FIRST).and_then(|own| hosts::with(own, Path::new("/etc/hosts")));
    let conf = conf.map(|says| Over {
        stage: Stage::ResolvConf,
        over: c"/etc/resolv.conf",
        written: c"/proc/resolv.conf",
        says,
    });
    let hosts =
        hosts.map(|says| Over { stage: Stage::Hosts, over: c"/etc/hosts", written: c"/proc/hosts", says });
    conf.into_iter().chain(hosts).collect()
}

/// A fixed, small environment: the operator's own does not leak into a container. The plan's variables replace
/// these, and what the operator typed replaces both.
fn environment(steps: &Steps<'_>, settings: &Settings<'_>) -> Vec<String> {
    let planned = steps.variables.iter().map(|variable| (variable.name(), variable.value()));
    let typed = settings.variables.iter().map(|variable| (variable.name(), variable.value()));
    let term = settings.term.map(|term| ("TERM", term));
    let usual = [("PATH", Command::PATH), ("HOME", "/"), ("container", "nshost")];
    let mut all: Vec<(&str, &str)> = Vec::new();
    for (name, value) in usual.into_iter().chain(term).chain(planned).chain(typed) {
        match all.iter_mut().find(|(other, _)| *other == name) {
            Some(other) => other.1 = value,
            None => all.push((name, value)),
        }
    }
    all.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

pub(crate) fn c_string(text: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|error| Error::new("render", nshost_plan::show::quote(text), error))
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}
