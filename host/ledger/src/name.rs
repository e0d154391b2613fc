//! What an operator calls a container.

use std::fmt;

use nshost_plan::{Code, Error};
use serde::{Deserialize, Serialize};

/// `--name`: 1 to 64 ASCII letters, digits, `_`, `.` and `-`, neither `.` nor `-` first, so that it is
/// never read as an option, a path or a hidden file, and can be printed as it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContainerName(String);

impl ContainerName {
    /// The longest name, in bytes.
    pub const MAX: usize = 64;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ContainerName {
    type Error = Error;

    fn try_from(name: String) -> Result<Self, Error> {
        let length_ok = !name.is_empty() && name.len() <= Self::MAX;
        let characters_ok =
            name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        if !length_ok || !characters_ok || name.starts_with(['.', '-']) {
            return Err(Error::new(
                Code::NameInvalid,
                &name,
                "a container's name has 1 to 64 of the characters A-Z a-z 0-9 _ . - and starts with neither . nor -",
            ));
        }
        Ok(ContainerName(name))
    }
}

impl std::str::FromStr for ContainerName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        name.to_string().try_into()
    }
}

impl From<ContainerName> for String {
    fn from(name: ContainerName) -> String {
        name.0
    }
}

impl fmt::Display for ContainerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names() {
        let longest = "x".repeat(ContainerName::MAX);
        for good in ["a", "web-1", "A_b.c", "0", "_", longest.as_str()] {
            assert_eq!(good.parse::<ContainerName>().unwrap().as_str(), good);
        }
        let too_long = "x".repeat(ContainerName::MAX + 1);
        for bad in ["", ".", "..", ".a", "-a", "a/b", "a b", "a\0", "ä", "\u{1b}[1m", too_long.as_str()] {
            assert_eq!(bad.parse::<ContainerName>().unwrap_err().code, Code::NameInvalid, "{bad:?}");
        }
    }
}
