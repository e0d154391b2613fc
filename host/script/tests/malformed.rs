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
                (func (export "setup") (result (result (error $failure)))
                    (canon lift (core func $main "setup") (memory (core memory $main "memory")))))"#
        ))
    };
    for name in ["nshost:setup/firewall@0.1.0", "other:host/files@1.0.0", "nshost:other/container"] {
        assert!(unfit(&importing(name)).contains(name), "{name}");
    }
    // Of a contract that is to come.
    assert!(unfit(&importing("nshost:setup/container@0.2.0")).contains("nshost:setup \"0.2.0\""));
    // In an interface that there is, a function that there is not.
    assert!(unfit(&importing("nshost:setup/container@0.1.0")).contains("`f`"));
    // WASI may be imported by a runtime that never calls it.
    assert!(evaluate(&importing("wasi:sockets/tcp@0.2.0"), &question()).outcome.is_ok());
}

#[test]
fn a_component_without_setup_is_named_so() {
    let add = "the script exports no `setup`; in Rust add nshost_sdk::setup!(setup);";
    assert_eq!(unfit(&wat("(component)")), add);
    let exporting = |name: &str| {
        let text = format!(
            r#"(component (core module $m (func (export "f"))) (core instance $i (instantiate $m))
                (func $f (canon lift (core func $i "f"))) (instance $e (export "run" (func $f)))
                (export "{name}" (instance $e)))"#
        );
        unfit(&wat(&text))
    };
    for (name, said) in [
        ("wasi:cli/run@0.2.3", "a `main`"),
        ("wasi:http/incoming-handler@0.2.0", "HTTP"),
        ("a:b/c@1.0.0", "a:b/c"),
    ] {
        let reason = exporting(name);
        assert!(reason.starts_with(add) && reason.contains(said), "{name}: {reason}");
    }
    assert!(exporting("setup").contains("not a function"));
    let other = wat(r#"(component
            (core module $main (func (export "setup") (result i32) i32.const 16))
            (core instance $main (instantiate $main))
            (func (export "setup") (result u32) (canon lift (core func $main "setup"))))"#);
    assert!(unfit(&other).contains("build it with the SDK"));
}

#[test]
fn what_is_not_a_component_is_named_so() {
    let good = plain("(func $setup (result i32) i32.const 16)");
    for (bytes, said) in [
        (&b"#!/bin/sh\nrm -rf /\n"[..], "#!"),
        (b"\0", "not WebAssembly: it begins with"),
        (b"some text", "not WebAssembly: it begins with"),
        (b"", "empty"),
        (b"\0asm\x01\0\0\0", "core WebAssembly module"),
        (b"\0asm\x63\0\0\0", "version"),
        (b"\0asm", "ends in its first"),
        (b"\x7fELF\x02\x01\x01", "ELF"),
        (b"\x1f\x8b\x08", "compressed"),
        (b"  (component)", "text"),
        (b"(module", "text"),
        (b"schema = 1\n", "TOML"),
        (b"\n[[link]]\n", "TOML"),
        (b"# What it may\n\nschema = 1\n", "TOML"),
        (b"#[no_mangle]\n", "source"),
        (b"use nshost_sdk::prelude::*;", "source"),
    ] {
        let reason = uncompiled(bytes);
        assert!(reason.contains(said), "{said}: {reason}");
        assert_eq!(reason.lines().count(), 2, "what is wrong, and what to do: {reason}");
        assert_eq!(inspect(bytes), Err(Failure::Module(reason)));
    }
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
