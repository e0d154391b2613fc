//! Renders what the child needs, before the clone: after it there is no allocation.

use std::{
    ffi::{CStr, CString, c_char},
    os::fd::AsRawFd,
    ptr,
};

use nshost_init::Orders;
use nshost_plan::{Argument, Namespace, Namespaces, Plan, Step};

use crate::{Error, container::Channels, terminal::Terminal};

/// Where programs are looked for when the plan sets no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Owns the memory that [`Orders`] point into.
pub(crate) struct Rendered<'a> {
    plan: &'a Plan,
    namespaces: Namespaces,
    candidates: Vec<CString>,
    arguments: Vec<CString>,
    environment: Vec<CString>,
    working_directory: CString,
    resolv_conf: Option<String>,
}

impl<'a> Rendered<'a> {
    /// From the plan and the command that is to run; `term` is the value of `TERM`, if there is a terminal.
    pub(crate) fn new(
        plan: &'a Plan,
        namespaces: Namespaces,
        command: &[Argument],
        term: Option<&str>,
    ) -> Result<Self, Error> {
        let environment = environment(plan, term);
        let path = environment.iter().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH);
        let program = command.first().map_or("", Argument::as_str);
        let working_directory = plan.steps().iter().find_map(|step| match step {
            Step::WorkingDirectory(path) => Some(path.as_str()),
            _ => None,
        });
        let resolv_conf = plan.steps().iter().find_map(|step| match step {
            Step::ResolvConf(conf) => Some(conf.render()),
            _ => None,
        });
        Ok(Rendered {
            plan,
            namespaces,
            candidates: candidates(program, path)?,
            arguments: command
                .iter()
                .map(|argument| c_string(argument.as_str()))
                .collect::<Result<_, _>>()?,
            environment: environment.iter().map(|entry| c_string(entry)).collect::<Result<_, _>>()?,
            working_directory: c_string(working_directory.unwrap_or("/"))?,
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
        let candidates: Vec<&CStr> = self.candidates.iter().map(CString::as_c_str).collect();
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
            candidates: &candidates,
            arguments: arguments.as_ptr(),
            environment: environment.as_ptr(),
            reaper,
        })
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
        [("PATH", Some(DEFAULT_PATH)), ("HOME", Some("/")), ("container", Some("nshost")), ("TERM", term)];
    defaults
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .filter(|(name, _)| !asked.iter().any(|(other, _)| other == name))
        .chain(asked.iter().copied())
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

/// A program with a slash is a path; another is looked for in each directory of `path`. Relative
/// directories are passed over: what they mean depends on where one stands.
fn candidates(program: &str, path: &str) -> Result<Vec<CString>, Error> {
    if program.contains('/') {
        return Ok(vec![c_string(program)?]);
    }
    path.split(':')
        .filter(|directory| directory.starts_with('/'))
        .map(|d| c_string(&format!("{d}/{program}")))
        .collect()
}

fn c_string(text: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|error| Error::new("render", nshost_plan::show::quote(text), error))
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}
