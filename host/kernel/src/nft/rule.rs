//! nftables rules: what is looked at in a packet, and what becomes of it.
//!
//! A rule is a list of expressions on registers. Keys are loaded into registers from the first on, each
//! field at a multiple of four bytes, which is how sets store concatenations.

use std::{ffi::CStr, ops::RangeInclusive};

use netlink_bindings::{
    nftables::{CmpOps, FibFlags, PayloadBase, PushExprListAttrs, Registers, VerdictCode},
    traits::Pusher,
    utils,
};
use nshost_plan::Family;

use crate::{nft::Set, table::ruleset::PASSES};

/// Where keys and looked-up values begin (`NFT_REG32_00`); each further register holds four bytes more.
const FIRST: u32 = Registers::Reg3200 as u32;
/// `NFTA_EXPR_DATA`.
const EXPRESSION_DATA: u16 = 2;
/// `NFT_FIB_RESULT_ADDRTYPE`; `netlink_bindings` 0.3 has another number.
const ADDRESS_TYPE: u32 = 3;
/// `IP_CT_DIR_ORIGINAL` and `IP_CT_DIR_REPLY`.
const ORIGINAL: u8 = 0;
const REPLY: u8 = 1;
/// `NF_CT_STATE_INVALID_BIT`.
const INVALID: u32 = 1;
/// `IPS_DST_NAT`: the flow's destination was translated.
const DESTINATION_TRANSLATED: u32 = 1 << 5;

/// How long an ICMP error's own header is, in bytes, behind which the packet is that it is about.
const ERROR: u32 = 8;

/// Something that a packet has.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Load {
    /// The name of the interface by which it comes.
    In,
    /// The name of the interface by which it goes.
    Out,
    /// IPv4 or IPv6.
    Family,
    /// TCP, UDP …
    Protocol,
    Source(Family),
    Destination(Family),
    /// The destination of the packet that an ICMP error is about, which follows its eight bytes (RFC 792, RFC 4443).
    DestinationInError(Family),
    /// The transport protocol's destination port.
    Port,
    /// The protocol of the packet's flow, which for an ICMP error is another than its own.
    FlowProtocol,
    /// The port to which the flow's first packet was sent.
    FlowPort,
    /// The port by which the flow is answered: where its destination was translated, that of the container.
    FlowAnswerPort,
    /// The conntrack zone in which the flow was begun.
    FlowZone,
}

/// A rule that is being written. Methods add conditions; the last call says what becomes of the packet.
pub(crate) struct Rule {
    comment: &'static str,
    expressions: Vec<u8>,
}

impl Rule {
    /// The comment is what `nft list` shows; it may be empty.
    pub(crate) fn new(comment: &'static str) -> Self {
        Rule { comment, expressions: Vec::with_capacity(512) }
    }

    pub(crate) fn comment(&self) -> &str {
        self.comment
    }

    pub(crate) fn expressions(&self) -> &[u8] {
        &self.expressions
    }

    /// Only packets of this family; needed before their addresses are looked at.
    pub(crate) fn family(self, family: Family) -> Self {
        self.load(Load::Family, FIRST).is(&[protocol_family(family) as u8])
    }

    /// Only if the key of these parts is in the set.
    pub(crate) fn in_set(self, key: &[Load], set: &Set) -> Self {
        self.key(key).look_up(set)
    }

    /// Only if the address begins with these bytes, or is them.
    pub(crate) fn begins(mut self, address: Load, bytes: &[u8]) -> Self {
        self.payload(address, FIRST, bytes.len() as u32);
        self.is(bytes)
    }

    /// Only if the IPv6 source is link-local (`fe80::/10`, RFC 4291).
    pub(crate) fn link_local_source(self) -> Self {
        self.load(Load::Source(Family::V6), FIRST)
            .masked(&first_bytes([0xff, 0xc0]))
            .is(&first_bytes([0xfe, 0x80]))
    }

    /// Only what comes in by, or goes out by, a link of ours: of this group, whatever else it may do.
    pub(crate) fn by_group(mut self, side: Load, group: u32) -> Self {
        let key = if let Load::In = side { libc::NFT_META_IIFGROUP } else { libc::NFT_META_OIFGROUP };
        self.list().nested_elem().nested_data_meta().push_key(key as u32).push_dreg(FIRST);
        self.masked(&(!PASSES).to_ne_bytes()).is(&group.to_ne_bytes())
    }

