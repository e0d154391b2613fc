//! `nshost-worker MODE [MEMORY-BYTES]`: evaluates one compiled setup script, once.
//!
//! MODE is `evaluate`; or `check`, which is asked nothing and tells whether it could be evaluated; or either
//! with `-unlocked` at its end, to go on where the kernel lacks a part of the lock.
//! MEMORY-BYTES is the script's memory budget, for the process's own resource limits; without it they
//! are those of the largest budget that can be granted.
//! The files are described in [`station`]; the question and the answer are `nshost_policy::wire`'s.

use std::{fs::File, io::BufReader};

use nshost_plan::{Limits, codec};
use nshost_policy::wire::{Answer, Failure, Question};
use nshost_script::{
    artifact::Artifact,
    clock, engine,
    evaluate::{self, check, evaluate},
    lock::{Ceilings, Profile, Unlocked, filter, lock},
    signal_stack,
    station::{self, Leave, Station, leave},
};
use wasmtime::Engine;

/// musl's own allocator makes many small mappings: two fifths of the whole evaluation (measured).
#[global_allocator]
static MEMORY: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() {
    let Ok(station) = Station::enter() else { leave(Leave::Misused) };
    let Some(order) = Order::read() else { leave(Leave::Misused) };
    let Ok(engine) = engine::engine() else { leave(Leave::Misused) };
    let artifact = Artifact::map(&station.input);
    drop((station.input, station.output));
    let missing = put_on_lock(&engine, &order, &artifact);
    let question = match order.work {
        Work::Evaluate => match read_question(&station.socket) {
            Some(question) => Some(question),
            None => leave(Leave::Unheard),
        },
        Work::Check => None,
    };
    let answer = match (missing.first(), artifact) {
        (Some(layer), _) if !order.unlocked => {
            Answer::failed(Failure::Lock { what: layer.what.to_string(), errno: layer.errno })
        }
        (_, Err(error)) => Answer::failed(Failure::Artifact(error.to_string())),
        (_, Ok(artifact)) => {
            let mut answer = match question {
                Some(question) => evaluate(&engine, &artifact, question),
                None => check(&engine, &artifact),
            };
            evaluate::warn(&mut answer, missing.iter().map(|layer| format!("not locked: {layer}")));
            answer
        }
    };
    station::answer(&station.socket, &evaluate::encode(answer))
}

enum Work {
    Evaluate,
    Check,
}

/// The command line.
struct Order {
    work: Work,
    unlocked: bool,
    memory_bytes: u64,
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
            "evaluate" => Work::Evaluate,
            "check" => Work::Check,
            _ => return None,
        };
        let memory_bytes = match words.next() {
            Some(word) => word.parse().ok()?,
            None => Limits::MAX.memory_bytes,
        };
        Some(Order { work, unlocked, memory_bytes: memory_bytes.min(Limits::MAX.memory_bytes) })
    }
}

/// From here on the process has no rights. Nothing that anybody else wrote has been read so far.
fn put_on_lock(engine: &Engine, order: &Order, artifact: &std::io::Result<Artifact>) -> Vec<Unlocked> {
    // If it cannot be, wasmtime makes one.
    let _ = signal_stack::set();
    let mut missing = Vec::new();
    if let Err(error) = clock::start(engine) {
        missing.push(Unlocked { what: "timer", errno: error.raw_os_error().unwrap_or(libc::EINVAL) });
    }
    let artifact_bytes = artifact.as_ref().map_or(0, Artifact::length);
    missing.extend(lock(&Profile { filter: filter::WORKER, ceilings: ceilings(order, artifact_bytes) }));
    missing
}

/// A memory that grows beyond its reservation moves: for a moment it is there twice.
fn ceilings(order: &Order, artifact_bytes: u64) -> Ceilings {
    let data = 2 * order.memory_bytes + (128 << 20);
    Ceilings {
        address_space: data + artifact_bytes + (2 << 30),
        data,
        cpu_seconds: u64::from(Limits::MAX.wall_ms / 1000) + 2,
        file_size: 0,
    }
}

fn read_question(socket: &File) -> Option<Question> {
    let frame = codec::read_frame(BufReader::new(socket)).ok()?;
    codec::decode("question", &frame).ok()
}
