//! One step of a plan.

use serde::{Deserialize, Serialize};

use crate::{
    AbsolutePath, Address, Command, Forward, Interface, Masquerade, Namespace, ResolvConf, Route, UtsName,
    Variable, Veth,
};

/// What a script can ask for, one variant each. Policy, undo, apply and show are one `match` away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
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
    /// A veth pair between host and container.
    Veth(Veth),
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