    /// Only packets of this transport protocol.
    pub(crate) fn protocol(self, number: u8) -> Self {
        self.load(Load::Protocol, FIRST).is(&[number])
    }

    /// Only ICMP messages (for IPv6: ICMPv6).
    pub(crate) fn any_icmp(self, family: Family) -> Self {
        self.family(family).protocol(icmp(family))
    }

    /// Only those of this type: its first byte.
    pub(crate) fn icmp(mut self, family: Family, kind: u8) -> Self {
        self = self.any_icmp(family);
        let payload = self.list().nested_elem().nested_data_payload().push_dreg(FIRST);
        drop(payload.push_base(PayloadBase::TransportHeader as u32).push_offset(0).push_len(1));
        self.is(&[kind])
    }

    /// Only ICMPv6 errors about a packet whose fixed header is followed by this one.
    pub(crate) fn protocol_in_error(mut self, number: u8) -> Self {
        let payload = self.list().nested_elem().nested_data_payload().push_dreg(FIRST);
        let at = ERROR + 6;
        drop(payload.push_base(PayloadBase::TransportHeader as u32).push_offset(at).push_len(1));
        self.is(&[number])
    }

    /// Flows that this packet begins are of the conntrack zone that the map has for the key, in the direction
    /// of their beginning: no packet of another zone is ever taken for one of theirs.
    pub(crate) fn begin_in_zone(self, key: &[Load], map: &Set) -> Self {
        let mut rule = self.key(key).look_up(map);
        let ct = rule.list().nested_elem().nested_data_ct().push_key(libc::NFT_CT_ZONE as u32);
        drop(ct.push_direction(ORIGINAL).push_sreg(FIRST));
        rule
    }

    /// Only what goes the way of its flow's first packet.
    pub(crate) fn onward(self) -> Self {
        self.direction(ORIGINAL)
    }

    /// Only answers to its flow's first packet.
    pub(crate) fn answering(self) -> Self {
        self.direction(REPLY)
    }

    fn direction(mut self, direction: u8) -> Self {
        let key = libc::NFT_CT_DIRECTION as u32;
        self.list().nested_elem().nested_data_ct().push_key(key).push_dreg(FIRST);
        self.is(&[direction])
    }

    /// Only what is addressed to this host, by whatever of its addresses.
    pub(crate) fn for_this_host(self) -> Self {
        self.destination_is(libc::RTN_LOCAL)
    }

    /// Only what is addressed to everybody of a network that the host is in (IPv4).
    pub(crate) fn for_a_whole_network(self) -> Self {
        self.destination_is(libc::RTN_BROADCAST)
    }

    /// Only what is addressed to a group (`224.0.0.0/4`, `ff00::/8`) or, for IPv4, beyond, to everybody.
    pub(crate) fn for_a_group(mut self, family: Family) -> Self {
        let first = match family {
            Family::V4 => 0xe0,
            Family::V6 => 0xff,
        };
        self = self.family(family);
        self.payload(Load::Destination(family), FIRST, 1);
        self.masked(&[first]).is(&[first])
    }

    /// By the host's own routes (`fib`).
    fn destination_is(mut self, kind: u8) -> Self {
        self.list()
            .nested_elem()
            .nested_data_fib()
            .push_dreg(FIRST)
            .push_result(ADDRESS_TYPE)
            .push_flags(FibFlags::Daddr as u32);
        self.is(&u32::from(kind).to_ne_bytes())
    }

    /// Only what belongs to no flow and cannot begin one: it would leave without being translated.
    pub(crate) fn of_no_flow(self) -> Self {
        self.conntrack(libc::NFT_CT_STATE, INVALID)
    }

    /// Only flows whose destination was translated: forwards.
    pub(crate) fn forwarded(self) -> Self {
        self.conntrack(libc::NFT_CT_STATUS, DESTINATION_TRANSLATED)
    }

    pub(crate) fn accept(self) -> Self {
        self.verdict(VerdictCode::Accept, None)
    }

    pub(crate) fn drop(self) -> Self {
        self.verdict(VerdictCode::Drop, None)
    }

    /// Back to the chain from where this one was reached; from a hook's own chain: accepted.
    pub(crate) fn back(self) -> Self {
        self.verdict(VerdictCode::Return, None)
    }

    /// Goes on in another chain, and does not come back.
    pub(crate) fn goto(self, chain: &CStr) -> Self {
        self.verdict(VerdictCode::Goto, Some(chain))
    }

