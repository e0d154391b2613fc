//! The script's file: a WebAssembly component that nobody trusts.

use std::{
    fmt::Write as _,
    fs::{File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use nix::{
    fcntl::{FcntlArg, SealFlag, fcntl},
    sys::memfd::{MFdFlags, memfd_create},
};
use nshost_plan::{Plan, codec, show};
use sha2::{Digest, Sha256};

use crate::{
    failure::{Failure, Status},
    named,
};

/// The largest script, in bytes: a Python interpreter compiled in takes about 20 MB.
const MAX: u64 = 64 << 20;
/// As much of it as is read at once, in bytes.
const PIECE: usize = 8 << 10;

/// A script's identity is the SHA-256 of its bytes; its path is only for messages.
pub struct Module {
    path: PathBuf,
    file: File,
    digest: [u8; 32],
}

impl Module {
    /// Reads the file once, for its digest. It is not looked into here.
    pub fn open(path: &Path) -> Result<Module, Failure> {
        // O_NONBLOCK: a FIFO in the place of a file must not make us wait.
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY)
            .open(path)
            .map_err(|error| unopened(path, &error))?;
        let metadata = file.metadata().map_err(|error| Failure::file("script", path, &error))?;
        let name = show::quote(&path.to_string_lossy());
        if !metadata.is_file() {
            let hint = match metadata.is_dir() {
                true => "it is a directory: name the .wasm file in it",
                false => "a script is a plain file: copy it into one",
            };
            return Err(Failure::ours(format!("the script {name} is not a file")).hint(hint));
        }
        if metadata.len() > MAX {
            return Err(Failure::new(
                Status::Script,
                format!("{name} is larger than 64 MiB, too large for a script"),
            )
            .hint("build it with --release, and without what it does not need (`wasm-tools strip`)"));
        }
        let digest = digest(&mut file).map_err(|error| Failure::file("script", path, &error))?;
        Ok(Module { path: path.to_path_buf(), file, digest })
    }

    /// The path of the grants file that lies beside it, as a message tells it; it is not looked into.
    pub fn grants_beside(&self) -> Option<String> {
        named::grants_beside(&self.path).map(|path| show::log_line(&path.to_string_lossy()))
    }

    /// SHA-256 of the bytes.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// What the operator called it, safe to print.
    pub fn name(&self) -> String {
        show::quote(&self.path.to_string_lossy())
    }

    /// The bytes that the digest is of, in a file that nobody can change. The script's own file may have
    /// been written to since, by whoever it belongs to: what is compiled from that would stand in the cache,
    /// and run under the grants, of a script that it is not.
    pub fn sealed(&self) -> Result<File, Failure> {
        let failed = |error: io::Error| Failure::file("script", &self.path, &error);
        let (mut file, mut bytes) = (&self.file, Vec::new());
        file.rewind().and_then(|()| file.take(MAX).read_to_end(&mut bytes)).map_err(failed)?;
        if Sha256::digest(&bytes).as_slice() != self.digest {
            return Err(Failure::ours(format!("{} was changed while it was read", self.name()))
                .hint("nothing was run; try again when nobody writes to it"));
        }
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let memory = memfd_create(c"nshost-script", flags).map_err(|errno| failed(errno.into()))?;
        let mut copy = File::from(memory);
        copy.write_all(&bytes).and_then(|()| copy.rewind()).map_err(failed)?;
        fcntl(&copy, FcntlArg::F_ADD_SEALS(SealFlag::all())).map_err(|errno| failed(errno.into()))?;
        Ok(copy)
    }
}

/// Of as much as a script may have. Read in pieces, since most launches need no more of the file than this.
fn digest(file: &mut File) -> io::Result<[u8; 32]> {
    let (mut hash, mut piece, mut left) = (Sha256::new(), [0; PIECE], MAX as usize);
    while left > 0 {
        let room = left.min(PIECE);
        match file.read(&mut piece[..room]) {
            Ok(0) => break,
            Ok(length) => {
                hash.update(&piece[..length]);
                left -= length;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(hash.finalize().into())
}

/// Whoever forgets the script has a command in its place.
fn unopened(path: &Path, error: &io::Error) -> Failure {
    let failure = Failure::file("script", path, error);
    match error.kind() {
        io::ErrorKind::NotFound => failure.hint(
            "the first word is the setup script, a .wasm file; a command comes after --: nshost run SCRIPT -- COMMAND",
        ),
        _ => failure,
    }
}

/// A plan's identity, for people and audits: SHA-256 of its encoding.
pub fn plan_digest(plan: &Plan) -> String {
    hex(&Sha256::digest(codec::encode(plan)))
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with a name that no other test has.
    fn written(name: &str, bytes: &[u8]) -> PathBuf {
        let path = std::env::temp_dir().join(format!("nshost-module-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).expect("temporary file");
        path
    }

    #[test]
    fn what_is_compiled_is_what_was_hashed() {
        let path = written("same", b"a script");
        let module = Module::open(&path).expect("module");
        let mut sealed = module.sealed().expect("copy");
        std::fs::write(&path, b"other one").expect("write");
        let mut bytes = Vec::new();
        sealed.read_to_end(&mut bytes).expect("read");
        assert_eq!(bytes, b"a script");
        assert!(sealed.write_all(b"!").is_err(), "it can be written");
        assert!(sealed.set_len(0).is_err(), "it can be cut");
        std::fs::remove_file(path).expect("remove");
    }

    #[test]
    fn a_script_that_changes_is_refused() {
        let path = written("changed", b"a script");
        let module = Module::open(&path).expect("module");
        std::fs::write(&path, b"another script").expect("write");
        let failure = module.sealed().expect_err("changed");
        assert!(failure.message.contains("was changed while it was read"), "{failure}");
        std::fs::remove_file(path).expect("remove");
    }
}
