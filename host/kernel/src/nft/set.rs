//! Sets: what their keys and values consist of, and how that is said to the kernel and to `nft`.

use std::ffi::CStr;

use netlink_bindings::nftables::SetFlags;
use nshost_plan::Family;

use super::place;
use crate::nft::rule::address_length;

/// How `nft` reads a key of one field, by its own mark: type 0, length, `BYTEORDER_HOST_ENDIAN`. Fields of
/// a concatenation have the order of their types.
const HOST_BYTE_ORDER: [u8; 6] =
    if cfg!(target_endian = "little") { [0, 4, 1, 0, 0, 0] } else { [0, 4, 0, 0, 0, 1] };

/// A field of a set's key or a map's value, by nftables' own types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Interface,
    V4,
    V6,
    Protocol,
    Port,
    Family,
    Zone,
    /// The address to which a packet went that an ICMP error is about.
    InError(Family),
}

/// A set, or a map if it has values.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Set {
    pub(crate) table: &'static CStr,
    pub(crate) name: &'static CStr,
    pub(crate) key: &'static [Field],
    pub(crate) value: &'static [Field],
    /// Whether elements are ranges: their last field from the key's to the end's.
    pub(crate) ranges: bool,
}

/// What a set holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) set: &'static Set,
    pub(crate) key: Vec<u8>,
    /// The last key of a range.
    pub(crate) end: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    /// In words, for errors.
    pub(crate) subject: String,
}

impl Set {
    pub(super) fn flags(&self) -> u32 {
        let map = if self.value.is_empty() { 0 } else { SetFlags::Map as u32 };
        let ranges = if self.ranges { SetFlags::Interval as u32 | SetFlags::Concat as u32 } else { 0 };
        map | ranges
    }
}

impl Field {
    /// In bytes.
    pub(super) fn length(self) -> u32 {
        match self {
            Field::Interface => libc::IFNAMSIZ as u32,
            Field::V4 => 4,
            Field::V6 => 16,
            Field::InError(family) => address_length(family),
            Field::Port | Field::Zone => 2,
            Field::Protocol | Field::Family => 1,
        }
    }

    /// The number by which `nft` knows how to print it (`enum datatypes` of its sources).
    fn datatype(self) -> u32 {
        match self {
            Field::Family => 2,
            Field::V4 => 7,
            Field::V6 => 8,
            Field::Protocol => 12,
            // `integer`: for nft it is a place in the packet.
            Field::InError(_) => 4,
            // A zone has no type of its own, and nft 1.0.6 crashes at an integer in a concatenation. As a port it
            // is shown with its bytes the other way round.
            Field::Port | Field::Zone => 13,
            Field::Interface => 41,
        }
    }
}

/// What `nft` wants to know of a set besides its type.
pub(super) fn marks(key: &[Field]) -> Vec<u8> {
    match key {
        [Field::Interface, Field::InError(family)] => place::typeof_in_error(*family),
        _ => HOST_BYTE_ORDER.to_vec(),
    }
}

/// A concatenation has six bits for each field's type.
pub(super) fn type_of(fields: &[Field]) -> u32 {
    fields.iter().fold(0, |all, field| all << 6 | field.datatype())
}

/// A concatenation's fields start at multiples of four bytes.
pub(super) fn length_of(fields: &[Field]) -> u32 {
    match fields {
        [field] => field.length(),
        fields => fields.iter().map(|field| padded(field.length())).sum(),
    }
}

pub(super) fn padded(length: u32) -> u32 {
    length.next_multiple_of(4)
}
