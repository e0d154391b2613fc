//! Tests of the launcher from outside, as an operator sees it: the programs that `cargo xtask build`
//! made, in hosts to throw away. This library is what the tests share.

use std::time::Duration;

use anyhow::Result;
pub use support::Scratch;
use support::{Host, Output};

/// Long enough for anything that takes milliseconds, on a machine that does other things too.
pub const SOON: Duration = Duration::from_secs(10);
/// In which the kernel has torn down a network namespace.
pub const TORN_DOWN: Duration = Duration::from_secs(3);

/// What a server answers to `line`, as soon as it listens; the client runs in `host`. The server is an
/// `nc -N` whose input ends: a client that closed first could end it before it has answered.
pub fn ask(host: &Host, address: &str, port: u16, line: &str) -> Result<String> {
    host.shell(&asking(address, port, line))
}

/// The shell script by which [`ask`] asks, to be run elsewhere.
pub fn asking(address: &str, port: u16, line: &str) -> String {
    format!(
        "i=0; while [ $i -lt 100 ]; do
            echo '{line}' | nc -n -w 5 {address} {port} && exit 0
            i=$((i + 1)); sleep 0.03
        done; echo 'nobody answers at {address} port {port}' >&2; exit 1"
    )
}

/// The grants in what the launcher prints when it refuses: every line of TOML in it.
pub fn printed_grants(output: &Output) -> String {
    let toml = |line: &&str| {
        let key = line.split(" = ").next().unwrap_or_default();
        line.starts_with("[[")
            || (line.contains(" = ") && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
    };
    output.stderr.lines().map(str::trim).filter(toml).map(|line| format!("{line}\n")).collect()
}
