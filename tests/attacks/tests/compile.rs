//! A script that is small and takes a compiler for ever, or all of the machine's memory. It needs no grant for
//! that: it is compiled before anybody can ask it anything.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Result;
use support::{Host, Nshost, Scratch, Terminal, root_or_skip, wasi_component};

const BUDGET: i32 = 121;

/// A script whose core module has these functions.
fn component(functions: &str) -> Vec<u8> {
    let types = include_str!("../../../host/script/tests/fixtures/types.wat");
    wat::parse_str(format!(
        r#"(component
            {types}
            (core module $main
                (memory (export "memory") 1)
                {functions}
                (func (export "setup") (result i32) i32.const 16))
            (core instance $main (instantiate $main))
            (func (export "setup") (result (result (error $failure)))
                (canon lift (core func $main "setup") (memory (core memory $main "memory")))))"#
    ))
    .expect("the text is well formed")
}

/// Loops, each in the one before: what a compiler does with them grows faster than they do.
fn bomb() -> Vec<u8> {
    const DEPTH: usize = 13_000;
    let (open, close) = ("loop local.get 0 br_if 0 ".repeat(DEPTH), "end ".repeat(DEPTH));
    component(&format!("(func (param i32) {open} {close})"))
}

/// Variables that are alive through many loops: as many places as both multiplied.
fn memory_bomb() -> Vec<u8> {
    const DEPTH: usize = 12_000;
    const VARIABLES: usize = 1_500;
    let uses: String = (0..VARIABLES).map(|number| format!("local.get {number} drop ")).collect();
    let (open, close) = ("loop ".repeat(DEPTH), "end ".repeat(DEPTH));
    component(&format!("(func (local {}) {open} {uses} {close})", "i32 ".repeat(VARIABLES)))
}

/// A cache of its own, in which nothing is compiled yet.
struct Place {
    host: Host,
    scratch: Scratch,
}

impl Place {
    fn new() -> Result<Place> {
        let place = Place { host: Host::new()?, scratch: Scratch::new()? };
        std::fs::create_dir(place.scratch.path().join("cache"))?;
        place.scratch.file("bomb.wasm", bomb())?;
        Ok(place)
    }

    fn bomb(&self) -> PathBuf {
        self.scratch.path().join("bomb.wasm")
    }

    fn plan(&self, words: &[&str], limits: &str) -> Result<Nshost<'_>> {
        // Time alone is what the bomb lacks.
        let memory = if limits.contains("memory") { "" } else { "compile-memory-mib = 4096\n" };
        let grants = self.scratch.file("limits.toml", format!("schema = 1\n[limits]\n{memory}{limits}\n"))?;
        let nshost = self.nshost()?.arg("plan").args(words);
        Ok(if limits.is_empty() { nshost } else { nshost.arg("--grants").arg(grants) })
    }

    fn nshost(&self) -> Result<Nshost<'_>> {
        let nshost = self.host.nshost()?.limit(Duration::from_secs(25));
        Ok(nshost.variable("NSHOST_CACHE_DIR", self.scratch.path().join("cache")))
    }
}

#[test]
fn a_compile_bomb_ends_without_a_grant_within_ten_seconds() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let place = Place::new()?;
    assert!(bomb().len() < 100_000, "{} bytes", bomb().len());
    let begun = Instant::now();
    let output = place.nshost()?.arg("run").arg(place.bomb()).args(["--", "true"]).run()?;
    output.expect(BUDGET)?;
    // Of the two, what it uses up first.
    assert!(output.stderr.contains("used up its budget: compile"), "{}", output.text());
    assert!(begun.elapsed() < Duration::from_secs(14), "{:?}", begun.elapsed());
    // Anything usual compiles.
    place.plan(&[], "")?.arg(wasi_component("asks")?).run()?.expect(0)?;
    Ok(())
}

#[test]
fn a_failure_to_compile_is_remembered_until_more_is_granted() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let place = Place::new()?;
    let took = |words: &[&str], limits: &str| -> Result<Duration> {
        let nshost = place.plan(words, limits)?.arg(place.bomb());
        let begun = Instant::now();
        let output = nshost.run()?;
        output.expect(BUDGET)?;
        assert!(output.stderr.contains("compile-ms"), "{}", output.text());
        Ok(begun.elapsed())
    };
    let (second, more) = (Duration::from_millis(1000), Duration::from_millis(1500));
    assert!(took(&[], "compile-ms = 1000")? >= second);
    assert!(took(&[], "compile-ms = 1000")? < second / 2, "it was compiled again");
    assert!(took(&[], "compile-ms = 900")? < second / 2, "it was compiled again with less time");
    assert!(took(&["--fresh"], "compile-ms = 1000")? >= second, "nobody can ask again");
    assert!(took(&[], "compile-ms = 1500")? >= more, "more time was not used");
    assert!(took(&[], "compile-ms = 1500")? < second / 2);
    Ok(())
}

#[test]
fn a_compiler_has_so_much_memory_and_no_more() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let place = Place::new()?;
    let plan = |limits: &str| {
        let nshost = place.plan(&[], limits)?.arg(wasi_component("asks")?);
        nshost.args(["own=usual", "--", "true"]).run()
    };
    let output = plan("compile-memory-mib = 3")?;
    output.expect(BUDGET)?;
    assert!(output.stderr.contains("compile memory, 3 MiB"), "{}", output.text());
    plan("compile-memory-mib = 2")?.expect(BUDGET)?;
    plan("compile-memory-mib = 64")?.expect(0)?;
    // What is usual is enough for what is usual, and for nothing else.
    let bomb = place.scratch.file("memory.wasm", memory_bomb())?;
    assert!(memory_bomb().len() < 60_000, "{} bytes", memory_bomb().len());
    let output = place.nshost()?.arg("plan").arg(bomb).run()?;
    output.expect(BUDGET)?;
    assert!(output.stderr.contains("compile memory, 256 MiB"), "{}", output.text());
    // Compiled is compiled.
    plan("compile-memory-mib = 2")?.expect(0)?;
    Ok(())
}

#[test]
fn an_operator_at_a_terminal_is_told_what_takes_so_long() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let place = Place::new()?;
    let nshost = place.plan(&[], "compile-ms = 2500")?.arg(place.bomb());
    let mut terminal = Terminal::start(&nshost.command())?;
    let shown = terminal.expect("bomb.wasm", Duration::from_secs(2))?;
    assert!(shown.contains("compiling"), "{shown}");
    assert_eq!(terminal.finish(Duration::from_secs(5))?, BUDGET);
    // Nobody is told what is there at once.
    let nshost = place.plan(&[], "")?.arg(wasi_component("asks")?);
    let mut quick = Terminal::start(&nshost.command())?;
    assert!(!quick.expect("plan ", Duration::from_secs(5))?.contains("compiling"));
    quick.finish(Duration::from_secs(5))?;
    // And a pipe gets no line that is only for a moment.
    let output = place.plan(&["--fresh"], "compile-ms = 1500")?.arg(place.bomb()).run()?;
    assert!(!output.stderr.contains("compiling"), "{}", output.text());
    Ok(())
}
