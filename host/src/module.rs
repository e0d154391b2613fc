//! The script's file: a WebAssembly component that nobody trusts.

use std::{
    fmt::Write,
    fs::{File, OpenOptions},
    io::{Read, Seek},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use nshost_plan::{Plan, codec, show};
use sha2::{Digest, Sha256};

use crate::failure::{Failure, Status};

/// The largest script, in bytes: a Python interpreter compiled in takes about 20 MB.
const MAX: u64 = 64 << 20;

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
            .map_err(|error| Failure::file(path, &error))?;
        let metadata = file.metadata().map_err(|error| Failure::file(path, &error))?;
        let name = show::quote(&path.to_string_lossy());
        if !metadata.is_file() {
            return Err(Failure::ours(format!("{name} is not a file")));
        }
        if metadata.len() > MAX {
            return Err(Failure::new(
                Status::Script,
                format!("{name} is larger than 64 MiB, too large for a script"),
            ));
        }
        let mut bytes = Vec::with_capacity(metadata.len() as usize);
        (&mut file).take(MAX).read_to_end(&mut bytes).map_err(|error| Failure::file(path, &error))?;
        Ok(Module { path: path.to_path_buf(), file, digest: Sha256::digest(&bytes).into() })
    }

    /// SHA-256 of the bytes.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// What the operator called it, safe to print.
    pub fn name(&self) -> String {
        show::quote(&self.path.to_string_lossy())
    }

    /// The file, to be read from its beginning.
    pub fn file(&self) -> Result<File, Failure> {
        let mut file = self.file.try_clone().map_err(|error| Failure::file(&self.path, &error))?;
        file.rewind().map_err(|error| Failure::file(&self.path, &error))?;
        Ok(file)
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