    /// To the address and port that the map has for the key; nothing if it has none.
    pub(crate) fn translate_destination(self, family: Family, key: &[Load], map: &Set) -> Self {
        let mut rule = self.key(key).look_up(map);
        let port = FIRST + registers(Load::Destination(family));
        rule.list()
            .nested_elem()
            .nested_data_nat()
            .push_type(libc::NFT_NAT_DNAT as u32)
            .push_family(protocol_family(family) as u32)
            .push_reg_addr_min(FIRST)
            .push_reg_proto_min(port);
        rule
    }

    /// The source becomes the address of the interface by which it leaves.
    pub(crate) fn masquerade(mut self) -> Self {
        self.list().nested_elem().push_name(c"masq");
        self
    }

    /// The same, and its port one of these, at random. Written out, as `netlink_bindings` 0.3 has no such
    /// attributes: `enum nft_masq_attributes`, and `NF_NAT_RANGE_PROTO_SPECIFIED` with `…_RANDOM_FULLY`.
    pub(crate) fn masquerade_by(mut self, ports: RangeInclusive<u16>) -> Self {
        const FLAGS: u16 = 1;
        const FIRST_PORT: u16 = 2;
        const LAST_PORT: u16 = 3;
        const AT_RANDOM_OF_THESE: u32 = 1 << 1 | 1 << 4;
        for (register, port) in [(FIRST, ports.start()), (FIRST + 1, ports.end())] {
            let immediate = self.list().nested_elem().nested_data_immediate().push_dreg(register);
            immediate.nested_data().push_value(&port.to_be_bytes());
        }
        let mut expression = self.list().nested_elem().push_name(c"masq");
        let bytes = expression.as_vec_mut();
        let data = utils::push_nested_header(bytes, EXPRESSION_DATA);
        for (attribute, value) in [(FLAGS, AT_RANDOM_OF_THESE), (FIRST_PORT, FIRST), (LAST_PORT, FIRST + 1)] {
            utils::push_header(bytes, attribute, 4);
            bytes.extend(value.to_be_bytes());
        }
        utils::finalize_nested_header(bytes, data);
        drop(expression);
        self
    }

    fn list(&mut self) -> PushExprListAttrs<&mut Vec<u8>> {
        PushExprListAttrs::new(&mut self.expressions)
    }

    fn key(mut self, parts: &[Load]) -> Self {
        let mut register = FIRST;
        for part in parts {
            self = self.load(*part, register);
            register += registers(*part);
        }
        self
    }

    /// A map's value takes the place of the key. Written out, as `netlink_bindings` 0.3 numbers these
    /// attributes differently from the kernel's `enum nft_lookup_attributes`.
    fn look_up(mut self, set: &Set) -> Self {
        const SET: u16 = 1;
        const SOURCE_REGISTER: u16 = 2;
        const DESTINATION_REGISTER: u16 = 3;
        let mut expression = self.list().nested_elem().push_name(c"lookup");
        let bytes = expression.as_vec_mut();
        let data = utils::push_nested_header(bytes, EXPRESSION_DATA);
        utils::push_header(bytes, SET, set.name.to_bytes_with_nul().len() as u16);
        bytes.extend(set.name.to_bytes_with_nul());
        let registers = [SOURCE_REGISTER, DESTINATION_REGISTER];
        for register in &registers[..if set.value.is_empty() { 1 } else { 2 }] {
            utils::push_header(bytes, *register, 4);
            bytes.extend(FIRST.to_be_bytes());
        }
        utils::finalize_nested_header(bytes, data);
        drop(expression);
        self
    }

    fn load(mut self, what: Load, register: u32) -> Self {
        let meta = match what {
            Load::In => libc::NFT_META_IIFNAME,
            Load::Out => libc::NFT_META_OIFNAME,
            Load::Family => libc::NFT_META_NFPROTO,
            Load::Protocol => libc::NFT_META_L4PROTO,
            Load::Source(family) | Load::Destination(family) | Load::DestinationInError(family) => {
                self.payload(what, register, address_length(family));
                return self;
            }
            Load::Port => {
                self.payload(what, register, 2);
                return self;
            }
            Load::FlowProtocol => return self.flow(libc::NFT_CT_PROTOCOL, ORIGINAL, register),
            Load::FlowPort => return self.flow(libc::NFT_CT_PROTO_DST, ORIGINAL, register),
            Load::FlowAnswerPort => return self.flow(libc::NFT_CT_PROTO_SRC, REPLY, register),
            Load::FlowZone => return self.flow(libc::NFT_CT_ZONE, ORIGINAL, register),
        };
        self.list().nested_elem().nested_data_meta().push_key(meta as u32).push_dreg(register);
        self
    }

