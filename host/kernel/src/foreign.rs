//! Other people's firewalls, so far as they concern what we route: which of them refuses it, and letting it
//! through where the operator has granted that.
//!
//! Each base chain decides for itself: that ours accept a packet does not help it in a chain whose policy is to
//! drop, as Docker's is for `FORWARD`. There, two rules for all containers that may pass accept what comes in by,
//! and what goes out by, a link of the group [`PASSING`]: which our own tables guard, so that these rules open
//! nothing that those do not close. They are matches of iptables' own (`xt_devgroup`), since iptables cannot read
//! nftables' `iifgroup` back, and carry a comment by which they are told from the operator's. Native chains of
//! others are never changed.
//!
//! A rule counts as letting a container through only if it says so by its links' group, which no rule can by
//! accident. What else a firewall accepts is its own business.

mod rule;

use std::{
    ffi::{CStr, CString},
    fs,
};

use netlink_bindings::nftables::{Nfgenmsg, OpGetchainDump, OpGetruleDump, OpNewchainDo, OpNewruleDo};
use nshost_ledger::{HostLock, PassHold, Receipt, Record};
use nshost_plan::Family;

use rule::{Meaning, Seen, Side, accepting};

use crate::{
    Error,
    network::netlink::{Batch, Socket, retry},
    nft::{Transaction, message, rule::protocol_family},
    table::{
        family,
        ruleset::{GROUP, TABLES, group},
    },
};

const DOCKER_USER: &CStr = c"DOCKER-USER";
const STEP: &str = "pass firewall";

/// A firewall that refuses what is routed to and from a container, or may do so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusing {
    /// Which it is, and what it does, to be followed by "what is routed to and from …".
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

/// Whether something holds for packets that come in by a link, and for those that go out by one.
type Sides = [bool; 2];

/// A chain of the host's.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Chain {
    family: u8,
    table: CString,
    name: CString,
}

/// A chain that sees all routed packets.
struct Base {
    chain: Chain,
    /// Whether its policy is to drop.
    drops: bool,
}

/// A base chain that refuses what is routed for a container.
struct Refusal {
    base: Chain,
    /// Where our rules belong, if it is of iptables.
    place: Option<Chain>,
    /// Which of them are there.
    there: Sides,
}

/// Has other people's firewalls let the container through, where that is granted; in force when this returns.
/// What refuses it then still. To be called when our own tables guard its links.
pub(crate) fn settle(
    receipt: &mut Receipt,
    lock: &HostLock,
    socket: &mut Socket,
) -> Result<Vec<Refusing>, Error> {
    let record = receipt.record();
    let families = families(record);
    let group = group(record);
    let refusals = retry(|| refusals(socket, &families, group))?;
    let (passable, refusing): (Vec<Refusal>, Vec<Refusal>) =
        refusals.into_iter().partition(|refusal| record.passes && refusal.place.is_some());
    if !passable.is_empty() {
        let holds = passable.iter().filter_map(|refusal| refusal.place.as_ref()).map(Chain::hold).collect();
        receipt.passes(lock, holds).map_err(|e| Error::new("write down", STEP, std::io::Error::other(e)))?;
        let mut transaction = Transaction::new();
        for (place, there) in passable.iter().filter_map(|r| Some((r.place.as_ref()?, r.there))) {
            for side in [Side::Out, Side::In].into_iter().filter(|side| !there[*side as usize]) {
                transaction.insert_foreign(place.family, &place.table, &place.name, &accepting(side));
            }
        }
        if !transaction.is_empty() {
            transaction.commit(socket).map_err(|error| {
                error.hint(
                    "the grants let it pass other firewalls ([firewall] pass = true), which takes xt_devgroup and \
                     xt_comment in the kernel; without pass it is launched, and told what drops its packets",
                )
            })?;
        }
    }
    let mut told: Vec<Refusing> = refusing.iter().map(|refusal| refusal.tell(group)).collect();
    told.extend(legacy(&families));
    Ok(told)
}

/// Takes out of other people's firewalls what none of the `others` needs, as far as it is there.
pub(crate) fn take_out(record: &Record, others: &[Record], socket: &mut Socket) -> Vec<Error> {
    let needed = |hold: &PassHold| others.iter().any(|other| other.passing.contains(hold));
    let unneeded = record.passing.iter().filter(|hold| !needed(hold));
    unneeded.filter_map(|hold| take_out_of(&Chain::of(hold), socket).err()).collect()
}

