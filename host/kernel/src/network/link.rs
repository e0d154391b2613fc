//! veth pairs (`veth(4)`), and telling ours from other people's.

use std::{
    os::fd::{AsRawFd, BorrowedFd},
    thread,
    time::{Duration, Instant},
};

use netlink_bindings::{
    rt_link::{
        Ifinfomsg, IterableLinkAttrs, OpDellinkDo, OpGetlinkDo, OpGetlinkDump, OpNewlinkDo, OpSetlinkDo,
    },
    traits::Pusher,
    utils,
};
use nshost_ledger::{Mac, Record};
use nshost_plan::{Interface, InterfaceId, Link, LinkName, Plan};

use crate::{
    Error,
    network::{
        address,
        netlink::{Batch, Socket, retry},
    },
    table::ruleset::{GROUP, PASSES, group},
};

/// The index of `lo` in every network namespace (`LOOPBACK_IFINDEX`).
pub(crate) const LOOPBACK: u32 = 1;
/// `VETH_INFO_PEER` (`linux/veth.h`).
const VETH_INFO_PEER: u16 = 1;
/// Without a number the kernel makes one queue for each processor and then gives all but one up, for which
/// it waits until no processor looks at them (`veth_init_queues`): some 60 µs for each end.
const QUEUES: u32 = 1;
const UP: u32 = libc::IFF_UP as u32;
/// `RTEXT_FILTER_SKIP_STATS` (`linux/rtnetlink.h`): counters are most of a link's description.
const SKIP_STATS: u32 = 8;
/// The name of a link whose container is gone and that the kernel has not removed yet, before its
/// index in hexadecimal: 7 and at most 8 characters.
const DYING: &str = LinkName::RETIRED;
const CARRIER_PATIENCE: Duration = Duration::from_millis(20);
/// `IF_OPER_UP` (RFC 2863).
const IN_USE: u8 = 6;

/// The kernel's indexes of the interfaces that a plan makes, each in its own namespace.
#[derive(Debug)]
pub(crate) struct Indexes(Vec<u32>);

impl Indexes {
    /// None for one that was not made.
    pub(crate) fn of(&self, interface: Interface) -> Option<u32> {
        match interface {
            Interface::Loopback(_) => Some(LOOPBACK),
            Interface::Made(InterfaceId(id)) => self.0.get(usize::from(id)).copied(),
        }
    }

    fn set(&mut self, id: InterfaceId, index: u32) {
        if let Some(mine) = self.0.get_mut(usize::from(id.0)) {
            *mine = index;
        }
    }
}

/// Both ends of a link, the host's first.
fn ends(first: InterfaceId, link: &Link) -> [(InterfaceId, &LinkName); 2] {
    link.host_first().map(|(before, end)| (InterfaceId(first.0 + before), &end.name))
}

/// A link as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) up: bool,
    /// Whether packets pass (`ip link` says UP, not LOWERLAYERDOWN).
    pub(crate) in_use: bool,
    pub(crate) loopback: bool,
    /// Whether it is in the group of the links that nshost makes.
    pub(crate) ours: bool,
    pub(crate) mac: Option<Mac>,
    /// The index of the other end.
    pub(crate) peer: Option<u32>,
    pub(crate) is_veth: bool,
}

/// Makes all links of the plan, down: host ends here, with the hardware addresses of the record, in our group;
/// container ends straight in `container`. One system call for a few of them.
pub(crate) fn create(
    host: &mut Socket,
    record: &Record,
    container: BorrowedFd<'_>,
) -> Result<Indexes, Error> {
    let mut batch = Batch::default();
    let mut pairs = Vec::new();
    for ((first, link), mac) in record.plan.links().zip(&record.macs) {
        let pair @ [(_, host_end), (_, container_end)] = ends(first, link);
        match link {
            Link::Veth(_) => {
                push_veth(&mut batch, [host_end, container_end], *mac, group(record), container);
            }
        }
        push_get(&mut batch, host_end.as_str());
        pairs.push(pair);
    }
    let mut indexes = Indexes(vec![0; record.plan.interfaces().count()]);
    host.query(batch, |request, _, message| {
        if let (Some(seen), Some([(host, _), (container, _)])) =
            (Seen::parse(message), pairs.get(request / 2))
        {
            indexes.set(*host, seen.index);
            indexes.set(*container, seen.peer.unwrap_or_default());
        }
    })?;
    Ok(indexes)
}