    /// What conntrack knows of the packet's flow.
    fn flow(mut self, key: libc::c_int, direction: u8, register: u32) -> Self {
        let ct = self.list().nested_elem().nested_data_ct().push_key(key as u32);
        drop(ct.push_direction(direction).push_dreg(register));
        self
    }

    /// The first bytes of a header's field; offsets by RFC 791, 8200, 9293 and 768.
    fn payload(&mut self, what: Load, register: u32, length: u32) {
        let (base, offset) = match what {
            Load::Source(Family::V4) => (PayloadBase::NetworkHeader, 12),
            Load::Destination(Family::V4) => (PayloadBase::NetworkHeader, 16),
            Load::Source(Family::V6) => (PayloadBase::NetworkHeader, 8),
            Load::Destination(Family::V6) => (PayloadBase::NetworkHeader, 24),
            Load::DestinationInError(family) => (PayloadBase::TransportHeader, destination_in_error(family)),
            _ => (PayloadBase::TransportHeader, 2),
        };
        self.list()
            .nested_elem()
            .nested_data_payload()
            .push_dreg(register)
            .push_base(base as u32)
            .push_offset(offset)
            .push_len(length);
    }

    fn is(self, bytes: &[u8]) -> Self {
        self.compare(CmpOps::Eq, bytes)
    }

    fn compare(mut self, operation: CmpOps, bytes: &[u8]) -> Self {
        let compare = self.list().nested_elem().nested_data_cmp().push_sreg(FIRST).push_op(operation as u32);
        compare.nested_data().push_value(bytes);
        self
    }

    fn masked(mut self, mask: &[u8]) -> Self {
        self.list()
            .nested_elem()
            .nested_data_bitwise()
            .push_sreg(FIRST)
            .push_dreg(FIRST)
            .push_len(mask.len() as u32)
            .nested_mask()
            .push_value(mask)
            .end_nested()
            .nested_xor()
            .push_value(&vec![0; mask.len()]);
        self
    }

    /// Only if one of these bits is set.
    fn conntrack(mut self, key: libc::c_int, bits: u32) -> Self {
        self.list().nested_elem().nested_data_ct().push_key(key as u32).push_dreg(FIRST);
        self.masked(&bits.to_ne_bytes()).compare(CmpOps::Neq, &[0; 4])
    }

    fn verdict(mut self, code: VerdictCode, chain: Option<&CStr>) -> Self {
        let immediate = self.list().nested_elem().nested_data_immediate();
        let verdict = immediate.push_dreg(Registers::RegVerdict as u32).nested_data().nested_verdict();
        let verdict = verdict.push_code(code as u32);
        drop(match chain {
            Some(chain) => verdict.push_chain(chain),
            None => verdict,
        });
        self
    }
}

/// The number of ICMP in this family.
pub(crate) fn icmp(family: Family) -> u8 {
    match family {
        Family::V4 => libc::IPPROTO_ICMP as u8,
        Family::V6 => libc::IPPROTO_ICMPV6 as u8,
    }
}

/// How many registers of four bytes it takes.
fn registers(what: Load) -> u32 {
    match what {
        Load::In | Load::Out => libc::IFNAMSIZ as u32 / 4,
        Load::Source(family) | Load::Destination(family) | Load::DestinationInError(family) => {
            address_length(family) / 4
        }
        Load::Family
        | Load::Protocol
        | Load::Port
        | Load::FlowProtocol
        | Load::FlowPort
        | Load::FlowAnswerPort
        | Load::FlowZone => 1,
    }
}

/// Where in an ICMP error the destination of the packet is that it is about, in bytes.
pub(crate) fn destination_in_error(family: Family) -> u32 {
    match family {
        Family::V4 => ERROR + 16,
        Family::V6 => ERROR + 24,
    }
}

pub(crate) fn address_length(family: Family) -> u32 {
    match family {
        Family::V4 => 4,
        Family::V6 => 16,
    }
}

pub(crate) fn protocol_family(family: Family) -> libc::c_int {
    match family {
        Family::V4 => libc::NFPROTO_IPV4,
        Family::V6 => libc::NFPROTO_IPV6,
    }
}

/// An IPv6 address of which only the first bytes are not 0.
fn first_bytes(bytes: [u8; 2]) -> [u8; 16] {
    let mut address = [0; 16];
    address[..2].copy_from_slice(&bytes);
    address
}
