//! From a module to an artifact.

use nshost_plan::show;
use wasmparser::{Parser, Payload};
use wasmtime::{Engine, OptLevel, RegallocAlgorithm};

use crate::{engine, failure::one_line};

/// A module with more code than this, in bytes, is compiled with less optimisation: with all of it, so much takes
/// a second (measured: 2.0 s a MiB, and 1.1 with less), and of a script that decides one plan compiling is what an
/// operator waits for. Scripts in Rust have 30 to 100 KiB, an interpreter some MiB.
pub const LARGE: u64 = 512 << 10;

/// Engines that compile and do not run.
pub struct Compiler {
    thorough: Engine,
    quick: Engine,
}

impl Compiler {
    /// To be made before the lock: wasmtime installs its signal handlers.
    pub fn new() -> wasmtime::Result<Compiler> {
        let mut config = engine::config();
        // A NaN's bits would tell processors apart, and a plan depends on nothing of the kind.
        config.cranelift_nan_canonicalization(true);
        let thorough = Engine::new(&config)?;
        config
            .cranelift_opt_level(OptLevel::None)
            .cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass);
        Ok(Compiler { thorough, quick: Engine::new(&config)? })
    }

    /// Compiles a component for this machine's processor, or says why it cannot be a setup script.
    pub fn compile(&self, module: &[u8]) -> Result<Vec<u8>, String> {
        recognise(module)?;
        let engine = if code(module) > LARGE { &self.quick } else { &self.thorough };
        engine.precompile_component(module).map_err(|error| one_line(&error))
    }
}

/// How many bytes of code there are, as far as the module can be read; what is wrong with it is found when it
/// is compiled.
fn code(module: &[u8]) -> u64 {
    let payloads = Parser::new(0).parse_all(module).map_while(Result::ok);
    payloads
        .map(|payload| match payload {
            Payload::CodeSectionStart { size, .. } => u64::from(size),
            _ => 0,
        })
        .sum()
}

/// Whether the bytes begin like a component (binary format: magic, version, layer).
pub(crate) fn recognise(module: &[u8]) -> Result<(), String> {
    const MAGIC: &[u8] = b"\0asm";
    const CORE: &[u8] = &[1, 0, 0, 0];
    const COMPONENT: &[u8] = &[0x0d, 0, 1, 0];
    match (module.get(..4), module.get(4..8)) {
        (Some(MAGIC), Some(COMPONENT)) => Ok(()),
        (Some(MAGIC), Some(CORE)) => {
            Err("it is a core WebAssembly module, not a component: make one of it with `wasm-tools \
             component new`"
                .into())
        }
        (Some(MAGIC), _) => Err("it is WebAssembly of a version that this host does not know".into()),
        _ => {
            let begins = String::from_utf8_lossy(&module[..module.len().min(16)]);
            Err(format!("it is not WebAssembly: it begins with {}", show::quote(&begins)))
        }
    }
}
