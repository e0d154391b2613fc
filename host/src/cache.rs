//! Compiled scripts and remembered plans, in a directory that only its owner can write.
//!
//! An artifact is native code that only a worker without rights loads; a remembered plan is checked
//! by policy like a fresh one. Each file ends in a seal over its name and content, so that one that was
//! damaged, cut, renamed or written by another build is none. (An artifact is an ELF file: what follows its
//! last section is nobody's.) Losing the cache costs time, nothing else:
//! every failure here means "not cached".

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use nix::{
    sys::memfd::{MFdFlags, memfd_create},
    unistd::geteuid,
};
use nshost_plan::{Facts, FactsRead, Limits, Plan, codec};
use nshost_policy::wire::{Answer, COMPILE_MEMORY, COMPILE_TIME, Failure as Answered, LogLine, Question};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    failure::Failure,
    module::{Module, hex},
    paths,
};

/// Artifacts of another build of nshost are not looked for; the worker checks the rest.
const BUILD: &str = concat!(env!("CARGO_PKG_VERSION"), "-wasmtime-48");

/// The bytes of a seal: SHA-256 of the build, the file's name, and what stands before it.
const SEAL: usize = 32;

/// So much of an artifact is read at a time.
const CHUNK: usize = 64 << 10;

/// Entries that nobody has used for this long are removed by `nshost gc`.
const KEEP: Duration = Duration::from_secs(30 * 24 * 3600);

/// The directory, if there is one that can be trusted.
pub struct Cache {
    directory: Option<PathBuf>,
}

/// A plan, what it depended on, and what the script said on the way.
#[derive(Serialize, Deserialize)]
struct Memory {
    read: FactsRead,
    facts: [u8; 32],
    plan: Plan,
    log: Vec<LogLine>,
}

/// Why a script could not be compiled, and within which budget.
#[derive(Serialize, Deserialize)]
struct Uncompiled {
    failure: Answered,
    compile_ms: u32,
    compile_memory_bytes: u64,
}

impl Uncompiled {
    /// Whether it would be no different within this budget.
    fn holds(&self, limits: &Limits) -> bool {
        match &self.failure {
            Answered::Budget { name, .. } if name == COMPILE_TIME => limits.compile_ms <= self.compile_ms,
            Answered::Budget { name, .. } if name == COMPILE_MEMORY => {
                limits.compile_memory_bytes <= self.compile_memory_bytes
            }
            // It may have lacked memory, and not said so.
            Answered::Module(_) => limits.compile_memory_bytes <= self.compile_memory_bytes,
            Answered::Budget { .. }
            | Answered::Script { .. }
            | Answered::Panic { .. }
            | Answered::Exit(_)
            | Answered::Trap(_)
            | Answered::Artifact(_)
            | Answered::Lock { .. } => false,
        }
    }
}

/// A script's compiled form, of which nobody knows yet whether it is what was once written.
pub struct Artifact {
    file: File,
    name: String,
    length: u64,
}

impl Artifact {
    /// Whether its seal is right. Whoever has a copy of the file reads on undisturbed.
    pub fn is_sound(&self) -> bool {
        self.has_seal().unwrap_or(false)
    }

    fn has_seal(&self) -> std::io::Result<bool> {
        let (mut hash, mut chunk, mut at) = (seal_of(&self.name), vec![0; CHUNK], 0);
        let Some(end) = self.length.checked_sub(SEAL as u64) else { return Ok(false) };
        while at < end {
            let wanted = chunk.len().min((end - at) as usize);
            self.file.read_exact_at(&mut chunk[..wanted], at)?;
            hash.update(&chunk[..wanted]);
            at += wanted as u64;
        }
        let mut seal = [0; SEAL];
        self.file.read_exact_at(&mut seal, end)?;
        Ok(hash.finalize().as_slice() == seal)
    }
}

impl Cache {
    /// The usual directory, made if it is not there. One that belongs to somebody else, or that
    /// others can write, is not used.
    pub fn open() -> Cache {
        let path = paths::cache();
        let found = fs::symlink_metadata(&path).or_else(|_| {
            DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
            fs::symlink_metadata(&path)
        });
        let ours = found
            .is_ok_and(|meta| meta.is_dir() && meta.uid() == geteuid().as_raw() && meta.mode() & 0o022 == 0);
        Cache { directory: ours.then_some(path) }
    }

    /// Where it is, if it can be trusted.
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// The script's compiled form, if it is there, to be handed over and to be asked whether it is sound.
    pub fn artifact(&self, module: &Module) -> Option<(File, Artifact)> {
        let name = artifact_name(module);
        let (file, length) = self.open_file(&name)?;
        Some((file.try_clone().ok()?, Artifact { file, name, length }))
    }

    /// A file for the compiler to write into, to be handed to [`Cache::keep_artifact`].
    pub fn new_artifact(&self) -> Result<File, Failure> {
        let memory = memfd_create(c"nshost-artifact", MFdFlags::MFD_CLOEXEC);
        memory
            .map(File::from)
            .map_err(|errno| Failure::ours(format!("no memory for a compiled script: {errno}")))
    }