/// Rules may go while they are looked at: a firewall is loaded anew.
fn take_out_of(chain: &Chain, socket: &mut Socket) -> Result<(), Error> {
    let mut tries = 1;
    loop {
        let mut transaction = Transaction::new();
        for seen in retry(|| rules(socket, chain))?.iter().filter(|seen| seen.ours) {
            transaction.delete_foreign(chain.family, &chain.table, &chain.name, seen.handle);
        }
        if transaction.is_empty() {
            return Ok(());
        }
        match transaction.commit(socket) {
            Err(error) if error.errno() == Some(libc::ENOENT) && tries < 5 => tries += 1,
            result => return result,
        }
    }
}

/// What would refuse a container that has no more than the usual grants.
pub(crate) fn refusing() -> Result<Vec<Refusing>, Error> {
    let mut socket = Socket::netfilter()?;
    let refusals = retry(|| refusals(&mut socket, &[Family::V4, Family::V6], GROUP))?;
    Ok(refusals.iter().map(|refusal| refusal.tell(GROUP)).collect())
}

/// What `iptables-legacy` has loaded cannot be seen by way of nftables.
pub(crate) fn legacy(families: &[Family]) -> Option<Refusing> {
    let loaded = |family: &Family| {
        let file = match family {
            Family::V4 => "/proc/net/ip_tables_names",
            Family::V6 => "/proc/net/ip6_tables_names",
        };
        fs::read_to_string(file).is_ok_and(|names| names.lines().any(|name| name == "filter"))
    };
    families.iter().any(loaded).then(|| Refusing {
        what: "legacy iptables has a filter, which nshost cannot see; it may drop".to_string(),
        remedy: "look whether it does: iptables-legacy -S FORWARD".to_string(),
    })
}

/// Those for which packets are routed.
fn families(record: &Record) -> Vec<Family> {
    let plan = &record.plan;
    let addresses = plan.masquerades().map(|m| m.source).chain(plan.forwards().map(|forward| forward.to));
    let mut families: Vec<Family> = addresses.map(family).collect();
    families.sort_by_key(|family| *family == Family::V6);
    families.dedup();
    families
}

/// The base chains that refuse what is routed for links of the group.
fn refusals(socket: &mut Socket, families: &[Family], group: u32) -> Result<Vec<Refusal>, Error> {
    let mut refusals = Vec::new();
    for base in base_chains(socket, families)? {
        refusals.extend(refusal(socket, base, group)?);
    }
    Ok(refusals)
}

fn refusal(socket: &mut Socket, base: Base, group: u32) -> Result<Option<Refusal>, Error> {
    let Base { chain: base, mut drops } = base;
    let iptables = base.is_iptables();
    let mut all = rules(socket, &base)?;
    let (mut place, mut there) = (base.clone(), own(&all));
    // What Docker leaves to the operator is looked at as if it stood where Docker goes there.
    let visits = |seen: &Seen| matches!(&seen.meaning, Meaning::Visits(to) if **to == *DOCKER_USER);
    if let Some(at) = all.iter().position(visits) {
        place = Chain { name: DOCKER_USER.to_owned(), ..base.clone() };
        let users = rules(socket, &place)?;
        there = own(&users);
        all.splice(at..=at, users);
    }
    let place = iptables.then_some(place);
    let mut accepted = Sides::default();
    for seen in all.iter().filter(|seen| !seen.ours) {
        match seen.meaning {
            Meaning::Accepts { side, group: wanted, mask } if (group ^ wanted) & mask == 0 => {
                accepted[side as usize] = true;
            }
            Meaning::AcceptsAll => accepted = [true; 2],
            Meaning::RefusesAll => {
                drops = true;
                break;
            }
            Meaning::Accepts { .. } | Meaning::Visits(_) | Meaning::Other => {}
        }
    }
    let refuses = drops && accepted != [true; 2];
    Ok(refuses.then_some(Refusal { base, place, there }))
}

/// For which sides our rules are among these.
fn own(rules: &[Seen]) -> Sides {
    let mut there = Sides::default();
    for seen in rules.iter().filter(|seen| seen.ours) {
        if let Meaning::Accepts { side, .. } = seen.meaning {
            there[side as usize] = true;
        }
    }
    there
}

