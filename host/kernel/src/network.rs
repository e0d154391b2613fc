//! A container's network: all of it, and its undoing.

use std::{io, os::fd::BorrowedFd};

use nshost_ledger::{HostLock, Receipt, Record};
use nshost_plan::{Interface, Plan, Side, Step};

use crate::{
    Error, address, conntrack,
    forwarding::{self, Closed},
    link::{self, Ends},
    netlink::{Batch, Socket},
    owner::Owner,
    port::Ports,
    route, settings,
    sysctl::Sysctls,
    table,
};

/// Whether undo waits for what the kernel takes down by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The container's processes are gone, and with them, soon, its end of each link and so the link.
    LetGo,
    /// The links are removed, and gone when undo returns.
    Gone,
}

/// What this process holds for a container's network: to be kept until it is taken down, and handed to that.
#[derive(Debug, Default)]
pub struct Held {
    /// The right to change the tables that guard its links, if it has any.
    owner: Option<Owner>,
    /// The ports of the host that lead to it.
    _ports: Ports,
}

impl Held {
    /// Leaves what takes the kernel long to close to be closed where nobody waits.
    pub fn linger(self) {
        if let Some(owner) = self.owner {
            owner.linger();
        }
    }
}

/// Makes what the receipt's plan says about the network, on the host by `host` and in the container's
/// network namespace `container`. `others`: the records of all other containers of this host of which
/// something may exist.
///
/// After an error [`take_down`] undoes what was made.
pub fn set_up(
    receipt: &mut Receipt,
    lock: &HostLock,
    others: &[Record],
    host: &mut Socket,
    container: BorrowedFd<'_>,
) -> Result<Held, Error> {
    let mut inside = Socket::route_inside(container)?;
    let ends = link::create(host, receipt.record(), container)?;
    let mut batch = Batch::default();
    for ((_, veth), ends) in receipt.plan().links().zip(&ends) {
        settings::push_ipv4(&mut batch, ends.host, &veth.host);
    }
    host.perform(batch)?;
    let held = if ends.is_empty() { Held::default() } else { guard(receipt, lock, others, host)? };
    let mut batch = Batch::default();
    set_up_links(&mut batch, receipt.plan(), Side::Container, &ends);
    inside.perform(batch)?;
    let mut batch = Batch::default();
    set_up_links(&mut batch, receipt.plan(), Side::Host, &ends);
    configure(&mut batch, receipt.plan(), Side::Host, &ends);
    host.perform(batch)?;
    let mut batch = Batch::default();
    configure(&mut batch, receipt.plan(), Side::Container, &ends);
    inside.perform(batch)?;
    link::await_carrier(&mut inside, receipt.plan())?;
    Ok(held)
}

/// Everything that stands between the links and the host, before they are up; then lets the host route what
/// the plan asks for.
fn guard(
    receipt: &mut Receipt,
    lock: &HostLock,
    others: &[Record],
    host: &mut Socket,
) -> Result<Held, Error> {
    let sysctls = Sysctls::open()?;
    settings::settle_ipv6(&sysctls, receipt.plan())?;
    let ports = Ports::hold(receipt.plan())?;
    let mut closed = Closed::default();
    if receipt.record().has_nat() {
        let holds = forwarding::needed(&sysctls, receipt.record(), others, host)?;
        closed = forwarding::closed(&sysctls, &holds)?;
        receipt
            .holds(lock, holds)
            .map_err(|e| Error::new("write down", "forwarding", io::Error::other(e)))?;
    }
    // Closed before it is opened.
    let owner = table::join(receipt, lock, others, &closed, &sysctls)?;
    forwarding::turn_on(&sysctls, receipt.plan(), &closed)?;
    Ok(Held { owner: Some(owner), _ports: ports })
}

/// Undoes all of it, as far as it exists, and touches nothing else. `others`: the records of all other
/// containers of this host of which something may exist, so without those that were undone. `held`: what
/// [`set_up`] gave to this process, if it was this one. The caller holds the host's lock.
pub fn take_down(record: &Record, others: &[Record], wait: Wait, held: Held) -> Vec<Error> {
    if record.host_is_private && wait == Wait::LetGo {
        return Vec::new();
    }
    let mut errors = if record.has_links() {
        leave_tables(record, others, held).unwrap_or_else(|error| vec![error])
    } else {
        Vec::new()
    };
    if wait == Wait::Gone {
        errors.extend(link::remove(record));
    }
    errors
}

fn leave_tables(record: &Record, others: &[Record], held: Held) -> Result<Vec<Error>, Error> {
    let sysctls = Sysctls::open()?;
    let (mut closed, mut errors) = (Closed::default(), Vec::new());
    if record.has_nat() {
        closed = forwarding::closed(&sysctls, &forwarding::last_holds(&sysctls, record, others)?)?;
        errors = forwarding::turn_off_links(&sysctls, &link::standing(&mut Socket::route()?, record));
        errors.extend(forwarding::turn_off(&sysctls, &closed));
    }
    // What is still open stays closed in the table.
    if !errors.is_empty() {
        held.linger();
        return Ok(errors);
    }
    table::leave(record, held.owner, others, &closed)?;
    if record.has_nat() {
        errors.extend(conntrack::forget(&record.plan).err());
    }
    Ok(errors)
}

/// Adds the requests that set one side's interfaces up.
fn set_up_links(batch: &mut Batch, plan: &Plan, side: Side, ends: &[Ends]) {
    for step in plan.steps() {
        if let Step::Up(interface) = step
            && interface.side() == side
            && let Some(index) = index(*interface, ends)
        {
            link::push_up(batch, index, plan.interface_name(*interface));
        }
    }
}

/// Adds the requests for one side's addresses and routes, in this order: a route needs an interface that
/// is up and has an address.
fn configure(batch: &mut Batch, plan: &Plan, side: Side, ends: &[Ends]) {
    for address in plan.addresses().filter(|address| address.interface.side() == side) {
        if let Some(index) = index(address.interface, ends) {
            address::add(batch, index, address.cidr, plan.interface_name(address.interface));
        }
    }
    for step in plan.steps() {
        if let Step::Route(route) = step
            && route.interface.side() == side
            && let Some(index) = index(route.interface, ends)
        {
            route::add(batch, index, route, plan.interface_name(route.interface));
        }
    }
}

fn index(interface: Interface, ends: &[Ends]) -> Option<u32> {
    match interface {
        Interface::Loopback => Some(link::LOOPBACK),
        Interface::End(id, Side::Host) => ends.get(usize::from(id.0)).map(|ends| ends.host),
        Interface::End(id, Side::Container) => ends.get(usize::from(id.0)).map(|ends| ends.container),
    }
}
