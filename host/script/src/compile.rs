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
        engine.precompile_component(module).map_err(|error| {
            let what = one_line(&error);
            format!(
                "{what}\nif it was copied, copy it again; if not, its tools made what this nshost does not take"
            )
        })
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
        (Some(MAGIC), Some(CORE)) => Err("it is a core WebAssembly module, not a component\n\
             `wasm-tools component new` makes one of it; or build with --target wasm32-wasip2, which does"
            .into()),
        (Some(MAGIC), Some(_)) => Err("it is WebAssembly of a version that this host does not know\n\
                 build it with tools that make components (binary format 0x1000d)"
            .into()),
        (Some(MAGIC), None) => {
            Err("it is WebAssembly that ends in its first 8 bytes\nbuild or copy it again".into())
        }
        _ => Err(what_else(module)),
    }
}

/// A line of TOML that says nothing; no attribute of Rust's, and no interpreter's name.
fn is_comment(line: &str) -> bool {
    line.starts_with('#') && !line.starts_with("#[") && !line.starts_with("#!")
}

/// What it seems to be that is not WebAssembly, and what to do.
fn what_else(module: &[u8]) -> String {
    const BUILD: &str = "build it with `cargo build --release --target wasm32-wasip2`";
    let text = module.utf8_chunks().next().map_or("", |chunk| chunk.valid()).trim_start();
    let begins = |beginnings: &[&str]| beginnings.iter().any(|beginning| text.starts_with(beginning));
    if module.starts_with(b"\x7fELF") {
        return format!("it is a program for this machine (ELF), not WebAssembly\n{BUILD}");
    }
    if module.starts_with(b"\x1f\x8b") || module.starts_with(b"\x28\xb5\x2f\xfd") || module.starts_with(b"PK")
    {
        return "it is a compressed file, not WebAssembly\nunpack it first".to_string();
    }
    if begins(&["(component", "(module"]) {
        return "it is WebAssembly's text, not its binary form\n`wasm-tools parse FILE -o FILE.wasm` makes that".to_string();
    }
    let mut lines = text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !is_comment(line));
    if lines.next().is_some_and(|line| line.starts_with("schema") || line.starts_with('[')) {
        return "it is TOML, not WebAssembly: is it a grants file?\nthat goes after --grants: nshost run --grants FILE SCRIPT".to_string();
    }
    if begins(&["#!"]) {
        return "it is a script for an interpreter (#!), not WebAssembly\n\
                a setup script is a WebAssembly component; what is to run in the container goes after --"
            .to_string();
    }
    if begins(&["use ", "fn ", "//", "#[", "mod "]) {
        return format!("it is the source of a script, not WebAssembly\n{BUILD}");
    }
    let begins = String::from_utf8_lossy(&module[..module.len().min(16)]);
    format!("it is not WebAssembly: it begins with {}\n{BUILD}", show::quote(&begins))
}
