//! A container's network: all of it, and its undoing.

use std::{io, os::fd::BorrowedFd};

use nshost_ledger::{HostLock, Receipt, Record};
use nshost_plan::{Interface, Plan, Side, Step};

use crate::{
    Error, address, forwarding,
    link::{self, Ends},
    nat,
    netlink::{Batch, Socket},
    route,
    sysctl::Sysctls,
};

/// Whether undo waits for what the kernel takes down by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The container's processes are gone, and with them, soon, its end of each link and so the link.
    LetGo,
    /// The links are removed, and gone when undo returns.
    Gone,
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
) -> Result<(), Error> {
    let mut inside = Socket::route_inside(container)?;
    let ends = link::create(host, receipt.record(), container)?;
    inside.perform(set_up_links(receipt.plan(), Side::Container, &ends))?;
    host.perform(configure(
        set_up_links(receipt.plan(), Side::Host, &ends),
        receipt.plan(),
        Side::Host,
        &ends,
    ))?;
    inside.perform(configure(Batch::default(), receipt.plan(), Side::Container, &ends))?;
    if !ends.is_empty() {
        route_for(receipt, lock, others, host, &ends)?;
        link::await_carrier(&mut inside, receipt.plan())?;
    }
    Ok(())
}

/// Lets the host route what the plan asks for, and nothing else.
fn route_for(
    receipt: &mut Receipt,
    lock: &HostLock,
    others: &[Record],
    host: &mut Socket,
    ends: &[Ends],
) -> Result<(), Error> {
    if !ends.iter().any(|ends| ends.routes) && !may_concern_table(receipt.record()) {
        return Ok(());
    }
    let sysctls = Sysctls::open()?;
    forwarding::turn_off_own(&sysctls, receipt.plan(), ends)?;
    if !concerns_table(receipt.record(), &sysctls)? {
        return Ok(());
    }
    let holds = forwarding::needed(&sysctls, receipt.record(), others, host)?;
    let closed = forwarding::closed(&sysctls, &holds)?;
    receipt.holds(lock, holds).map_err(|e| Error::new("write down", "forwarding", io::Error::other(e)))?;
    // Closed before it is opened.
    nat::add(receipt.record(), &closed)?;
    forwarding::turn_on(&sysctls, receipt.plan(), &closed)
}

/// Undoes all of it, as far as it exists, and touches nothing else. `others`: the records of all other
/// containers of this host of which something may exist, so without those that were undone. The caller
/// holds the host's lock.
pub fn take_down(record: &Record, others: &[Record], wait: Wait) -> Vec<Error> {
    if record.host_is_private && wait == Wait::LetGo {
        return Vec::new();
    }
    let mut errors = leave_table(record, others).unwrap_or_else(|error| vec![error]);
    if wait == Wait::Gone {
        errors.extend(link::remove(record));
    }
    errors
}

fn leave_table(record: &Record, others: &[Record]) -> Result<Vec<Error>, Error> {
    if !may_concern_table(record) {
        return Ok(Vec::new());
    }
    let sysctls = Sysctls::open()?;
    let closed = forwarding::closed(&sysctls, &forwarding::last_holds(&sysctls, record, others)?)?;
    let mut errors = forwarding::turn_off_links(&sysctls, &link::standing(&mut Socket::route()?, record));
    errors.extend(forwarding::turn_off(&sysctls, &closed));
    // What is still open stays closed in the table.
    if errors.is_empty() {
        let last = !others.iter().any(may_concern_table);
        errors.extend(nat::remove(record, &closed, last).err());
    }
    Ok(errors)
}

/// The requests that set one side's interfaces up.
fn set_up_links(plan: &Plan, side: Side, ends: &[Ends]) -> Batch {
    let mut batch = Batch::default();
    for step in plan.steps() {
        if let Step::Up(interface) = step
            && interface.side() == side
            && let Some(index) = index(*interface, ends)
        {
            link::push_up(&mut batch, index, plan.interface_name(*interface));
        }
    }
    batch
}

/// Adds the requests for one side's addresses and routes, in this order: a route needs an interface that
/// is up and has an address.
fn configure(mut batch: Batch, plan: &Plan, side: Side, ends: &[Ends]) -> Batch {
    for address in plan.addresses().filter(|address| address.interface.side() == side) {
        if let Some(index) = index(address.interface, ends) {
            address::add(&mut batch, index, address.cidr, plan.interface_name(address.interface));
        }
    }
    for step in plan.steps() {
        if let Step::Route(route) = step
            && route.interface.side() == side
            && let Some(index) = index(route.interface, ends)
        {
            route::add(&mut batch, index, route, plan.interface_name(route.interface));
        }
    }
    batch
}

fn index(interface: Interface, ends: &[Ends]) -> Option<u32> {
    match interface {
        Interface::Loopback => Some(link::LOOPBACK),
        Interface::End(id, Side::Host) => ends.get(usize::from(id.0)).map(|ends| ends.host),
        Interface::End(id, Side::Container) => ends.get(usize::from(id.0)).map(|ends| ends.container),
    }
}

/// Whether the container has to be in the table: for NAT; or because the host routes IPv6 on all
/// interfaces, and only the table keeps the container's link out of that.
fn concerns_table(record: &Record, sysctls: &Sysctls) -> Result<bool, Error> {
    Ok(record.uses_nftables() || (may_concern_table(record) && forwarding::is_ipv6_router(sysctls)?))
}

/// Whether others matter to this container's network, and it to theirs: what they share is the table and
/// forwarding. The same as above without knowing what the host did when the container was made.
pub fn may_concern_table(record: &Record) -> bool {
    record.uses_nftables() || record.plan.addresses().any(|address| address.cidr.address().is_ipv6())
}
