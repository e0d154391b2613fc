//! Keys that nft knows by their place in a packet.

use nshost_plan::Family;

use crate::nft::rule::{address_length, destination_in_error};

/// `typeof iifname . @th,OFFSET,LENGTH`, as `nft` writes it down: attributes of a byte for the type, a byte for the
/// length and the value, numbers in the host's order. Without it nft could not read back what it lists.
pub(super) fn typeof_in_error(family: Family) -> Vec<u8> {
    const ORDER: u8 = 0;
    const TYPEOF: u8 = 3;
    // `enum expr_types` and `enum proto_bases` of nft's sources.
    const PAYLOAD: u32 = 7;
    const META: u32 = 9;
    const CONCATENATION: u32 = 13;
    const TRANSPORT: u32 = 3;
    let attribute = |kind: u8, value: &[u8]| [&[kind, value.len() as u8], value].concat();
    let number = |kind: u8, value: u32| attribute(kind, &value.to_ne_bytes());
    let expression = |kind: u32, data: Vec<u8>| [number(0, kind), attribute(1, &data)].concat();
    let link = expression(META, number(0, libc::NFT_META_IIFNAME as u32));
    // Of no protocol that nft knows by name.
    let (offset, length) = (8 * destination_in_error(family), 8 * address_length(family));
    let place =
        [number(0, 0), number(1, 0), number(2, TRANSPORT), number(3, offset), number(4, length)].concat();
    let both = [attribute(0, &link), attribute(1, &expression(PAYLOAD, place))].concat();
    [number(ORDER, 0), attribute(TYPEOF, &expression(CONCATENATION, both))].concat()
}
