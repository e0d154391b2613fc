//! One step of a plan.

use serde::{Deserialize, Serialize};

use crate::{
    AbsolutePath, Address, Command, ContainerId, Forward, Interface, Link, Masquerade, Namespace, ResolvConf,
    Route, UtsName, Variable,
};

/// What a script can ask for, in two rooms: what happens in a container, and what happens around it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// The container's first process does it.
    Inside(ContainerId, Inside),
    /// The broker does it.
    Around(Around),
}

/// What happens in a container, one variant each. Policy, apply and show are one `match` away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Inside {
    /// A namespace of its own.
    Namespace(Namespace),
    /// The hostname in the UTS namespace.
    Hostname(UtsName),
    /// The NIS domain name in the UTS namespace.
    DomainName(UtsName),
    /// No mount event comes in or goes out (`MS_PRIVATE`, recursively from `/`).
    PrivatePropagation,
    /// A `/proc` that shows the container's own processes.
    Proc,
    /// The container's name servers.
    ResolvConf(ResolvConf),
    /// What is executed.
    Command(Command),
    /// A variable of its environment.
    Variable(Variable),
    /// Where it starts.
    WorkingDirectory(AbsolutePath),
}

/// What happens between containers and host, one variant each. Policy, undo, apply and show are one `match` away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Around {
    /// Interfaces that are made.
    Link(Link),
    /// An address on an interface.
    Address(Address),
    /// An interface set up.
    Up(Interface),
    /// A route.
    Route(Route),
    /// Source NAT towards the outside.
    Masquerade(Masquerade),
    /// Destination NAT from ports of the host.
    Forward(Forward),
}

impl From<Around> for Step {
    fn from(around: Around) -> Step {
        Step::Around(around)
    }
}

impl Inside {
    /// The step of the first container.
    pub fn of_first(self) -> Step {
        Step::Inside(ContainerId::FIRST, self)
    }
}
