//! Grants files: a path, a name, or `-`.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    path::Path,
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nshost_plan::show;
use nshost_policy::Grants;

use crate::{failure::Failure, named};

/// The largest grants file, in bytes.
const MAX: u64 = 1 << 20;
/// How long whoever writes into a pipe may keep us waiting, in ms.
const PATIENCE: u16 = 10_000;

/// Reads the file that was typed for this script.
pub(super) fn read(typed: &Path, script: &Path) -> Result<Grants, Failure> {
    let standard_input = typed == Path::new("-");
    let (bytes, told) = match standard_input {
        true => (all_of(io::stdin()), "standard input".to_string()),
        false => {
            let Some(path) = named::grants(typed) else { return Err(unknown(typed, script)) };
            // O_NONBLOCK: a FIFO into which nobody writes must not make us wait.
            let file = OpenOptions::new()
                .read(true)
                .custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY)
                .open(&path)
                .map_err(|error| unread(&path, script, &error))?;
            // From here on the path is only told, in messages and audits: it may hold anything.
            (all_of(Patient(file)), show::log_line(&path.to_string_lossy()))
        }
    };
    let bytes = bytes.map_err(|error| unread(typed, script, &error))?;
    let text = text(bytes)
        .map_err(|(what, hint)| Failure::ours(format!("grants file \"{told}\": {what}")).hint(hint))?;
    Grants::parse(&text, &told).map_err(|error| Failure::ours(error.to_string()))
}

/// As much as is read, and a byte more if there is more.
fn all_of(file: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The text of a grants file, or what it is instead, and what to do.
fn text(bytes: Vec<u8>) -> Result<String, (String, &'static str)> {
    const USAGE: &str = "nshost run --grants GRANTS.toml SCRIPT.wasm";
    if bytes.starts_with(b"\0asm") {
        let what = "--grants wants TOML, and this is WebAssembly: are the two files swapped?";
        return Err((what.to_string(), USAGE));
    }
    if bytes.len() as u64 > MAX {
        let what = "larger than 1 MiB, too large for grants";
        return Err((what.to_string(), "is this the file that was meant?"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        (format!("--grants wants TOML, and this is no text: byte {} is not UTF-8", at + 1), USAGE)
    })
}

/// A file that is waited for, as `<(…)` is, which has a writer that may not have written yet.
struct Patient(File);

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => return other,
        }
        let mut wanted = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        match poll(&mut wanted, PollTimeout::from(PATIENCE)).map_err(io::Error::from)? {
            0 => Err(io::Error::new(io::ErrorKind::TimedOut, "nobody has written anything for 10 seconds")),
            _ => self.0.read(buffer),
        }
    }
}

/// A name that leads nowhere.
fn unknown(typed: &Path, script: &Path) -> Failure {
    let name = typed.to_string_lossy();
    let error = io::Error::from(io::ErrorKind::NotFound);
    let path = typed.with_extension("grants.toml");
    let failure = unread(&path, script, &error);
    Failure::ours(format!("no grants file has the name {}", show::quote(&name)))
        .hint(format!("a path has a / in it, or ends in .toml\n{}", failure.hint))
}

/// Grants that cannot be read; those who have none yet are told how to come by them.
fn unread(path: &Path, script: &Path, error: &io::Error) -> Failure {
    let failure = Failure::file("grants file", path, error);
    if error.kind() != io::ErrorKind::NotFound {
        return failure;
    }
    let beside = named::grants_beside(script).map(|beside| {
        format!("this one is for it: --grants {}\n", show::log_line(&beside.to_string_lossy()))
    });
    let [script, path] = [script, path].map(|path| show::log_line(&path.to_string_lossy()));
    failure.hint(format!(
        "{}the least that the script needs: nshost plan --suggest-grants {script} > {path}\n\
         without --grants, nshost run asks at a terminal; --allow-all grants everything",
        beside.unwrap_or_default()
    ))
}
