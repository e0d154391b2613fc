//! Hostname and domain name (`uts_namespaces(7)`).

use serde::{Deserialize, Serialize};

use crate::{Code, Error};

/// A hostname or NIS domain name: 1 to 64 printable ASCII characters (`sethostname(2)`: the kernel's
/// limit is 64 bytes, without any rule for the characters; what cannot be printed is refused here).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UtsName(String);

impl UtsName {
    /// The longest name that the kernel takes, in bytes.
    pub const MAX: usize = 64;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a line of `/etc/hosts` can have it: there a space ends a name, and a `#` the line (`hosts(5)`).
    pub fn is_word(&self) -> bool {
        !self.0.contains([' ', '#'])
    }
}

impl TryFrom<String> for UtsName {
    type Error = Error;

    fn try_from(name: String) -> Result<Self, Error> {
        let printable = name.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if name.is_empty() || name.len() > Self::MAX || !printable {
            return Err(Error::new(
                Code::NameInvalid,
                &name,
                "a hostname or domain name has 1 to 64 printable ASCII characters",
            ));
        }
        Ok(UtsName(name))
    }
}

impl From<UtsName> for String {
    fn from(name: UtsName) -> String {
        name.0
    }
}