    /// Keeps what the compiler wrote, and gives it back to be read from the beginning.
    pub fn keep_artifact(&self, module: &Module, mut artifact: File) -> Result<File, Failure> {
        let failed =
            |error: std::io::Error| Failure::ours(format!("cannot read the compiled script: {error}"));
        let mut bytes = Vec::new();
        artifact.rewind().map_err(failed)?;
        artifact.read_to_end(&mut bytes).map_err(failed)?;
        self.write(&artifact_name(module), bytes);
        artifact.rewind().map_err(failed)?;
        Ok(artifact)
    }

    /// Why this script cannot be compiled within this budget, if that is known.
    pub fn recall_failure(&self, module: &Module, limits: &Limits) -> Option<Answered> {
        let bytes = self.read(&failure_name(module))?;
        let uncompiled: Uncompiled = codec::decode("remembered failure", &bytes).ok()?;
        uncompiled.holds(limits).then_some(uncompiled.failure)
    }

    /// Remembers why a script cannot be compiled, if that would be so again.
    pub fn remember_failure(&self, module: &Module, limits: &Limits, failure: &Answered) {
        let Limits { compile_ms, compile_memory_bytes, .. } = *limits;
        let uncompiled = Uncompiled { failure: failure.clone(), compile_ms, compile_memory_bytes };
        if uncompiled.holds(limits) {
            self.write(&failure_name(module), codec::encode(&uncompiled));
        }
    }

    /// The plan that this script composed before, if everything that it depended on is the same.
    pub fn recall(&self, module: &Module, question: &Question) -> Option<(Plan, Vec<LogLine>, FactsRead)> {
        let bytes = self.read(&plan_name(module, question))?;
        let memory: Memory = codec::decode("remembered plan", &bytes).ok()?;
        let Memory { read, facts, plan, log } = memory;
        (facts == facts_digest(&question.facts, read)).then_some((plan, log, read))
    }

    /// Remembers a plan.
    pub fn remember(&self, module: &Module, question: &Question, answer: &Answer, plan: &Plan) {
        let facts = facts_digest(&question.facts, answer.read);
        let memory = Memory { read: answer.read, facts, plan: plan.clone(), log: answer.log.clone() };
        self.write(&plan_name(module, question), codec::encode(&memory));
    }

    /// Removes what was not used for long; returns how many files.
    pub fn prune(&self) -> usize {
        let Some(entries) = self.directory.as_ref().and_then(|directory| fs::read_dir(directory).ok()) else {
            return 0;
        };
        let old = |meta: &fs::Metadata| {
            let used = meta.accessed().or_else(|_| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
            meta.is_file() && SystemTime::now().duration_since(used).is_ok_and(|age| age > KEEP)
        };
        entries
            .flatten()
            .filter(|entry| {
                entry.metadata().is_ok_and(|meta| old(&meta)) && fs::remove_file(entry.path()).is_ok()
            })
            .count()
    }

    /// The file of this name, and its length. O_NONBLOCK: what lies there may be anything, and nobody waits
    /// for it.
    fn open_file(&self, name: &str) -> Option<(File, u64)> {
        let path = self.directory.as_ref()?.join(name);
        let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
        let length = file.metadata().ok().filter(fs::Metadata::is_file)?.len();
        Some((file, length))
    }

    /// The content of a small file, if its seal is right.
    fn read(&self, name: &str) -> Option<Vec<u8>> {
        let (file, length) = self.open_file(name)?;
        let most = (codec::MAX_FRAME + SEAL) as u64;
        let mut bytes = Vec::with_capacity(length.min(most) as usize);
        file.take(most).read_to_end(&mut bytes).ok()?;
        let content = bytes.len().checked_sub(SEAL)?;
        if seal_of(name).chain_update(&bytes[..content]).finalize().as_slice() != &bytes[content..] {
            return None;
        }
        bytes.truncate(content);
        Some(bytes)
    }

    /// By write-then-rename: a reader sees all of it or nothing.
    fn write(&self, name: &str, mut bytes: Vec<u8>) {
        let Some(directory) = &self.directory else { return };
        let seal = seal_of(name).chain_update(&bytes).finalize();
        bytes.extend_from_slice(&seal);
        let draft = directory.join(format!("draft-{}", std::process::id()));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600).custom_flags(nix::libc::O_NOFOLLOW);
        let written = options.open(&draft).and_then(|mut file| file.write_all(&bytes));
        if written.and_then(|()| fs::rename(&draft, directory.join(name))).is_err() {
            let _ = fs::remove_file(&draft);
        }
    }
}

/// The seal of a file of this name, to be gone on with its content.
fn seal_of(name: &str) -> Sha256 {
    Sha256::new().chain_update(format!("{BUILD}\0{name}\0"))
}

fn artifact_name(module: &Module) -> String {
    format!("{}-{BUILD}.artifact", hex(module.digest()))
}

fn failure_name(module: &Module) -> String {
    format!("{}-{BUILD}.uncompiled", hex(module.digest()))
}

/// Grants, limits, command and arguments are part of the name; what else the plan depended on is
/// compared after.
fn plan_name(module: &Module, question: &Question) -> String {
    let Question { facts, grants, limits } = question;
    let mut hash = Sha256::new();
    hash.update(BUILD);
    hash.update(module.digest());
    hash.update(Sha256::digest(codec::encode(&(grants, limits))));
    hash.update(codec::encode(&(&facts.command, &facts.arguments)));
    format!("{}.plan", hex(&hash.finalize()))
}

fn facts_digest(facts: &Facts, read: FactsRead) -> [u8; 32] {
    Sha256::digest(codec::encode(&facts.only(read))).into()
}
