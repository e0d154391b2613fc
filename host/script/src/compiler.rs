//! `nshost-compiler MODE [MEMORY-BYTES MILLISECONDS]`: reads one module, as a process without rights.
//!
//! MODE is `compile` (the artifact goes to file 2, a `wire::CompileAnswer` to the launcher), `inspect`
//! (the answer is an `Inspection` or a `Failure`), or either with `-unlocked` at its end, to go on where
//! the kernel lacks a part of the lock. MEMORY-BYTES and MILLISECONDS are its budget, for its own resource
//! limits; without them they are the largest that can be granted. The launcher keeps the time.
//! The files are described in [`station`]. It is asked nothing: it works on the file that it was started with.

use std::{
    fs::File,
    io::{ErrorKind, Write},
};

use nshost_plan::{Limits, codec};
use nshost_policy::wire::{CompileAnswer, Failure, Inspection};
use nshost_script::{
    artifact,
    bounded::Bounded,
    compile::Compiler,
    input::Input,
    inspect::inspect,
    lock::{Ceilings, Profile, filter, lock},
    station::{self, Leave, Station, leave},
};

/// The largest module, in bytes.
const MODULE: u64 = 64 << 20;

/// Instead of musl's: an eighth of the time that a large module takes.
#[global_allocator]
static MEMORY: Bounded = Bounded;

fn main() {
    let Ok(station) = Station::enter() else { leave(Leave::Misused) };
    let Some(order) = Order::read() else { leave(Leave::Misused) };
    let Ok(compiler) = Compiler::new() else { leave(Leave::Misused) };
    let module = Input::map(&station.input, MODULE);
    drop(station.input);
    let missing = lock(&Profile { filter: filter::COMPILER, ceilings: order.ceilings() });
    let module = match (missing.first(), module) {
        (Some(layer), _) if !order.unlocked => {
            Err(Failure::Lock { what: layer.what.to_string(), errno: layer.errno })
        }
        (_, Err(error)) if error.kind() == ErrorKind::UnexpectedEof => {
            Err(Failure::Module("it is empty\nbuild or copy it again".to_string()))
        }
        (_, Err(error)) => Err(Failure::Module(format!("it cannot be read: {error}"))),
        (_, Ok(module)) => Ok(module),
    };
    match order.work {
        Work::Compile => {
            let outcome = module.and_then(|module| write_artifact(&compiler, &module, &station.output));
            station::answer(&station.socket, &codec::encode(&CompileAnswer { outcome }))
        }
        Work::Inspect => {
            let outcome: Result<Inspection, Failure> =
                module.and_then(|module| inspect(module.bytes()).map_err(Failure::Module));
            station::answer(&station.socket, &codec::encode(&outcome))
        }
    }
}

enum Work {
    Compile,
    Inspect,
}

struct Order {
    work: Work,
    unlocked: bool,
    memory_bytes: u64,
    milliseconds: u32,
}

impl Order {
    fn read() -> Option<Order> {
        let mut words = std::env::args().skip(1);
        let mode = words.next()?;
        let (mode, unlocked) = match mode.strip_suffix("-unlocked") {
            Some(mode) => (mode, true),
            None => (mode.as_str(), false),
        };
        let work = match mode {
            "compile" => Work::Compile,
            "inspect" => Work::Inspect,
            _ => return None,
        };
        let (memory_bytes, milliseconds) = match (words.next(), words.next()) {
            (None, _) => (Limits::MAX.compile_memory_bytes, Limits::MAX.compile_ms),
            (Some(memory), Some(time)) => (memory.parse().ok()?, time.parse().ok()?),
            (Some(_), None) => return None,
        };
        Some(Order { work, unlocked, memory_bytes, milliseconds })
    }

    /// The module is mapped besides, and so is the program itself.
    fn ceilings(&self) -> Ceilings {
        let data = self.memory_bytes.min(Limits::MAX.compile_memory_bytes);
        Ceilings {
            address_space: data + MODULE + (64 << 20),
            data,
            cpu_seconds: u64::from(self.milliseconds.min(Limits::MAX.compile_ms)).div_ceil(1000) + 1,
            file_size: artifact::MAX,
        }
    }
}

fn write_artifact(compiler: &Compiler, module: &Input, mut file: &File) -> Result<u64, Failure> {
    let artifact = compiler.compile(module.bytes()).map_err(Failure::Module)?;
    file.write_all(&artifact).map_err(|error| Failure::Artifact(format!("cannot write it: {error}")))?;
    Ok(artifact.len() as u64)
}
