//! A worker that answers whatever it likes: the launcher takes it for hostile, ends with a clear error,
//! and touches nothing.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

use anyhow::Result;
use blackbox::Scratch;
use nshost_plan::{Around, FactsRead, Inside, Link, Namespace, Plan, Step, codec};
use nshost_policy::wire::{Answer, Level, LogLine, Used};
use support::{Census, Host, Output, component, programs, root_or_skip};

const FAILED: i32 = 120;
const BUDGET: i32 = 121;
const DENIED: i32 = 122;

/// Answers with what is in `bytes`, when it was asked: a worker that has ended before is none that answered.
const ANSWER: &str = "head -c 4 >/dev/null; cat bytes >&0";

/// Runs `true` by a launcher whose worker is this shell script. File 0 is the socket.
fn run_with_worker(host: &Host, worker: &str, files: &[(&str, &[u8])]) -> Result<Output> {
    let scratch = Scratch::new()?;
    for (name, bytes) in files {
        scratch.file(name, bytes)?;
    }
    for name in ["nshost", "nshost-compiler"] {
        fs::copy(programs().join(name), scratch.path().join(name))?;
    }
    let directory = scratch.path().display();
    let fake = scratch
        .file("nshost-worker", format!("#!/bin/sh\nPATH=/usr/bin:/bin\ncd {directory}\n{worker}\n"))?;
    fs::set_permissions(&fake, fs::Permissions::from_mode(0o755))?;
    let before = Census::take(host)?;
    let mut command = host.command(scratch.path().join("nshost"));
    command.env("NSHOST_CACHE_DIR", scratch.path().join("cache"));
    command.arg("run").arg(component("tutorial")?).args(["--", "echo", "ran"]);
    let output = support::run(command, Duration::from_secs(40))?;
    assert_eq!(output.stdout, "", "the command ran: {}", output.text());
    before.comes_back(host, Duration::ZERO)?;
    Ok(output)
}

fn answer(steps: Vec<Step>, log: &str) -> Vec<u8> {
    let answer = Answer {
        outcome: Ok(Plan::try_from(steps).expect("steps that fit")),
        log: vec![LogLine { level: Level::Out, text: log.to_string() }],
        read: FactsRead::default(),
        used: Used::default(),
    };
    let mut frame = Vec::new();
    codec::write_frame(&mut frame, &codec::encode(&answer)).expect("a vector takes everything");
    frame
}

#[test]
fn bytes_that_are_no_answer_end_the_launch() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let good = answer(vec![Inside::Namespace(Namespace::Uts).of_first()], "hello");
    let cut = &good[..good.len() / 2];
    let cases: [(&str, &[u8]); 6] = [
        ("nothing", b""),
        ("half a length", b"\x10\x00"),
        ("less than announced", b"\x40\x00\x00\x00only this"),
        ("four gigabytes announced", b"\xff\xff\xff\xff\x00\x00\x00\x00"),
        ("noise of the right length", b"\x08\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"),
        ("a good answer, cut", cut),
    ];
    for (what, bytes) in cases {
        let output = run_with_worker(&host, ANSWER, &[("bytes", bytes)])?;
        assert_eq!(output.code(), FAILED, "{what}: {}", output.text());
        assert!(output.stderr.contains("nshost:"), "{what}: {}", output.text());
    }
    Ok(())
}

#[test]
fn a_step_that_policy_refuses_is_refused_whatever_the_worker_says() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let name = |name: &str| name.to_string().try_into().expect("a name");
    let veth = Link::from_host(name("evil0"), name("evil1"));
    let bytes = answer(
        vec![Inside::Namespace(Namespace::Network).of_first(), Step::Around(Around::Link(veth))],
        "\u{1b}[2Jgranted",
    );
    let output = run_with_worker(&host, ANSWER, &[("bytes", &bytes)])?;
    assert_eq!(output.code(), DENIED, "{}", output.text());
    assert!(output.stderr.contains("evil0"), "{}", output.text());
    assert!(!output.stderr.contains('\u{1b}'), "{:?}", output.stderr);
    Ok(())
}

#[test]
fn more_than_one_answer_changes_nothing() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let name = |name: &str| name.to_string().try_into().expect("a name");
    let veth = Link::from_host(name("evil0"), name("evil1"));
    let refused =
        answer(vec![Inside::Namespace(Namespace::Network).of_first(), Step::Around(Around::Link(veth))], "");
    let empty = answer(vec![Inside::Namespace(Namespace::Uts).of_first()], "");
    let both = [refused, empty].concat();
    let output = run_with_worker(&host, &format!("{ANSWER}; cat bytes >&0"), &[("bytes", &both)])?;
    assert_eq!(output.code(), DENIED, "{}", output.text());
    Ok(())
}

#[test]
fn silence_ends_at_a_deadline_and_its_process_with_it() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let begin = Instant::now();
    let output = run_with_worker(&host, "exec sleep 1000", &[])?;
    assert_eq!(output.code(), BUDGET, "{}", output.text());
    assert!(begin.elapsed() < Duration::from_secs(30));
    assert_eq!(host.shell("pgrep -x sleep || true")?, "");
    Ok(())
}
