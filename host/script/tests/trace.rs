//! The system calls that the programs make after their lock, against their tables: none that is not in
//! the table, and no row that nothing needs. Needs `strace`.

mod common;

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    path::Path,
    process::Stdio,
    sync::atomic::{AtomicU32, Ordering},
};

use common::*;
use nshost_plan::Limits;
use nshost_policy::wire::{Answer, CompileAnswer, Question};
use nshost_script::lock::{
    Row,
    filter::{COMPILER, Rule, WORKER},
};

/// A system call as `strace` shows it: its name and its arguments.
type Call = (String, Vec<String>);

/// Runs a helper under strace and returns what came after the lock.
fn traced<T: serde::de::DeserializeOwned>(
    name: &str,
    mode: &str,
    input: Stdio,
    output: Stdio,
    question: Option<&[u8]>,
) -> Vec<Call> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("nshost-trace-{}-{number}", std::process::id()));
    let program = program(name);
    let words: [&OsStr; 6] = [
        strace().as_os_str(),
        "-o".as_ref(),
        path.as_os_str(),
        "-qq".as_ref(),
        program.as_os_str(),
        mode.as_ref(),
    ];
    let ran = run::<T>(helper_by(&words, input, output), question);
    let trace = fs::read_to_string(&path).unwrap_or_default();
    fs::remove_file(&path).unwrap();
    assert!(ran.answer.is_some(), "{}\n{trace}", ran.status);
    let after = trace.split_once("seccomp(SECCOMP_SET_MODE_FILTER").expect("no lock").1;
    after.lines().skip(1).filter_map(parse).collect()
}

fn strace() -> &'static Path {
    let known = ["/usr/bin/strace", "/bin/strace", "/usr/local/bin/strace"].map(Path::new);
    known.into_iter().find(|path| path.exists()).expect("install strace: this test reads its output")
}

/// `mmap(NULL, 4096, PROT_READ|PROT_WRITE, …) = 0x…`; signals and exits are other lines.
fn parse(line: &str) -> Option<Call> {
    let (name, rest) = line.split_once('(')?;
    let arguments = rest.split(", ").map(|word| word.trim_end_matches(')').to_string()).collect();
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_').then(|| (name.to_string(), arguments))
}

/// The row that allows a call.
fn row<'a>(table: &'a [Row], (name, arguments): &Call) -> Option<&'a Row> {
    table.iter().find(|row| {
        row.name == name
            && match row.rule {
                Rule::Always => true,
                Rule::Argument { index, is } => arguments[usize::from(index)] == is.to_string(),
                Rule::ArgumentWithout { index, bits } => {
                    assert_eq!(bits, libc::PROT_EXEC as u32, "teach this test to read other bits");
                    !arguments[usize::from(index)].contains("PROT_EXEC")
                }
            }
    })
}

/// Holds calls and table against each other. `spare` are rows that this machine has no use for.
fn compare(table: &[Row], calls: &[Call], spare: &[&str]) {
    let mut used = BTreeSet::new();
    for call in calls {
        let row = row(table, call).unwrap_or_else(|| panic!("not in the table: {call:?}"));
        used.insert(row.name);
    }
    let all: BTreeSet<_> = table.iter().map(|row| row.name).collect();
    assert_eq!(all.len(), table.len(), "a call is in the table twice");
    // Other C libraries allocate in other ways; the tables are those of the programs as they are installed.
    if cfg!(target_env = "musl") || std::env::var_os("NSHOST_PROGRAMS").is_some() {
        let unused: Vec<_> = all.difference(&used).filter(|name| !spare.contains(name)).collect();
        assert!(unused.is_empty(), "nothing needs {unused:?}");
    }
}

/// Everything that a script can make a worker do.
fn evaluations() -> Vec<(Vec<u8>, Question)> {
    let grows = "(func $setup (result i32)
        (drop (memory.grow (i32.const 900))) (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x3000000))
        (i32.store (i32.const 16) (i32.const 0)) (i32.const 16))";
    let many = r#"(data (i32.const 1024) "a line\nand another")
        (func $setup (result i32) (local $n i32)
            (loop
                (call $log.info (i32.const 1024) (i32.const 18))
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (br_if 0 (i32.lt_u (local.get $n) (i32.const 20000))))
            (i32.store8 (i32.const 16) (i32.const 0))
            (i32.const 16))"#;
    // A plan of 3 MB.
    let long = r#"(data (i32.const 1024) "AA")
        (func $setup (result i32) (local $n i32)
            (memory.fill (i32.const 4096) (i32.const 65) (i32.const 32768))
            (loop
                (i32.store8 (i32.const 1024) (i32.add (i32.const 65) (i32.shr_u (local.get $n) (i32.const 4))))
                (i32.store8 (i32.const 1025) (i32.add (i32.const 65) (i32.and (local.get $n) (i32.const 15))))
                (call $process.variable (i32.const 1024) (i32.const 2) (i32.const 4096) (i32.const 32768) (i32.const 16))
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (br_if 0 (i32.lt_u (local.get $n) (i32.const 100))))
            (i32.const 16))"#;
    let large = |limits: &mut Limits| *limits = Limits { instances: 64, ..Limits::MAX };
    vec![
        (hosted(include_str!("fixtures/everything.wat")), question()),
        (wat(include_str!("fixtures/output.wat")), question()),
        (plain(grows), question()),
        (hosted(many), limited(large)),
        (hosted(long), limited(large)),
        (plain("(func $setup (result i32) unreachable)"), question()),
        (plain("(func $setup (result i32) (i32.load (i32.const -4)))"), question()),
        (plain("(func $deep (call $deep)) (func $setup (result i32) (call $deep) unreachable)"), question()),
        (
            plain("(func $setup (result i32) (loop (br 0)) unreachable)"),
            limited(|limits| limits.wall_ms = 30),
        ),
    ]
}

#[test]
fn the_worker_keeps_to_its_table() {
    let mut calls = Vec::new();
    for (module, question) in evaluations() {
        let artifact = file(&compile(&module).unwrap());
        let question = frame(&question);
        calls.extend(traced::<Answer>(
            "nshost-worker",
            "evaluate",
            artifact.into(),
            Stdio::null(),
            Some(&question),
        ));
    }
    // The vDSO answers here.
    compare(WORKER, &calls, &["clock_gettime"]);
}

#[test]
fn the_compiler_keeps_to_its_table() {
    let mut calls = Vec::new();
    let functions: String = (0..1000).map(|n| format!("(func (result i32) (i32.const {n}))")).collect();
    let large = plain(&format!("{functions} (func $setup (result i32) i32.const 16)"));
    let bad = b"\0asm\x0d\0\x01\0nonsense".to_vec();
    for module in [large, bad] {
        for mode in ["compile", "inspect"] {
            let (input, output) = (file(&module).into(), file(&[]).into());
            calls.extend(match mode {
                "compile" => traced::<CompileAnswer>("nshost-compiler", mode, input, output, None),
                _ => traced::<Inspected>("nshost-compiler", mode, input, output, None),
            });
        }
    }
    // dlmalloc gives memory back when more than 2 MiB are free at its end, as the worker's calls show; a
    // compiler rarely comes to that.
    compare(COMPILER, &calls, &["mremap", "munmap"]);
}

type Inspected = Result<nshost_policy::wire::Inspection, nshost_policy::wire::Failure>;