/// Not up: the kernel refuses that for the container's end (ENOTCONN), since its other end is not there
/// yet; and a host's end that is up before the other is taken out of use again at the first look, for which
/// the kernel waits as for queues.
fn push_veth(batch: &mut Batch, ends: [&LinkName; 2], mac: Mac, group: u32, container: BorrowedFd<'_>) {
    let [host_end, container_end] = ends;
    let subject = format!("{host_end} (host) — {container_end} (container)");
    let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    batch.push(libc::RTM_NEWLINK, flags, "make veth", subject, |bytes| {
        OpNewlinkDo::encode_request(bytes, &Ifinfomsg::new())
            .push_ifname_bytes(host_end.as_str().as_bytes())
            .push_address(&mac)
            .push_group(group)
            .push_num_tx_queues(QUEUES)
            .push_num_rx_queues(QUEUES);
        let info = utils::push_nested_header(bytes, libc::IFLA_LINKINFO);
        utils::push_header(bytes, libc::IFLA_INFO_KIND, 4);
        bytes.extend(b"veth");
        let data = utils::push_nested_header(bytes, libc::IFLA_INFO_DATA);
        let peer = utils::push_nested_header(bytes, VETH_INFO_PEER);
        OpNewlinkDo::encode_request(bytes, &Ifinfomsg::new())
            .push_ifname_bytes(container_end.as_str().as_bytes())
            .push_net_ns_fd(container.as_raw_fd() as u32)
            .push_num_tx_queues(QUEUES)
            .push_num_rx_queues(QUEUES);
        for nested in [peer, data, info] {
            utils::finalize_nested_header(bytes, nested);
        }
    });
}

fn push_get(batch: &mut Batch, name: &str) {
    batch.push(libc::RTM_GETLINK, 0, "look at link", name, |bytes| {
        OpGetlinkDo::encode_request(bytes, &Ifinfomsg::new())
            .push_ifname_bytes(name.as_bytes())
            .push_ext_mask(SKIP_STATS);
    });
}

/// Whether a veth can be made; to be called in a network namespace that nobody else sees.
pub(crate) fn try_veth() -> Result<(), Error> {
    let mut batch = Batch::default();
    batch.push(
        libc::RTM_NEWLINK,
        libc::NLM_F_CREATE | libc::NLM_F_EXCL,
        "make veth",
        "for a trial",
        |bytes| {
            OpNewlinkDo::encode_request(bytes, &Ifinfomsg::new()).nested_linkinfo().push_kind(c"veth");
        },
    );
    Socket::route()?.perform(batch)
}

/// Sets `lo` of the caller's network namespace up.
pub(crate) fn loopback_up() -> Result<(), Error> {
    let mut batch = Batch::default();
    push_up(&mut batch, LOOPBACK, "lo");
    Socket::route()?.perform(batch)
}

/// Adds a request that sets the interface of this index up.
pub(crate) fn push_up(batch: &mut Batch, index: u32, name: &str) {
    push_set(batch, index, "set up", name, UP, |_| {});
}

fn push_set(
    batch: &mut Batch,
    index: u32,
    step: &'static str,
    name: &str,
    flags: u32,
    more: impl FnOnce(&mut Vec<u8>),
) {
    let mut header = Ifinfomsg::new();
    header.ifi_index = index as i32;
    (header.ifi_flags, header.ifi_change) = (flags, if step == "rename" { 0 } else { UP });
    batch.push(libc::RTM_NEWLINK, 0, step, name, |bytes| {
        more(OpSetlinkDo::encode_request(bytes, &header).as_vec_mut());
    });
}

/// Adds a request for all links, or all veths.
pub(crate) fn push_dump(batch: &mut Batch, veths_only: bool) {
    batch.push(libc::RTM_GETLINK, libc::NLM_F_DUMP, "list links", "of the host", |bytes| {
        let attributes = OpGetlinkDump::encode_request(bytes, &Ifinfomsg::new()).push_ext_mask(SKIP_STATS);
        if veths_only {
            attributes.nested_linkinfo().push_kind(c"veth");
        }
    });
}

