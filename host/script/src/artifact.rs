//! The compiled script: a file that was mapped before the lock and is parsed after it.
//!
//! It may be hostile: what made it had read a hostile module. So it is mapped, as a whole and
//! executable, while the process can still map such a thing, and not one byte of it is looked at
//! before everything else is locked. That is why one system call filter is enough, which allows no
//! executable mapping at all: there is none left to make.
#![allow(unsafe_code)]

use std::{fs::File, io};

use wasmtime::{CustomCodeMemory, Engine, component::Component};

use crate::input::Input;

/// The largest artifact, in bytes. The engines of JavaScript and Python compile to about 35 MB.
pub const MAX: u64 = 512 << 20;

/// An artifact in memory: readable, executable, not writable.
#[derive(Debug)]
pub struct Artifact(Input);

impl Artifact {
    /// Maps the file. Nothing in it is read.
    pub fn map(file: &File) -> io::Result<Artifact> {
        Input::map_executable(file, MAX).map(Artifact)
    }

    /// How many bytes.
    pub fn length(&self) -> u64 {
        self.0.address().len() as u64
    }

    /// Makes a component of it. The caller has locked the process: a forged artifact is native code.
    pub fn load(&self, engine: &Engine) -> wasmtime::Result<Component> {
        // SAFETY: the mapping is never unmapped or changed, as `deserialize_raw` asks. That its contents
        // came out of wasmtime cannot be known: the process has no rights, so that it need not be.
        unsafe { Component::deserialize_raw(engine, self.0.address()) }
    }
}

/// Tells wasmtime that its code needs no publishing, because [`Artifact::map`] has done it.
pub(crate) struct AlreadyExecutable;

impl CustomCodeMemory for AlreadyExecutable {
    fn required_alignment(&self) -> usize {
        4096
    }

    fn publish_executable(&self, _code: *const u8, _length: usize) -> wasmtime::Result<()> {
        Ok(())
    }

    fn unpublish_executable(&self, _code: *const u8, _length: usize) -> wasmtime::Result<()> {
        Ok(())
    }
}
