//! The program that is to run: the operator's own is looked for, a script's is one file.

use std::{
    ffi::CString,
    os::fd::{AsFd, OwnedFd},
};

use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2},
    sys::stat::fstat,
};
use nshost_plan::Command;

use crate::{Error, process::orders::c_string};

/// What is executed, before the clone.
pub(crate) enum Program {
    /// The first of these paths that can be.
    First(Vec<CString>),
    /// The file where the path leads, as the host sees it: the child compares, and executes no other.
    File { path: CString, found: Result<File, Errno> },
}

/// What no other file has as long as this one is held open: afterwards an inode is given out again.
pub(crate) struct File {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    held: OwnedFd,
}

impl Program {
    /// The operator's: with a slash it is a path; another is looked for in each directory of
    /// [`Command::PATH`], whatever `PATH` the script sets.
    pub(crate) fn typed(program: &str) -> Result<Program, Error> {
        let candidates = match program.contains('/') {
            true => vec![c_string(program)],
            false => Command::PATH.split(':').map(|d| c_string(&format!("{d}/{program}"))).collect(),
        };
        Ok(Program::First(candidates.into_iter().collect::<Result<_, _>>()?))
    }

    /// A script's: links of `/proc`, which lead where no path does, are not followed.
    pub(crate) fn granted(program: &str) -> Result<Program, Error> {
        let path = c_string(program)?;
        let how = OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let absolute = if program.starts_with('/') { Ok(()) } else { Err(Errno::ENOENT) };
        let found = absolute
            .and_then(|()| openat2(AT_FDCWD, path.as_c_str(), how))
            .and_then(|held| Ok((fstat(held.as_fd())?, held)))
            .map(|(found, held)| File { device: found.st_dev, inode: found.st_ino, held });
        Ok(Program::File { path, found })
    }

    /// What is to be held open until the child has executed it.
    pub(crate) fn into_held(self) -> Option<OwnedFd> {
        match self {
            Program::First(_) => None,
            Program::File { found, .. } => found.ok().map(|file| file.held),
        }
    }
}
