//! Renders what the child needs, before the clone: after it there is no allocation.

use std::{
    ffi::{CStr, CString, c_char},
    os::fd::{AsRawFd, OwnedFd},
    ptr,
};

use nshost_init::Orders;
use nshost_plan::{AbsolutePath, Argument, Command, Namespace, Namespaces, Plan, Step};

use crate::{
    Error,
    container::{Channels, Settings},
    memory,
    program::{File, Program},
    terminal::Terminal,
};

/// Owns the memory that [`Orders`] point into.
pub(crate) struct Rendered<'a> {
    plan: &'a Plan,
    namespaces: Namespaces,
    program: Program,
    arguments: Vec<CString>,
    environment: Vec<CString>,
    working_directory: CString,
    resolv_conf: Option<String>,
}

impl<'a> Rendered<'a> {
    /// From the plan, the namespaces that are the container's own, and what the command has besides.
    pub(crate) fn new(
        plan: &'a Plan,
        namespaces: Namespaces,
        settings: &Settings<'_>,
    ) -> Result<Self, Error> {
        let (command, environment) = (settings.command, environment(plan, settings.term));
        let program = command.first().map_or("", Argument::as_str);
        let working_directory = plan.steps().iter().find_map(|step| match step {
            Step::WorkingDirectory(path) => Some(path),
            _ => None,
        });
        let resolv_conf = plan.steps().iter().find_map(|step| match step {
            Step::ResolvConf(conf) => Some(conf.render()),
            _ => None,
        });
        Ok(Rendered {
            plan,
            namespaces,
            program: if settings.by_script { Program::granted(program)? } else { Program::typed(program)? },
            arguments: command
                .iter()
                .map(|argument| c_string(argument.as_str()))
                .collect::<Result<_, _>>()?,
            environment: environment.iter().map(|entry| c_string(entry)).collect::<Result<_, _>>()?,
            working_directory: c_string(&working_directory.map_or("/".to_string(), AbsolutePath::plain))?,
            resolv_conf,
        })
    }

    /// Calls `use_orders` with orders that point into this memory.
    pub(crate) fn with_orders<T>(
        &self,
        channels: &Channels,
        terminal: Option<&Terminal>,
        reaper: bool,
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
        let (arguments, environment) = (pointers(&self.arguments), pointers(&self.environment));
        let has = |wanted: &Step| self.plan.steps().contains(wanted);
        let own = |kind| self.namespaces.contains(kind);
        // With a user namespace the tree is prepared before the clone: `crate::tree`.
        let prepares_mounts = own(Namespace::Mount) && !own(Namespace::User);
        use_orders(&Orders {
            gate: channels.gate_waiter.as_raw_fd(),
            report: channels.report_writer.as_raw_fd(),
            user_namespace: own(Namespace::User),
            hostname: self.name(|step| match step {
                Step::Hostname(name) => Some(name.as_str()),
                _ => None,
            }),
            domain_name: self.name(|step| match step {
                Step::DomainName(name) => Some(name.as_str()),
                _ => None,
            }),
            private_propagation: prepares_mounts && has(&Step::PrivatePropagation),
            leave_host_proc: prepares_mounts && own(Namespace::Pid),
            proc: has(&Step::Proc),
            resolv_conf: self.resolv_conf.as_deref().map(str::as_bytes),
            terminal: terminal.and_then(Terminal::container_end),
            terminal_for: terminal.map_or([false; 3], Terminal::replaces),
            working_directory: &self.working_directory,
            program,
            arguments: arguments.as_ptr(),
            environment: environment.as_ptr(),
            reaper,
            words: if reaper { memory::words() } else { None },
        })
    }

    /// What is to be held open until the child has executed it.
    pub(crate) fn into_held(self) -> Option<OwnedFd> {
        self.program.into_held()
    }

    fn name(&self, pick: impl Fn(&Step) -> Option<&str>) -> Option<&[u8]> {
        self.plan.steps().iter().find_map(pick).map(str::as_bytes)
    }
}

/// A fixed, small environment: the operator's own does not leak into a container. The plan's
/// variables replace these.
fn environment(plan: &Plan, term: Option<&str>) -> Vec<String> {
    let asked: Vec<(&str, &str)> = plan
        .steps()
        .iter()
        .filter_map(|step| match step {
            Step::Variable(variable) => Some((variable.name(), variable.value())),
            _ => None,
        })
        .collect();
    let defaults =
        [("PATH", Some(Command::PATH)), ("HOME", Some("/")), ("container", Some("nshost")), ("TERM", term)];
    defaults
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .filter(|(name, _)| !asked.iter().any(|(other, _)| other == name))
        .chain(asked.iter().copied())
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

pub(crate) fn c_string(text: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|error| Error::new("render", nshost_plan::show::quote(text), error))
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}
