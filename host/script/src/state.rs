//! What a script's calls work on: the plan so far, and what it may use.

use std::net::IpAddr;

use nshost_plan::{Around, Code, ContainerId, FactKind, Facts, FactsRead, Inside, Plan, Step, show};
use nshost_policy::{
    Grants, Refusal, RefusalKind, check_step,
    wire::{self, Level, LogLine, Question},
};

use crate::{
    bindings::nshost::setup::types::{self, Denial, Error, Problem},
    budget::{Budget, Exhausted},
    wasi::Inert,
};

/// A host function's answer: what the script gets, or what ends it.
pub(crate) type Asked<T = ()> = wasmtime::Result<Result<T, Error>>;

/// The data of the store.
pub(crate) struct State {
    pub(crate) facts: Facts,
    pub(crate) grants: Grants,
    pub(crate) budget: Budget,
    pub(crate) plan: Plan,
    pub(crate) read: FactsRead,
    pub(crate) log: Vec<LogLine>,
    pub(crate) wasi: Inert,
    /// What was asked for last of all that was taken.
    pub(crate) taken: Option<(String, wire::Asked)>,
}

impl State {
    pub(crate) fn new(question: Question) -> State {
        State {
            facts: question.facts,
            grants: question.grants,
            budget: Budget::new(question.limits),
            plan: Plan::default(),
            read: FactsRead::default(),
            log: Vec::new(),
            wasi: Inert::default(),
            taken: None,
        }
    }

    /// Every host function begins with this: the call and what it copied are counted.
    pub(crate) fn call(&mut self, copied: impl Copied) -> wasmtime::Result<()> {
        self.budget.call()?;
        Ok(self.budget.copy(copied.bytes())?)
    }

    /// What is to happen in the container.
    pub(crate) fn ask_inside(&mut self, inside: Result<Inside, nshost_plan::Error>) -> Asked {
        self.ask(inside.map(|inside| Step::Inside(ContainerId::FIRST, inside)))
    }

    /// What is to happen around it.
    pub(crate) fn ask_around(&mut self, around: Result<Around, nshost_plan::Error>) -> Asked {
        self.ask(around.map(Step::Around))
    }

    /// Adds a step to the plan, if it is well formed, fits, and is granted.
    fn ask(&mut self, step: Result<Step, nshost_plan::Error>) -> Asked {
        let fitting = step.and_then(|step| self.plan.fits(&step).map(|()| step));
        let step = match fitting {
            Ok(step) => step,
            Err(error) => return Ok(Err(invalid(error))),
        };
        if let Step::Inside(_, Inside::ResolvConf(_)) = step {
            // Whether it is granted may depend on whom the host asks.
            self.note(FactKind::NameServers);
        }
        let limit = self.budget.limits.steps;
        if self.plan.steps().len() >= limit as usize {
            return Err(Exhausted::steps(limit).into());
        }
        if let Err(refusal) = check_step(&self.plan, &step, &self.grants, &self.facts) {
            self.note_refusal(&step, refusal.kind);
            if refusal.kind == RefusalKind::Conflict {
                self.taken = Some((refusal.subject.clone(), wire::Asked::of(&self.plan, &step)));
            }
            return Ok(Err(refused(refusal)));
        }
        Ok(self.plan.push(step).map_err(invalid))
    }

    /// A script that is told of a conflict has been told something about the host; what it does then
    /// depends on it. (One that is not told has not: policy checks its plan again each time.)
    fn note_refusal(&mut self, step: &Step, kind: RefusalKind) {
        if kind.is_denial() {
            return;
        }
        let facts: &[FactKind] = match step {
            Step::Inside(_, inside) => match inside {
                Inside::Namespace(_) => &[FactKind::Kernel],
                // What is refused of these is so on every host; what was typed always counts as looked at.
                Inside::Hostname(_)
                | Inside::DomainName(_)
                | Inside::PrivatePropagation
                | Inside::Proc
                | Inside::ResolvConf(_)
                | Inside::Command(_)
                | Inside::Variable(_)
                | Inside::WorkingDirectory(_) => &[],
            },
            Step::Around(around) => match around {
                Around::Link(_) | Around::Masquerade(_) => &[FactKind::Links],
                Around::Address(_) | Around::Route(_) => &[FactKind::Addresses, FactKind::DefaultRoutes],
                Around::Forward(_) => &[FactKind::Forwards, FactKind::Addresses],
                Around::Up(_) => &[],
            },
        };
        self.note(FactKind::Rootless);
        facts.iter().for_each(|kind| self.note(*kind));
    }

    /// The script has looked at a kind of fact.
    pub(crate) fn note(&mut self, kind: FactKind) {
        self.read.note(kind);
    }

    /// Lines for the operator, without what a terminal would obey.
    pub(crate) fn say(&mut self, level: Level, text: &str) -> Result<(), Exhausted> {
        for line in text.lines() {
            let text = show::log_line(line);
            self.budget.log(&text)?;
            self.log.push(LogLine { level, text });
        }
        Ok(())
    }
}

/// How many bytes of a call's argument the host has copied, as wasmtime counts them.
pub(crate) trait Copied {
    fn bytes(&self) -> usize;
}

impl Copied for () {
    fn bytes(&self) -> usize {
        0
    }
}

impl Copied for &str {
    fn bytes(&self) -> usize {
        self.len()
    }
}

impl Copied for &[u8] {
    fn bytes(&self) -> usize {
        self.len()
    }
}

impl Copied for &[String] {
    fn bytes(&self) -> usize {
        self.iter().map(|text| size_of::<String>() + text.len()).sum()
    }
}

impl Copied for &Option<String> {
    fn bytes(&self) -> usize {
        self.as_deref().map_or(0, str::len)
    }
}

impl<A: Copied, B: Copied> Copied for (A, B) {
    fn bytes(&self) -> usize {
        self.0.bytes() + self.1.bytes()
    }
}

pub(crate) fn invalid(error: nshost_plan::Error) -> Error {
    let code = error.code.as_str().to_string();
    Error::Invalid(Problem { code, subject: error.subject, hint: error.hint })
}

/// A policy's refusal in the words of the contract.
fn refused(refusal: Refusal) -> Error {
    let Refusal { kind, capability, subject, hint, .. } = refusal;
    let capability = capability.to_string();
    match kind {
        RefusalKind::Denied | RefusalKind::Forbidden => Error::Denied(Denial { capability, subject, hint }),
        RefusalKind::Conflict => Error::Conflict(Problem { code: capability, subject, hint }),
        RefusalKind::Unsupported => Error::Unsupported(Problem { code: capability, subject, hint }),
    }
}

/// An address without a prefix length.
pub(crate) fn address(text: &str) -> Result<IpAddr, nshost_plan::Error> {
    let hint = "write an IPv4 or IPv6 address, like 169.254.1.2 or fd00::2";
    text.parse().map_err(|_| nshost_plan::Error::new(Code::AddressInvalid, text, hint))
}

/// `nshost:setup/types` has types only.
impl types::Host for State {}
