//! What an operator typed, read so that a mistake is told in words: what it is, and what it should be.
//!
//! ```
//! # use nshost_sdk::{Error, argument};
//! assert_eq!(argument::port("8080"), Ok(8080));
//! assert_eq!(argument::port("99999"), Err(Error::from("99999 is not a port: 1 to 65535")));
//! assert_eq!(argument::number("hosts", "300", 1..=254), Err(Error::from("300 is not a number of hosts: 1 to 254")));
//! ```

use std::{fmt::Display, net::IpAddr, ops::RangeInclusive, str::FromStr};

use crate::{Error, Result, nat::Ports};

/// A port, 1 to 65535.
pub fn port(text: &str) -> Result<u16> {
    read(text).filter(|port| *port != 0).ok_or_else(|| wrong(text, "a port: 1 to 65535"))
}

/// Ports for a forward: one, or `FIRST-LAST`.
pub fn ports(text: &str) -> Result<Ports> {
    let Some((first, last)) = text.split_once('-') else { return port(text).map(Ports::from) };
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        return Err(wrong(text, "a range of ports: the first comes first, like 8000-8010"));
    }
    Ok(Ports::from(first..=last))
}

/// An address without a prefix length.
pub fn address(text: &str) -> Result<IpAddr> {
    read(text).ok_or_else(|| wrong(text, "an address, like 10.87.0.2 or fd00::2"))
}

/// A number of something within a range.
pub fn number<T: FromStr + PartialOrd + Display>(
    what: &str,
    text: &str,
    range: RangeInclusive<T>,
) -> Result<T> {
    read(text)
        .filter(|number| range.contains(number))
        .ok_or_else(|| wrong(text, &format!("a number of {what}: {} to {}", range.start(), range.end())))
}

fn read<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// Digits speak for themselves; all else is quoted.
fn wrong(text: &str, right: &str) -> Error {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    Error::from(if digits { format!("{text} is not {right}") } else { format!("{text:?} is not {right}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named_with_what_is_right() {
        let say = |error: Error| error.to_string();
        for text in ["0", "65536", "99999999999999999999"] {
            assert_eq!(say(port(text).unwrap_err()), format!("{text} is not a port: 1 to 65535"));
        }
        for text in ["", "http", "-1", "80 "] {
            assert_eq!(say(port(text).unwrap_err()), format!("{text:?} is not a port: 1 to 65535"));
        }
        assert_eq!(ports("80-81"), Ok(Ports::from(80..=81)));
        assert_eq!(ports("80"), Ok(Ports::from(80)));
        assert!(say(ports("81-80").unwrap_err()).contains("the first comes first"));
        assert_eq!(say(ports("80-99999").unwrap_err()), "99999 is not a port: 1 to 65535");
        assert!(say(address("10.0.0.1/8").unwrap_err()).starts_with("\"10.0.0.1/8\" is not an address"));
        assert_eq!(number("hosts", "254", 1..=254), Ok(254));
        assert_eq!(
            say(number("hosts", "x", 1..=254).unwrap_err()),
            "\"x\" is not a number of hosts: 1 to 254"
        );
    }
}
