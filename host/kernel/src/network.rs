//! A container's network: all of it, and its undoing.

mod address;
pub(crate) mod conntrack;
pub(crate) mod enter;
pub(crate) mod forwarding;
pub mod host;
pub mod link;
pub(crate) mod listeners;
pub(crate) mod netlink;
mod port;
mod route;
mod settings;
pub(crate) mod sysctl;

use std::{io, os::fd::BorrowedFd};

use nshost_ledger::{HostLock, NetworkNamespaceId, Others, Receipt, Record};
use nshost_plan::{Around, ContainerId, Interface, Place, Plan};

use self::{
    forwarding::Closed,
    link::Indexes,
    netlink::{Batch, Socket},
    port::Ports,
    sysctl::Sysctls,
};
use crate::{
    Error,
    foreign::{self, Refusing},
    table::{self, owner::Owner},
};

/// Asked only where it matters: usually nobody else does.
pub type AskOthers<'a> = dyn Fn() -> Result<Others, Error> + 'a;

/// What this process holds for a container's network: to be kept until it is taken down, and handed to that.
#[derive(Debug, Default)]
pub struct Held {
    /// The right to change the tables that guard its links, if it has any.
    owner: Option<Owner>,
    /// What of other people's firewalls refuses what is routed for it.
    refusing: Vec<Refusing>,
    /// The ports of the host that lead to it.
    _ports: Ports,
}

impl Held {
    /// What of other people's firewalls refuses what is routed to and from the container: it is deaf by that way.
    pub fn refusing(&self) -> &[Refusing] {
        &self.refusing
    }
}

/// Makes what the receipt's plan says about the network, on the host by `host` and in the container's
/// network namespace `container`. `others` tells the records of all other containers of this host of which
/// something may exist.
///
/// After an error [`take_down`] undoes what was made.
pub fn set_up(
    receipt: &mut Receipt,
    lock: &HostLock,
    others: &AskOthers<'_>,
    host: &mut Socket,
    container: BorrowedFd<'_>,
) -> Result<Held, Error> {
    let mut inside = Socket::route_inside(container)?;
    let indexes = link::create(host, receipt.record(), container)?;
    let mut batch = Batch::default();
    for (id, end) in receipt.plan().interfaces_at(Place::Host) {
        if let Some(index) = indexes.of(Interface::Made(id)) {
            settings::push_ipv4(&mut batch, index, &end.name);
        }
    }
    host.perform(batch)?;
    let held =
        if receipt.record().has_links() { guard(receipt, lock, others, host)? } else { Held::default() };
    let up = bring_up(receipt.plan(), host, &mut inside, &indexes);
    match up {
        Ok(()) => Ok(held),
        Err(error) => {
            // It was left word of this process's owner: whoever undoes this takes it from there.
            held.owner.into_iter().for_each(Owner::linger);
            Err(error)
        }
    }
}

fn bring_up(plan: &Plan, host: &mut Socket, inside: &mut Socket, indexes: &Indexes) -> Result<(), Error> {
    let container = Place::Container(ContainerId::FIRST);
    let mut batch = Batch::default();
    set_up_links(&mut batch, plan, container, indexes);
    inside.perform(batch)?;
    let mut batch = Batch::default();
    set_up_links(&mut batch, plan, Place::Host, indexes);
    configure(&mut batch, plan, Place::Host, indexes);
    host.perform(batch)?;
    let mut batch = Batch::default();
    configure(&mut batch, plan, container, indexes);
    inside.perform(batch)?;
    link::await_carrier(inside, plan)
}

/// Everything that stands between the links and the host, before they are up; then lets the host route what
/// the plan asks for.
fn guard(
    receipt: &mut Receipt,
    lock: &HostLock,
    others: &AskOthers<'_>,
    host: &mut Socket,
) -> Result<Held, Error> {
    let sysctls = Sysctls::open()?;
    settings::settle_ipv6(&sysctls, receipt.plan())?;
    let ports = Ports::hold(receipt.plan())?;
    let mut closed = Closed::default();
    if receipt.record().has_nat() {
        let holds = forwarding::needed(&sysctls, receipt.record(), &others()?, host)?;
        closed = forwarding::closed(&sysctls, &holds)?;
        receipt
            .holds(lock, holds)
            .map_err(|e| Error::new("write down", "forwarding", io::Error::other(e)))?;
    }
    // On a host that was made for this container alone there is nobody else to guard, or to reach.
    let alone = receipt.record().host_is_private && !receipt.record().has_nat();
    // Closed before it is opened.
    let mut owner = (!alone).then(|| table::join(receipt, lock, others, &closed, &sysctls)).transpose()?;
    let opened = open(receipt, lock, &closed, &sysctls, owner.as_mut());
    match opened {
        Ok(refusing) => Ok(Held { owner, refusing, _ports: ports }),
        Err(error) => {
            owner.into_iter().for_each(Owner::linger);
            Err(error)
        }
    }
}

