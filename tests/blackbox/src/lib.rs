//! Tests of the launcher from outside, as an operator sees it: the programs that `cargo xtask build`
//! made, in hosts to throw away. This library is what the tests share.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context, Result};
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

/// A directory of a test's own, removed when dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes one.
    pub fn new() -> Result<Scratch> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("nshost-test-{}-{number}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Scratch(path))
    }

    /// Writes a file into it and returns its path.
    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.0.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
