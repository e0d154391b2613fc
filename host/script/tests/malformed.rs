//! Modules, artifacts and questions that are not what they should be.

mod common;

use std::time::Duration;

use common::*;
use nshost_policy::wire::{Answer, Failure};

/// Why the worker does not take a component that the compiler took.
#[track_caller]
fn unfit(module: &[u8]) -> String {
    match evaluate(module, &question()).outcome {
        Err(Failure::Module(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

/// Why the compiler does not take it.
#[track_caller]
fn uncompiled(module: &[u8]) -> String {
    match compile(module) {
        Err(Failure::Module(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn imports_that_the_host_does_not_have_are_named() {
    let importing = |name: &str| {
        wat(&format!(
            r#"(component
                @TYPES@
                (import "{name}" (instance (export "f" (func))))
                (core module $main (memory (export "memory") 1) (func (export "setup") (result i32) i32.const 16))
                (core instance $main (instantiate $main))
                (func (export "setup") (result (result (error $error)))
                    (canon lift (core func $main "setup") (memory (core memory $main "memory")))))"#
        ))
    };
    for name in ["nshost:setup/firewall@0.1.0", "other:host/files@1.0.0", "nshost:other/container"] {
        assert!(unfit(&importing(name)).contains(name), "{name}");
    }
    // In an interface that there is, a function that there is not.
    assert!(unfit(&importing("nshost:setup/container@0.1.0")).contains("`f`"));
    // WASI may be imported by a runtime that never calls it.
    assert!(evaluate(&importing("wasi:sockets/tcp@0.2.0"), &question()).outcome.is_ok());
}

#[test]
fn a_component_without_setup_is_named_so() {
    assert!(unfit(&wat("(component)")).contains("setup"));
    let other = wat(r#"(component
            (core module $main (func (export "setup") (result i32) i32.const 16))
            (core instance $main (instantiate $main))
            (func (export "setup") (result u32) (canon lift (core func $main "setup"))))"#);
    assert!(unfit(&other).contains("setup"));
}

#[test]
fn what_is_not_a_component_is_named_so() {
    let good = plain("(func $setup (result i32) i32.const 16)");
    assert!(uncompiled(b"#!/bin/sh\nrm -rf /\n").contains("not WebAssembly"));
    assert!(uncompiled(b"\0").contains("not WebAssembly"));
    assert!(uncompiled(b"").contains("0 bytes"));
    assert!(uncompiled(b"\0asm\x01\0\0\0").contains("core WebAssembly module"));
    assert!(uncompiled(b"\0asm\x63\0\0\0").contains("version"));
    for length in [8, 9, 100, good.len() - 1] {
        // A component that ends after its header is one that has nothing.
        let cut = compile(&good[..length]);
        assert!(matches!(cut, Err(Failure::Module(_))) || length == 8, "{length}: {cut:?}");
    }
    assert!(matches!(inspect(&good[..good.len() - 1]), Err(Failure::Module(_))));
}

#[test]
fn features_that_no_toolchain_asks_for_are_off() {
    for (fields, feature) in [
        ("(memory i64 1) (func $setup (result i32) i32.const 16)", "memory64"),
        ("(memory 1 1 shared) (func $setup (result i32) i32.const 16)", "threads"),
        ("(type $t (struct)) (func $setup (result i32) i32.const 16)", "gc"),
        ("(func $setup (result i32) return_call $setup)", "tail calls"),
        ("(tag $t) (func $setup (result i32) throw $t)", "exceptions"),
    ] {
        let reason = uncompiled(&plain(fields));
        assert!(reason.contains(feature), "{feature}: {reason}");
    }
}

#[test]
fn an_artifact_that_is_none_is_said_to_be_stale() {
    let good = compile(&plain("(func $setup (result i32) i32.const 16)")).unwrap();
    let mut other_version = good.clone();
    let at = good.windows(4).position(|bytes| bytes == b"48.0").unwrap_or(0);
    other_version[at] = b'9';
    let bad: [&[u8]; 6] =
        [b"", b"garbage", &[0; 100_000], &good[..100], &good[..good.len() / 2], &other_version];
    for artifact in bad {
        let answer = evaluate_artifact(artifact, &question()).answer.unwrap();
        assert!(matches!(answer.outcome, Err(Failure::Artifact(_))), "{:?}", answer.outcome);
    }
}

#[test]
fn a_forged_artifact_ends_in_bounded_time_whatever_it_does() {
    let good = compile(&plain("(func $setup (result i32) i32.const 16)")).unwrap();
    for seed in 0..200_u64 {
        let mut forged = good.clone();
        let mut state = seed;
        for _ in 0..4 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let at = (state >> 33) as usize % forged.len();
            forged[at] ^= (state >> 20) as u8 | 1;
        }
        let ran = evaluate_artifact(&forged, &limited(|limits| limits.wall_ms = 100));
        assert!(ran.took < Duration::from_secs(5), "seed {seed}: {:?}", ran.took);
    }
}

#[test]
fn a_worker_that_is_asked_nothing_ends() {
    let artifact = compile(&plain("(func $setup (result i32) i32.const 16)")).unwrap();
    for question in [&b""[..], b"\xff\xff\xff\xff", b"\x03\0\0\0abc", b"\x10\0\0\0abc"] {
        let (command, socket) = helper(
            &program("nshost-worker"),
            "evaluate",
            file(&artifact).into(),
            std::process::Stdio::null(),
        );
        let closing = socket.try_clone().unwrap();
        let ender = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                closing.shutdown(std::net::Shutdown::Write).unwrap();
            });
            run::<Answer>((command, socket), Some(question))
        });
        assert!(ender.answer.is_none());
        assert_eq!(ender.status.code(), Some(1));
    }
}
