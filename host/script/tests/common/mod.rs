//! Starts the real programs as the launcher does, on components written as text.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::{
    ffi::OsStr,
    fs::File,
    io::{Read, Seek, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use nshost_plan::{Argument, Facts, Limits, codec};
use nshost_policy::{
    Grants,
    wire::{Answer, CompileAnswer, Failure, Inspection, Question},
};

/// What came out of a process.
pub struct Ran<T> {
    /// Its answer; none if it ended without.
    pub answer: Option<T>,
    /// How it ended.
    pub status: ExitStatus,
    /// How long it took, start and end included.
    pub took: Duration,
}

/// The worker or the compiler: of this build, or in the directory that NSHOST_PROGRAMS names (to test
/// what is installed, which is built for another target).
pub fn program(name: &str) -> PathBuf {
    let built = match name {
        "nshost-worker" => env!("CARGO_BIN_EXE_nshost-worker"),
        _ => env!("CARGO_BIN_EXE_nshost-compiler"),
    };
    std::env::var_os("NSHOST_PROGRAMS").map_or(built.into(), |directory| PathBuf::from(directory).join(name))
}

/// The bytes of a component, from text. `@TYPES@` stands for the import of the contract's types.
pub fn wat(text: &str) -> Vec<u8> {
    let text = text.replace("@TYPES@", include_str!("../fixtures/types.wat"));
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"))
}

/// A component without host calls, whose core module has these fields. They define the function
/// `$setup`, which returns the address of a `result`; address 16 holds "ok".
pub fn plain(fields: &str) -> Vec<u8> {
    wat(&format!(
        r#"(component
            @TYPES@
            (core module $main
                (memory (export "memory") 1)
                {fields}
                (export "setup" (func $setup)))
            (core instance $main (instantiate $main))
            (func (export "setup") (result (result (error $failure)))
                (canon lift (core func $main "setup") (memory (core memory $main "memory")))))"#
    ))
}

/// An anonymous file with these bytes, to be read from its beginning.
pub fn file(bytes: &[u8]) -> File {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("nshost-script-test-{}-{number}", std::process::id()));
    let mut file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

/// A command with the three files of a helper.
pub fn helper(path: &Path, mode: &str, input: Stdio, output: Stdio) -> (Command, UnixStream) {
    helper_by(&[path.as_os_str(), mode.as_ref()], input, output)
}

/// The same, by a command line: something that starts the helper.
#[expect(clippy::disallowed_methods, reason = "a test stands in for the launcher")]
pub fn helper_by(words: &[&OsStr], input: Stdio, output: Stdio) -> (Command, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env_clear();
    command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(input).stderr(output);
    (command, ours)
}

/// Runs a helper to its end.
pub fn run<T: serde::de::DeserializeOwned>(
    (mut command, mut socket): (Command, UnixStream),
    question: Option<&[u8]>,
) -> Ran<T> {
    let begun = Instant::now();
    let mut child = command.spawn().unwrap();
    drop(command);
    if let Some(question) = question {
        // One that has refused to start does not listen.
        let _ = socket.write_all(question);
    }
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let frame = codec::read_frame(&mut socket).ok();
    let mut rest = Vec::new();
    let _ = socket.read_to_end(&mut rest);
    assert!(rest.is_empty(), "more than one answer");
    let status = child.wait().unwrap();
    let answer = frame.map(|frame| codec::decode("answer", &frame).unwrap());
    Ran { answer, status, took: begun.elapsed() }
}

/// The artifact of a component, or why there is none.
pub fn compile(module: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut artifact = file(&[]);
    let output = artifact.try_clone().unwrap().into();
    let ran = run::<CompileAnswer>(
        helper(&program("nshost-compiler"), "compile", file(module).into(), output),
        None,
    );
    let answer = ran.answer.unwrap_or_else(|| panic!("no answer: {}", ran.status));
    let length = answer.outcome?;
    let mut bytes = Vec::new();
    artifact.rewind().unwrap();
    artifact.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, length);
    Ok(bytes)
}

/// What a component says about itself.
pub fn inspect(module: &[u8]) -> Result<Inspection, Failure> {
    let helper = helper(&program("nshost-compiler"), "inspect", file(module).into(), Stdio::null());
    run::<Result<Inspection, Failure>>(helper, None).answer.unwrap()
}

/// A question as it goes over the socket.
pub fn frame(question: &Question) -> Vec<u8> {
    let mut frame = Vec::new();
    codec::write_frame(&mut frame, &codec::encode(question)).unwrap();
    frame
}

/// Evaluates an artifact.
pub fn evaluate_artifact(artifact: &[u8], question: &Question) -> Ran<Answer> {
    let (program, memory) = (program("nshost-worker"), question.limits.memory_bytes.to_string());
    let words: [&OsStr; 3] = [program.as_os_str(), "evaluate".as_ref(), memory.as_ref()];
    run(helper_by(&words, file(artifact).into(), Stdio::null()), Some(&frame(question)))
}

/// Compiles and evaluates; there must be an answer.
pub fn evaluate(module: &[u8], question: &Question) -> Answer {
    let artifact = compile(module).unwrap_or_else(|failure| panic!("{failure:?}"));
    let ran = evaluate_artifact(&artifact, question);
    assert!(ran.status.success(), "{}", ran.status);
    ran.answer.unwrap()
}

/// Open grants, default limits, and facts of a small host.
pub fn question() -> Question {
    let facts = Facts {
        arguments: vec![Argument::try_from("eighty".to_string()).unwrap()],
        instance: 3,
        kernel: "6.18.0".to_string(),
        ..Facts::default()
    };
    Question { facts, grants: Grants::open(), limits: Limits::DEFAULT }
}

/// The same with limits of one's own.
pub fn limited(change: impl FnOnce(&mut Limits)) -> Question {
    let mut question = question();
    change(&mut question.limits);
    question
}

/// A component that imports the whole contract, whose core module has these fields; see `plain`.
pub fn hosted(fields: &str) -> Vec<u8> {
    wat(&include_str!("../fixtures/host.wat").replace("@MAIN@", fields))
}
