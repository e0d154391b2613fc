//! How single values are written in a grants file.

use std::{fmt, marker::PhantomData, net::IpAddr, ops::Range};

use nshost_plan::{Cidr, PortRange, Protocol};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Unexpected, Visitor, value::MapAccessDeserializer},
};
use toml::Spanned;

/// A value that is written as a string.
pub(crate) trait Written: Sized {
    /// What the string is, for messages.
    const EXPECTED: &'static str;

    /// Reads it, or says what is wrong.
    fn read(text: &str) -> Result<Self, String>;
}

/// Reads a [`Written`] value.
pub(crate) struct Text<T>(pub T);

impl<'de, T: Written> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor(PhantomData))
    }
}

struct TextVisitor<T>(PhantomData<T>);

impl<T: Written> Visitor<'_> for TextVisitor<T> {
    type Value = Text<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a string: {}", T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<T>, E> {
        T::read(text).map(Text).map_err(E::custom)
    }
}

/// A whole number from 1 to `MAX`.
#[derive(Clone, Copy)]
pub(crate) struct Number<const MAX: u32>(pub u32);

impl<'de, const MAX: u32> Deserialize<'de> for Number<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_i64(NumberVisitor::<MAX>)
    }
}

struct NumberVisitor<const MAX: u32>;

impl<const MAX: u32> Visitor<'_> for NumberVisitor<MAX> {
    type Value = Number<MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if MAX == 1 { f.write_str("1") } else { write!(f, "a whole number from 1 to {MAX}") }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Number<MAX>, E> {
        let in_range = u32::try_from(value).ok().filter(|value| (1..=MAX).contains(value));
        in_range.map(Number).ok_or_else(|| E::invalid_value(Unexpected::Signed(value), &self))
    }
}

/// The tables of one name, each with where it stands.
pub(crate) struct Tables<T>(pub Vec<(Range<usize>, T)>);

impl<T> Default for Tables<T> {
    fn default() -> Self {
        Tables(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Tables<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(TablesVisitor(PhantomData))
    }
}

struct TablesVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for TablesVisitor<T> {
    type Value = Tables<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tables, each under its name in two brackets, like [[link]]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tables<T>, A::Error> {
        let mut tables = Vec::new();
        while let Some(table) = list.next_element::<Spanned<Table<T>>>()? {
            tables.push((table.span(), table.into_inner().0));
        }
        Ok(Tables(tables))
    }
}

/// A table with keys. What is derived for a struct would also take its values in a row, without keys.
pub(crate) struct Table<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TableVisitor(PhantomData))
    }
}

struct TableVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for TableVisitor<T> {
    type Value = Table<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table with keys")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Table<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Table)
    }
}

/// A denial by a name would be an illusion where a thing has others, which nobody can list.
pub(crate) fn no_denial(deny: bool, what: &str, others: &str) -> Result<(), String> {
    if !deny {
        return Ok(());
    }
    Err(format!(
        "deny = true would be an illusion here: {what} has other names ({others}). Nothing is allowed that no \
         table allows; take this one out, and narrow those that allow too much"
    ))
}

/// The SHA-256 of a module.
pub(crate) struct Digest(pub [u8; 32]);

impl Written for Digest {
    const EXPECTED: &'static str = "sha256: and 64 hexadecimal digits";

    fn read(text: &str) -> Result<Self, String> {
        let wrong = || format!("a script is named by {}; `nshost inspect SCRIPT` tells them", Self::EXPECTED);
        let digits = text.strip_prefix("sha256:").ok_or_else(wrong)?.as_bytes();
        let mut digest = [0; 32];
        if digits.len() != 64 {
            return Err(wrong());
        }
        let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
        for (byte, [high, low]) in digest.iter_mut().zip(digits.as_chunks().0) {
            let (high, low) = value(*high).zip(value(*low)).ok_or_else(wrong)?;
            *byte = high << 4 | low;
        }
        Ok(Digest(digest))
    }
}

/// A network, without host bits.
pub(crate) struct Network(pub Cidr);

impl Written for Network {
    const EXPECTED: &'static str = "a network like 169.254.1.0/30 or fd00::/64";

    fn read(text: &str) -> Result<Self, String> {
        let cidr: Cidr = text.parse().map_err(|_| format!("{text:?} is not {}", Self::EXPECTED))?;
        if !cidr.is_network() {
            return Err(format!("{cidr} is an address in a network; write {}", cidr.network()));
        }
        Ok(Network(cidr))
    }
}

/// An address of the host; none for any.
pub(crate) struct HostAddress(pub Option<IpAddr>);

impl Written for HostAddress {
    const EXPECTED: &'static str = "an IP address, or * for any";

    fn read(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(HostAddress(None));
        }
        let address = text.parse().map_err(|_| format!("{text:?} is not {}", Self::EXPECTED))?;
        Ok(HostAddress(Some(address)))
    }
}

impl Written for PortRange {
    const EXPECTED: &'static str = "a port or first-last, each 1 to 65535, like 80 or 8000-8010";

    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("{text:?} is not {}", Self::EXPECTED))
    }
}

/// A protocol, by its name.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ProtocolName {
    Tcp,
    Udp,
}

impl From<ProtocolName> for Protocol {
    fn from(name: ProtocolName) -> Protocol {
        match name {
            ProtocolName::Tcp => Protocol::Tcp,
            ProtocolName::Udp => Protocol::Udp,
        }
    }
}