/// Waits, for milliseconds at most, until what is sent into the links arrives.
///
/// The end that was set up first, the container's, has carrier as soon as the other is up, but the kernel
/// takes it into use only in a worker of its own (`linkwatch`), and until then drops what is sent: a first
/// packet lost is a second lost for TCP. Looking at the link does that work on newer kernels, and on others
/// it is over before a command can have started, unless the machine is busy; so usually this looks once.
pub(crate) fn await_carrier(inside: &mut Socket, plan: &Plan) -> Result<(), Error> {
    let up = |id| plan.is_up(Interface::Made(id));
    let mut pending: Vec<&str> = plan
        .interfaces()
        .filter(|(id, end)| end.at.container().is_some() && up(*id) && plan.peer(*id).is_some_and(up))
        .map(|(_, end)| end.name.as_str())
        .collect();
    let start = Instant::now();
    while !pending.is_empty() && start.elapsed() < CARRIER_PATIENCE {
        let mut batch = Batch::default();
        pending.iter().for_each(|name| push_get(&mut batch, name));
        let mut used = Vec::new();
        inside.query(batch, |_, _, message| used.extend(Seen::parse(message).filter(|seen| seen.in_use)))?;
        pending.retain(|name| !used.iter().any(|seen| seen.name == *name));
        if !pending.is_empty() {
            thread::sleep(Duration::from_micros(50));
        }
    }
    Ok(())
}

/// Frees the names, addresses and connected routes of containers that have ended, at once.
///
/// The kernel takes 1–70 ms to remove a link after the last process of the other end's namespace is
/// gone. Until then such a link is renamed; a link that is not ours by kind, name and hardware
/// address is not touched. `gone`: records whose containers' processes have ended.
pub fn clear_dying(gone: &[Record]) -> Vec<Error> {
    if gone.iter().all(|record| record.macs.is_empty()) {
        return Vec::new();
    }
    let mut socket = match Socket::route() {
        Ok(socket) => socket,
        Err(error) => return vec![error],
    };
    let mut batch = Batch::default();
    let ends: Vec<_> =
        gone.iter().flat_map(|record| record.host_ends().map(move |end| (record, end))).collect();
    for (_, (_, name, _)) in &ends {
        push_get(&mut batch, name.as_str());
    }
    let mut dying = Vec::new();
    let failures = socket.exchange(batch, |request, _, message| {
        let (record, (id, name, mac)) = ends[request];
        if let Some(seen) = Seen::parse(message).filter(|seen| seen.is_ours(name, mac)) {
            dying.push((seen, &record.plan, id));
        }
    });
    let mut errors: Vec<Error> =
        failures.into_iter().map(|failure| failure.error).filter(|e| !is_gone(e)).collect();
    for (seen, plan, id) in dying {
        errors.extend(retire(&mut socket, &seen, plan, id));
    }
    errors
}

/// Takes name and addresses from a dying link.
fn retire(socket: &mut Socket, seen: &Seen, plan: &Plan, id: InterfaceId) -> Vec<Error> {
    let rename = |batch: &mut Batch| {
        push_set(batch, seen.index, "rename", &seen.name, 0, |bytes| {
            let name = format!("{DYING}{:x}\0", seen.index);
            utils::push_header(bytes, libc::IFLA_IFNAME, name.len() as u16);
            bytes.extend(name.as_bytes());
        });
    };
    let mut batch = Batch::default();
    rename(&mut batch);
    for cidr in plan.addresses_of(id) {
        address::remove(&mut batch, seen.index, *cidr, &seen.name);
    }
    let mut errors = Vec::new();
    for failure in socket.exchange(batch, |_, _, _| {}) {
        if failure.index == 0 && failure.error.errno() == Some(libc::EBUSY) {
            // Before Linux 6.2 only a link that is down can be renamed.
            let mut batch = Batch::default();
            push_set(&mut batch, seen.index, "set down", &seen.name, 0, |_| {});
            rename(&mut batch);
            errors.extend(socket.perform(batch).err());
        } else {
            errors.push(failure.error);
        }
    }
    errors.retain(|error| !is_gone(error));
    errors
}

/// Which of the record's host ends are there under their own names.
pub(crate) fn standing<'r>(socket: &mut Socket, record: &'r Record) -> Vec<&'r LinkName> {
    let ends: Vec<_> = record.host_ends().map(|(_, name, mac)| (name, mac)).collect();
    let mut batch = Batch::default();
    ends.iter().for_each(|(name, _)| push_get(&mut batch, name.as_str()));
    let mut standing = Vec::new();
    socket.exchange(batch, |request, _, message| {
        let (name, mac) = ends[request];
        if Seen::parse(message).is_some_and(|seen| seen.is_ours(name, mac)) {
            standing.push(name);
        }
    });
    standing
}

