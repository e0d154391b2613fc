//! A module that may be anything: what the compiler's process does with it.

use std::sync::LazyLock;

use nshost_script::{compile::Compiler, inspect::inspect};

static COMPILER: LazyLock<Compiler> =
    LazyLock::new(|| Compiler::new().expect("the configuration is a valid one"));

/// The largest module that is compiled, in bytes: fast code generation finds more than slow.
const COMPILED: usize = 16 << 10;

/// What is compiled can be inspected as well; what is refused says why in a line.
pub fn run(data: &[u8]) {
    let inspected = inspect(data);
    if let Err(reason) = &inspected {
        told(reason);
    }
    if data.len() > COMPILED {
        return;
    }
    match COMPILER.compile(data) {
        Ok(artifact) => {
            assert!(artifact.starts_with(b"\x7fELF"));
            let found = inspected.expect("compiled, so it can be read");
            assert!(found.imports.len() <= 1000 && found.producers.len() <= 1000);
        }
        Err(reason) => told(&reason),
    }
}

/// What it is, and in a second line what to do.
fn told(reason: &str) {
    assert!(!reason.is_empty() && reason.lines().count() <= 2, "{reason:?}");
    assert!(!reason.chars().any(|c| c.is_control() && c != '\n'), "{reason:?}");
}