impl Refusal {
    fn tell(&self, group: u32) -> Refusing {
        let remedy = match self.place {
            Some(_) => "with the grant `[firewall] pass = true` it lets that through".to_string(),
            None => format!("let that chain accept `iifgroup {group:#x}` and `oifgroup {group:#x}`"),
        };
        Refusing { what: format!("{} drops", self.base.show()), remedy }
    }
}

impl Chain {
    /// Whether it is the one that iptables has for routed packets.
    fn is_iptables(&self) -> bool {
        let families = [libc::NFPROTO_IPV4, libc::NFPROTO_IPV6];
        families.contains(&self.family.into()) && *self.table == *c"filter" && *self.name == *c"FORWARD"
    }

    fn hold(&self) -> PassHold {
        let v6 = i32::from(self.family) == libc::NFPROTO_IPV6;
        PassHold { v6, chain: self.name.to_string_lossy().into_owned() }
    }

    fn of(hold: &PassHold) -> Chain {
        let family = if hold.v6 { Family::V6 } else { Family::V4 };
        // It has none: it was a C string when it was written down.
        let name = CString::new(hold.chain.replace('\0', "")).unwrap_or_default();
        Chain { family: protocol_family(family) as u8, table: c"filter".to_owned(), name }
    }

    fn show(&self) -> String {
        let family = match i32::from(self.family) {
            libc::NFPROTO_IPV4 => "ip",
            libc::NFPROTO_IPV6 => "ip6",
            _ => "inet",
        };
        format!("{family} {} {}", self.table.to_string_lossy(), self.name.to_string_lossy())
    }

    fn header(&self) -> Nfgenmsg {
        let mut header = Nfgenmsg::new();
        header.nfgen_family = self.family;
        header
    }
}

/// Chains of other tables than ours that see all routed packets of these families.
fn base_chains(socket: &mut Socket, families: &[Family]) -> Result<Vec<Base>, Error> {
    let (mut batch, mut chains) = (Batch::default(), Vec::new());
    let kind = message(libc::NFT_MSG_GETCHAIN);
    batch.push(kind, libc::NLM_F_DUMP, "list firewall chains", "of the host", |bytes| {
        drop(OpGetchainDump::encode_request(bytes, &Nfgenmsg::new()));
    });
    socket.query(batch, |_, _, body| chains.extend(base_chain(body, families)))?;
    Ok(chains)
}

fn base_chain(body: &[u8], families: &[Family]) -> Option<Base> {
    let (header, chain) = OpNewchainDo::decode_request(body);
    let family = i32::from(header.nfgen_family);
    if family != libc::NFPROTO_INET && !families.iter().any(|wanted| protocol_family(*wanted) == family) {
        return None;
    }
    let table = chain.get_table().ok()?;
    let hooked = chain.get_hook().is_ok_and(|hook| hook.get_num() == Ok(libc::NF_INET_FORWARD as u32));
    if !hooked || TABLES.iter().any(|ours| ours.name == table) {
        return None;
    }
    let drops = chain.get_policy() == Ok(libc::NF_DROP as u32);
    let name = chain.get_name().ok()?.to_owned();
    Some(Base { chain: Chain { family: header.nfgen_family, table: table.to_owned(), name }, drops })
}

/// A chain's rules in their order; none if there is no such chain.
fn rules(socket: &mut Socket, chain: &Chain) -> Result<Vec<Seen>, Error> {
    let (mut batch, mut rules) = (Batch::default(), Vec::new());
    let kind = message(libc::NFT_MSG_GETRULE);
    batch.push(kind, libc::NLM_F_DUMP, "list firewall rules", chain.show(), |bytes| {
        let request = OpGetruleDump::encode_request(bytes, &chain.header());
        drop(request.push_table(&chain.table).push_chain(&chain.name));
    });
    let listed = socket.query(batch, |_, _, body| {
        let (header, attributes) = OpNewruleDo::decode_request(body);
        // Kernels differ in what they leave out of the list.
        let its = header.nfgen_family == chain.family
            && attributes.get_table() == Ok(chain.table.as_c_str())
            && attributes.get_chain() == Ok(chain.name.as_c_str());
        if its {
            rules.push(Seen::read(&attributes));
        }
    });
    match listed {
        Err(error) if error.errno() == Some(libc::ENOENT) => Ok(Vec::new()),
        listed => listed.map(|()| rules),
    }
}