/// Takes from links of a container that has ended what they have, so far as they are still there: somebody
/// may hold on to the container's network namespace, and send by them.
pub fn silence(record: &Record) -> Result<(), Error> {
    if record.macs.is_empty() {
        return Ok(());
    }
    let mut socket = Socket::route()?;
    let mut batch = Batch::default();
    for seen in find(&mut socket, record)? {
        push_set(&mut batch, seen.index, "set down", &seen.name, 0, |_| {});
        let own = |(id, _, mac): (InterfaceId, &LinkName, Mac)| (seen.mac == Some(mac)).then_some(id);
        let Some(id) = record.host_ends().find_map(own) else { continue };
        for cidr in record.plan.addresses_of(id) {
            address::remove(&mut batch, seen.index, *cidr, &seen.name);
        }
    }
    let failures = socket.exchange(batch, |_, _, _| {});
    let error = failures.into_iter().map(|failure| failure.error).find(|error| !is_gone(error));
    error.map_or(Ok(()), Err)
}

/// Whether the kernel still has one of the record's links.
pub fn any_left(record: &Record) -> Result<bool, Error> {
    Ok(!record.macs.is_empty() && !find(&mut Socket::route()?, record)?.is_empty())
}

/// Removes the record's links, as far as they exist, and returns when they are gone.
pub fn remove(record: &Record) -> Vec<Error> {
    if record.macs.is_empty() {
        return Vec::new();
    }
    let found = Socket::route().and_then(|mut socket| find(&mut socket, record).map(|found| (socket, found)));
    let (mut socket, found) = match found {
        Ok(found) => found,
        Err(error) => return vec![error],
    };
    let mut batch = Batch::default();
    for seen in found {
        let mut header = Ifinfomsg::new();
        header.ifi_index = seen.index as i32;
        batch.push(libc::RTM_DELLINK, 0, "remove link", &seen.name, |bytes| {
            drop(OpDellinkDo::encode_request(bytes, &header));
        });
    }
    let failures = socket.exchange(batch, |_, _, _| {});
    failures.into_iter().map(|failure| failure.error).filter(|error| !is_gone(error)).collect()
}

/// The record's links, by whichever of their names.
fn find(socket: &mut Socket, record: &Record) -> Result<Vec<Seen>, Error> {
    let veths = retry(|| {
        let mut batch = Batch::default();
        push_dump(&mut batch, true);
        let mut veths = Vec::new();
        socket.query(batch, |_, _, message| veths.extend(Seen::parse(message)))?;
        Ok(veths)
    })?;
    let ours = |seen: &Seen| record.host_ends().any(|(_, name, mac)| seen.is_ours(name, mac));
    Ok(veths.into_iter().filter(ours).collect())
}

/// Whether an undo step failed because there is nothing to undo.
fn is_gone(error: &Error) -> bool {
    matches!(error.errno(), Some(libc::ENODEV | libc::EADDRNOTAVAIL))
}

impl Seen {
    /// From an `RTM_NEWLINK` message's body.
    pub(crate) fn parse(message: &[u8]) -> Option<Seen> {
        let header = Ifinfomsg::new_from_slice(message.get(..Ifinfomsg::len())?)?;
        let (_, attributes) = OpNewlinkDo::decode_request(message);
        let attributes: IterableLinkAttrs<'_> = attributes;
        let kind = attributes.get_linkinfo().ok().and_then(|info| info.get_kind().ok());
        Some(Seen {
            index: u32::try_from(header.ifi_index).ok()?,
            name: attributes.get_ifname().ok()?.to_string_lossy().into_owned(),
            up: header.ifi_flags & UP != 0,
            in_use: attributes.get_operstate() == Ok(IN_USE),
            loopback: header.ifi_flags & libc::IFF_LOOPBACK as u32 != 0,
            ours: attributes.get_group().is_ok_and(|group| group & !PASSES == GROUP),
            mac: attributes.get_address().ok().and_then(|bytes| bytes.try_into().ok()),
            peer: attributes.get_link().ok(),
            is_veth: kind == Some(c"veth"),
        })
    }

    /// Never by name alone: a name can be anybody's, a random hardware address that was written down
    /// before the link was made is ours.
    fn is_ours(&self, name: &LinkName, mac: Mac) -> bool {
        let retired = self.name == format!("{DYING}{:x}", self.index);
        self.is_veth && self.mac == Some(mac) && (self.name == name.as_str() || retired)
    }
}
