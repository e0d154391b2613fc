//! The grants file as text: TOML in, values that are well formed out.

use std::{fmt, marker::PhantomData, net::IpAddr, str::FromStr};

use nshost_plan::{Cidr, Protocol, Side};
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};
use toml::Spanned;

use crate::{
    address, error::GrantsError, grants::Grants, limits, link, namespace, nat, process, route, rule::Rule,
};

/// The largest file, in bytes.
pub(crate) const MAX_FILE: usize = 1 << 20;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Document {
    #[serde(rename = "schema")]
    _schema: Schema,
    script: Option<Text<Digest>>,
    #[serde(default)]
    namespace: Vec<Spanned<namespace::Table>>,
    #[serde(default)]
    link: Vec<Spanned<link::Table>>,
    #[serde(default)]
    address: Vec<Spanned<address::Table>>,
    #[serde(default)]
    route: Vec<Spanned<route::Table>>,
    #[serde(default)]
    masquerade: Vec<Spanned<nat::MasqueradeTable>>,
    #[serde(default)]
    forward: Vec<Spanned<nat::ForwardTable>>,
    #[serde(default)]
    exec: Vec<Spanned<process::Table>>,
    limits: Option<limits::Table>,
}

/// Reads a file.
pub(crate) fn read(text: &str, file: &str) -> Result<Grants, GrantsError> {
    if text.len() > MAX_FILE {
        return Err(GrantsError::new("", file, None, "a grants file has at most 1 MiB"));
    }
    let document: Document =
        toml::from_str(text).map_err(|error| GrantsError::new(text, file, error.span(), error.message()))?;
    let place = Place { text, file, lines: line_starts(text) };
    Ok(Grants {
        file: Some(file.to_string()),
        script: document.script.map(|text| text.0.0),
        namespaces: place.rules(document.namespace)?,
        links: place.rules(document.link)?,
        addresses: place.rules(document.address)?,
        routes: place.rules(document.route)?,
        masquerades: place.rules(document.masquerade)?,
        forwards: place.rules(document.forward)?,
        execs: place.rules(document.exec)?,
        limits: document.limits.map(Into::into).unwrap_or_default(),
    })
}

struct Place<'a> {
    text: &'a str,
    file: &'a str,
    lines: Vec<usize>,
}

impl Place<'_> {
    fn rules<T, Table>(&self, tables: Vec<Spanned<Table>>) -> Result<Vec<Rule<T>>, GrantsError>
    where
        Rule<T>: TryFrom<Table, Error = String>,
    {
        let rule = |table: Spanned<Table>| {
            let span = table.span();
            let line = self.lines.partition_point(|start| *start <= span.start);
            match Rule::try_from(table.into_inner()) {
                Ok(rule) => Ok(Rule { line: u32::try_from(line).unwrap_or(0), ..rule }),
                Err(what) => Err(GrantsError::new(self.text, self.file, Some(span), &what)),
            }
        };
        tables.into_iter().map(rule).collect()
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    let after = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
    [0].into_iter().chain(after).collect()
}

/// A value that is written as a string.
pub(crate) struct Text<T>(pub T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Reader(PhantomData))
    }
}

struct Reader<T>(PhantomData<T>);

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Reader<T> {
    type Value = Text<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<T>, E> {
        text.parse().map(Text).map_err(E::custom)
    }
}

/// `schema = 1`
#[derive(Deserialize)]
#[serde(try_from = "i64")]
struct Schema;

impl TryFrom<i64> for Schema {
    type Error = String;

    fn try_from(version: i64) -> Result<Self, String> {
        match version {
            1 => Ok(Schema),
            other => Err(format!("schema {other} is not known here; write schema = 1")),
        }
    }
}

/// `sha256:` and 64 hexadecimal digits.
struct Digest([u8; 32]);

impl FromStr for Digest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "a script is named by sha256: and 64 hexadecimal digits".to_string();
        let digits = text.strip_prefix("sha256:").ok_or_else(wrong)?.as_bytes();
        let mut digest = [0; 32];
        if digits.len() != 64 {
            return Err(wrong());
        }
        let value = |digit: u8| char::from(digit).to_digit(16);
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            let (high, low) = value(pair[0]).zip(value(pair[1])).ok_or_else(wrong)?;
            *byte = (high << 4 | low) as u8;
        }
        Ok(Digest(digest))
    }
}

/// A network in CIDR notation, without host bits.
pub(crate) struct Network(pub Cidr);

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let cidr: Cidr = text.parse().map_err(|error: nshost_plan::Error| error.to_string())?;
        if !cidr.is_network() {
            return Err(format!("{cidr} is an address in a network; write {}", cidr.network()));
        }
        Ok(Network(cidr))
    }
}

/// An address of the host, or `*` for any.
pub(crate) struct HostAddress(pub Option<IpAddr>);

impl FromStr for HostAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(HostAddress(None));
        }
        let address = text.parse().map_err(|_| format!("{text:?} is neither an IP address nor \"*\""))?;
        Ok(HostAddress(Some(address)))
    }
}

/// A side, by its name.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SideName {
    Host,
    Container,
}

impl From<SideName> for Side {
    fn from(name: SideName) -> Side {
        match name {
            SideName::Host => Side::Host,
            SideName::Container => Side::Container,
        }
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
