//! A container's network: all of it, and its undoing.

use std::{
    io,
    os::fd::{BorrowedFd, RawFd},
    thread,
    time::Duration,
};

use nshost_ledger::{Gone, HostLock, Receipt, Record};
use nshost_plan::{Interface, Plan, Side, Step};

use crate::{
    Error, address, aside, forwarding,
    link::{self, Ends},
    nat,
    netlink::{self, Batch, Socket},
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

/// Makes what the receipt's plan says about the network, on the host and in the container's network
/// namespace `container`. `others`: the records of all other containers of this host of which
/// something may exist.
///
/// After an error [`take_down`] undoes what was made.
pub fn set_up(
    receipt: &mut Receipt,
    lock: &HostLock,
    others: &[Record],
    container: BorrowedFd<'_>,
) -> Result<(), Error> {
    let mut inside = Socket::route_inside(container)?;
    let mut host = Socket::route()?;
    let ends = link::create(&mut host, receipt.record(), container)?;
    configure(&mut inside, receipt.plan(), Side::Container, &ends)?;
    configure(&mut host, receipt.plan(), Side::Host, &ends)?;
    if !ends.is_empty() {
        route_for(receipt, lock, others, &mut host, &ends)?;
        link::await_carrier(&mut host, receipt.plan())?;
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

/// Leaves to a child process, for which nobody waits, what the kernel is slow with: the last close of
/// netfilter sockets, and the end of `gone`'s links, after which its entry is removed. The last thing to
/// call before the process exits. Should the child be killed, the next command sees to it.
pub fn leave(gone: Option<Gone>) {
    let sockets = netlink::take_lingering();
    let kept: Vec<RawFd> = gone.iter().map(Gone::descriptor).collect();
    if !sockets.is_empty() || !kept.is_empty() {
        aside::after_exit(sockets, &kept, || {
            if let Some(gone) = gone {
                forget_when_vanished(gone);
            }
        });
    }
}

/// Some tens of milliseconds, as a rule.
fn forget_when_vanished(gone: Gone) {
    for _ in 0..100 {
        thread::sleep(Duration::from_millis(20));
        if let Ok(false) = link::any_left(gone.record()) {
            let _ = gone.forget();
            return;
        }
    }
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

/// Addresses, routes and links up on one side, in one system call.
fn configure(socket: &mut Socket, plan: &Plan, side: Side, ends: &[Ends]) -> Result<(), Error> {
    let index = |interface: Interface| match interface {
        Interface::Loopback => Some(link::LOOPBACK),
        Interface::End(id, Side::Host) => ends.get(usize::from(id.0)).map(|ends| ends.host),
        Interface::End(id, Side::Container) => ends.get(usize::from(id.0)).map(|ends| ends.container),
    };
    let mut batch = Batch::default();
    // In this order: a route needs an interface that is up and has an address. Host ends are made up.
    for step in plan.steps() {
        if let Step::Up(interface) = step
            && side == Side::Container
            && interface.side() == side
            && let Some(index) = index(*interface)
        {
            link::push_up(&mut batch, index, plan.interface_name(*interface));
        }
    }
    for address in plan.addresses().filter(|address| address.interface.side() == side) {
        if let Some(index) = index(address.interface) {
            address::add(&mut batch, index, address.cidr, plan.interface_name(address.interface));
        }
    }
    for step in plan.steps() {
        if let Step::Route(route) = step
            && route.interface.side() == side
            && let Some(index) = index(route.interface)
        {
            route::add(&mut batch, index, route, plan.interface_name(route.interface));
        }
    }
    socket.perform(batch)
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
