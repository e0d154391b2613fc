//! What may be done about other people's firewalls.

use serde::Deserialize;

/// `[firewall]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Table {
    #[serde(default)]
    pub pass: bool,
}

/// The table as TOML; empty if nothing is granted.
pub(crate) fn table(pass: bool) -> String {
    if pass { "\n[firewall]\npass = true\n".to_string() } else { String::new() }
}
