//! From a module to an artifact.

use nshost_plan::show;
use wasmtime::Engine;

use crate::{engine, failure::one_line};

/// Compiles a component for this machine's processor, or says why it cannot be a setup script.
pub fn compile(engine: &Engine, module: &[u8]) -> Result<Vec<u8>, String> {
    recognise(module)?;
    engine.precompile_component(module).map_err(|error| one_line(&error))
}

/// An engine that compiles and does not run. To be made before the lock: wasmtime installs its signal
/// handlers.
pub fn compiler() -> wasmtime::Result<Engine> {
    let mut config = engine::config();
    // A NaN's bits would tell processors apart, and a plan depends on nothing of the kind.
    config.cranelift_nan_canonicalization(true);
    Engine::new(&config)
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