/// Lets the host route what the plan asks for, and asks other firewalls to.
fn open(
    receipt: &mut Receipt,
    lock: &HostLock,
    closed: &Closed,
    sysctls: &Sysctls,
    owner: Option<&mut Owner>,
) -> Result<Vec<Refusing>, Error> {
    let routed = receipt.record().has_nat() && !receipt.record().host_is_private;
    let refusing = match owner.filter(|_| routed) {
        Some(owner) => foreign::settle(receipt, lock, owner.socket())?,
        None => Vec::new(),
    };
    forwarding::turn_on(sysctls, receipt.plan(), closed)?;
    Ok(refusing)
}

/// Undoes what this process has made, so far as nobody does it better: the container's links go with its
/// processes, and the tables are taken away by whoever gets their owner, which is what this returns. `others`: as many
/// records of other containers of this host as tell what this one holds alone. Under the host's lock.
pub fn let_go(record: &Record, others: &[Record], held: Held) -> (Option<Owner>, Vec<Error>) {
    let Some(mut owner) = held.owner.filter(|_| !record.host_is_private) else {
        return (None, Vec::new());
    };
    let mut errors = foreign::take_out(record, others, owner.socket());
    let (closed, unclosed) = close(record, others);
    errors.extend(unclosed);
    // What is still open stays closed in the table.
    if errors.is_empty() {
        errors.extend(table::leave(record, &mut owner, &closed).err());
    }
    if errors.is_empty() && record.has_nat() {
        errors.extend(conntrack::forget(owner.socket(), &record.plan).err());
    }
    (Some(owner), errors)
}

/// Undoes all of it, as far as it exists, whoever made it, and touches nothing else; returns when it is gone.
/// `others`: as above, so without those that were undone.
pub fn take_down(record: &Record, lock: &HostLock, others: &Others) -> Vec<Error> {
    if !record.has_links() {
        return Vec::new();
    }
    let mut errors = Vec::new();
    if !record.passing.is_empty() {
        match Socket::netfilter() {
            Ok(mut socket) => errors.extend(foreign::take_out(record, others, &mut socket)),
            Err(error) => errors.push(error),
        }
    }
    let (closed, unclosed) = close(record, others);
    errors.extend(unclosed);
    if errors.is_empty() {
        errors.extend(table::clear(record, None, lock, others, &closed).err());
    }
    if errors.is_empty() && record.has_nat() {
        errors.extend(
            Socket::netfilter().and_then(|mut socket| conntrack::forget(&mut socket, &record.plan)).err(),
        );
    }
    errors.extend(link::remove(record));
    errors
}

/// Takes away the tables that none of `others` needs, all of whom something may exist on this host.
pub fn sweep_tables(
    owner: Option<Owner>,
    lock: &HostLock,
    host: NetworkNamespaceId,
    others: &Others,
) -> Result<(), Error> {
    table::sweep(owner, lock, host, others)
}

/// Turns off what only this container needed; what that is the table closes until then.
fn close(record: &Record, others: &[Record]) -> (Closed, Vec<Error>) {
    if !record.has_nat() {
        return (Closed::default(), Vec::new());
    }
    let closed = || {
        let sysctls = Sysctls::open()?;
        let closed = forwarding::closed(&sysctls, &forwarding::last_holds(&sysctls, record, others)?)?;
        let standing = link::standing(&mut Socket::route()?, record);
        let mut errors = forwarding::turn_off_links(&sysctls, &standing);
        errors.extend(forwarding::turn_off(&sysctls, &closed));
        Ok((closed, errors))
    };
    closed().unwrap_or_else(|error| (Closed::default(), vec![error]))
}

/// Adds the requests that set the interfaces of one place up.
fn set_up_links(batch: &mut Batch, plan: &Plan, place: Place, indexes: &Indexes) {
    for around in plan.around() {
        match around {
            Around::Up(interface) => {
                if let Some(index) = here(plan, place, *interface, indexes) {
                    link::push_up(batch, index, plan.interface_name(*interface));
                }
            }
            Around::Link(_)
            | Around::Address(_)
            | Around::Route(_)
            | Around::Masquerade(_)
            | Around::Forward(_) => {}
        }
    }
}

/// Adds the requests for one place's addresses, and then for its routes: a route needs an interface that
/// is up and has an address.
fn configure(batch: &mut Batch, plan: &Plan, place: Place, indexes: &Indexes) {
    let mut routes = Vec::new();
    for around in plan.around() {
        match around {
            Around::Address(address) => {
                if let Some(index) = here(plan, place, address.interface, indexes) {
                    address::add(batch, index, address.cidr, plan.interface_name(address.interface));
                }
            }
            Around::Route(route) => {
                routes.extend(here(plan, place, route.interface, indexes).map(|index| (index, route)));
            }
            Around::Link(_) | Around::Up(_) | Around::Masquerade(_) | Around::Forward(_) => {}
        }
    }
    for (index, route) in routes {
        route::add(batch, index, route, plan.interface_name(route.interface));
    }
}

/// The interface's index, if it lives in this place.
fn here(plan: &Plan, place: Place, interface: Interface, indexes: &Indexes) -> Option<u32> {
    (plan.place(interface) == Some(place)).then(|| indexes.of(interface)).flatten()
}
