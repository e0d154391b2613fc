//! One configuration of wasmtime, for the process that compiles and for the one that runs: what the
//! two do not agree on is an artifact that does not load.

use wasmtime::{Config, Engine};

/// The stack of a script, in bytes. Deeper recursion traps.
pub const STACK: usize = 512 << 10;
/// What a linear memory may grow to before it has to move, in bytes. Address space only.
pub(crate) const RESERVATION: u64 = 4 << 20;

/// The configuration, apart from what only one of the two processes has.
pub fn config() -> Config {
    let mut config = Config::new();
    budgets(&mut config);
    features(&mut config);
    config
}

/// An engine that loads artifacts and cannot compile.
pub fn engine() -> wasmtime::Result<Engine> {
    let mut config = config();
    #[cfg(feature = "compiler")]
    config.enable_compiler(false);
    config.with_custom_code_memory(Some(std::sync::Arc::new(crate::artifact::AlreadyExecutable)));
    Engine::new(&config)
}

fn budgets(config: &mut Config) {
    // The deadline: compiled code looks at a counter at each loop and function entry. Fuel would count
    // instructions, at twice the price, and a script's time is what an operator waits for.
    config.epoch_interruption(true);
    config.max_wasm_stack(STACK);
    // Small reservations instead of 4 GiB for each memory let a limit on address space mean something.
    // Bounds are checked by an instruction then instead of a guard page; scripts do not notice.
    config
        .memory_reservation(RESERVATION)
        .memory_reservation_for_growth(16 << 20)
        .memory_guard_size(64 << 10);
    // Measured: copying a few KiB is cheaper than the system calls that map them copy-on-write, which
    // would also need a memfd in a process that may not make one.
    config.memory_init_cow(false);
    // Nobody unwinds: a trap ends the process, which is left by `_exit`.
    config.native_unwind_info(false);
    config.wasm_backtrace_max_frames(None);
    config.generate_address_map(false);
}

/// What toolchains emit unasked stays on; what they do not is one more way into the code generator.
/// (Threads, garbage collection, exceptions and component-model async are not even compiled in.)
fn features(config: &mut Config) {
    config.wasm_memory64(false);
    // An interpreter that is compiled in may be made of these.
    config.wasm_tail_call(true);
    config.wasm_custom_page_sizes(false);
    config.wasm_wide_arithmetic(false);
    // Relaxed SIMD gives different results on different processors, by design.
    config.wasm_relaxed_simd(false);
}
