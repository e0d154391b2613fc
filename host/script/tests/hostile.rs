//! Scripts that nobody would want: each ends in a clear failure, in bounded time, and the worker lives to
//! say so.

mod common;

use std::time::Duration;

use common::*;
use nshost_plan::Limits;
use nshost_policy::wire::{Answer, Failure, Level, ScriptError};

/// The budget that a script used up: name, limit, unit.
#[track_caller]
fn exhausted(answer: Answer) -> (String, u64, String) {
    match answer.outcome {
        Err(Failure::Budget { name, limit, unit }) => (name, limit, unit),
        other => panic!("{other:?}"),
    }
}

fn budget(name: &str, limit: u64, unit: &str) -> (String, u64, String) {
    (name.into(), limit, unit.into())
}

#[track_caller]
fn trap(answer: Answer) -> String {
    match answer.outcome {
        Err(Failure::Trap(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_endless_loop_ends_at_its_deadline() {
    let spin = plain("(func $setup (result i32) (loop (br 0)) unreachable)");
    let artifact = compile(&spin).unwrap();
    let ran = evaluate_artifact(&artifact, &limited(|limits| limits.wall_ms = 200));
    let answer = ran.answer.unwrap();
    let took = Duration::from_micros(answer.used.wall_us);
    assert_eq!(exhausted(answer), budget("wall time", 200, "ms"));
    assert!(took >= Duration::from_millis(200), "{took:?}");
    // 10 ms on a machine that has nothing else to do; tests run beside each other.
    assert!(took < Duration::from_millis(400), "{took:?}");
}

#[test]
fn a_loop_before_setup_ends_too() {
    let fields = "(func $spin (loop (br 0))) (start $spin) (func $setup (result i32) i32.const 16)";
    let answer = evaluate(&plain(fields), &limited(|limits| limits.wall_ms = 50));
    assert_eq!(exhausted(answer), budget("wall time", 50, "ms"));
}

/// They use up no stack, so that time is all that ends them.
#[test]
fn tail_calls_without_end_end_at_their_deadline() {
    let fields = "(func $setup (result i32) (return_call $setup))";
    let answer = evaluate(&plain(fields), &limited(|limits| limits.wall_ms = 50));
    assert_eq!(exhausted(answer), budget("wall time", 50, "ms"));
}

#[test]
fn time_in_host_functions_counts() {
    let fields = r#"(data (i32.const 1024) "10.0.0.0/8")
        (func $setup (result i32)
            (loop
                (call $facts.free-network (i32.const 1024) (i32.const 10) (i32.const 30) (i32.const 16))
                (br 0))
            unreachable)"#;
    let mut question = limited(|limits| (limits.wall_ms, limits.host_calls) = (100, 10_000_000));
    // Nothing is free, so that each call looks at all that it looks at.
    question.facts.routes = vec!["10.0.0.0/8".parse().unwrap()];
    let answer = evaluate(&hosted(fields), &question);
    assert!(answer.used.wall_us < 400_000, "{:?}", answer.used);
    assert_eq!(exhausted(answer), budget("wall time", 100, "ms"));
}

#[test]
fn a_memory_bomb_ends() {
    let fields = "(func $setup (result i32) (loop (drop (memory.grow (i32.const 1))) (br 0)) unreachable)";
    let answer = evaluate(&plain(fields), &limited(|limits| limits.memory_bytes = 8 << 20));
    assert!(answer.used.memory_bytes <= 8 << 20);
    assert_eq!(exhausted(answer), budget("memory", 8 << 20, "bytes"));
}

#[test]
fn memories_are_counted_together_and_from_the_start() {
    let fields = "(memory 600) (memory 600) (func $setup (result i32) i32.const 16)";
    let answer = evaluate(&plain(fields), &question());
    assert_eq!(exhausted(answer), budget("memory", 64 << 20, "bytes"));
}

#[test]
fn a_memory_may_be_used_up_to_its_budget() {
    // 1023 pages and the first make 64 MiB; each is written to.
    let fields = "(func $setup (result i32) (local $page i32)
            (if (i32.eq (memory.grow (i32.const 1023)) (i32.const -1)) (then unreachable))
            (loop
                (i32.store (i32.shl (local.get $page) (i32.const 16)) (local.get $page))
                (local.set $page (i32.add (local.get $page) (i32.const 1)))
                (br_if 0 (i32.lt_u (local.get $page) (i32.const 1024))))
            (i32.store (i32.const 16) (i32.const 0))
            (i32.const 16))";
    let answer = evaluate(&plain(fields), &question());
    assert_eq!(answer.used.memory_bytes, 64 << 20);
    assert!(answer.outcome.is_ok(), "{:?}", answer.outcome);
}

#[test]
fn a_table_bomb_ends() {
    let fields = "(table $table 1 funcref)
        (func $setup (result i32)
            (loop (drop (table.grow $table (ref.null func) (i32.const 1000))) (br 0)) unreachable)";
    let answer = evaluate(&plain(fields), &question());
    assert_eq!(exhausted(answer), budget("table elements", 100_000, "elements"));
}

#[test]
fn instances_are_counted() {
    let many = "(core instance (instantiate $empty))".repeat(65);
    let module = wat(&format!(
        r#"(component
            @TYPES@
            (core module $empty)
            {many}
            (core module $main (memory (export "memory") 1) (func (export "setup") (result i32) i32.const 16))
            (core instance $main (instantiate $main))
            (func (export "setup") (result (result (error $failure)))
                (canon lift (core func $main "setup") (memory (core memory $main "memory")))))"#
    ));
    let answer = evaluate(&module, &question());
    assert_eq!(exhausted(answer), budget("instances", 64, "instances, memories or tables"));
}

#[test]
fn a_million_host_calls_end() {
    let fields = "(func $setup (result i32) (loop (drop (call $facts.rootless)) (br 0)) unreachable)";
    let answer = evaluate(&hosted(fields), &question());
    assert_eq!(answer.used.host_calls, 10_000);
    assert_eq!(exhausted(answer), budget("host calls", 10_000, "calls"));
}

#[test]
fn dropping_a_handle_is_a_host_call() {
    let fields = "(func $setup (result i32)
            (call $container.unshare-network (i32.const 16))
            (loop
                (call $link.loopback (i32.const 16))
                (call $drop-endpoint (i32.load (i32.const 20)))
                (br 0))
            unreachable)";
    let answer = evaluate(&hosted(fields), &question());
    assert_eq!(exhausted(answer), budget("host calls", 10_000, "calls"));
}

#[test]
fn handles_that_are_never_dropped_end() {
    let fields = "(func $setup (result i32)
            (call $container.unshare-network (i32.const 16))
            (loop (call $link.loopback (i32.const 16)) (br 0))
            unreachable)";
    let question = limited(|limits| (limits.host_calls, limits.wall_ms) = (10_000_000, 60_000));
    assert!(trap(evaluate(&hosted(fields), &question)).contains("handle limit"));
}

#[test]
fn one_giant_string_ends() {
    let fields = "(func $setup (result i32)
            (drop (memory.grow (i32.const 512)))
            (call $log.info (i32.const 0) (i32.const 0x2000000))
            unreachable)";
    let answer = evaluate(&hosted(fields), &question());
    assert_eq!(exhausted(answer), budget("copied bytes", 1 << 20, "bytes"));
}

#[test]
fn many_strings_end_too() {
    // The log takes none of it: the name is refused.
    let fields = "(func $setup (result i32)
            (loop
                (call $container.hostname (i32.const 1024) (i32.const 1000) (i32.const 16))
                (br 0))
            unreachable)";
    let answer = evaluate(&hosted(fields), &question());
    assert!(answer.used.host_calls < 1100, "{:?}", answer.used);
    assert_eq!(exhausted(answer), budget("copied bytes", 1 << 20, "bytes"));
}

#[test]
fn a_giant_list_ends() {
    // Each of 2^22 elements is the same empty string: 32 MiB in the script, 100 in the host.
    let fields = "(func $setup (result i32)
            (drop (memory.grow (i32.const 600)))
            (call $filesystem.resolv-conf (i32.const 0) (i32.const 0x400000) (i32.const 16))
            unreachable)";
    let answer = evaluate(&hosted(fields), &question());
    assert_eq!(exhausted(answer), budget("copied bytes", 1 << 20, "bytes"));
}

#[test]
fn what_lies_outside_of_memory_is_not_read() {
    for (at, length) in [("0", "0x7fffffff"), ("0xfffffff0", "0x20"), ("0x20000", "1")] {
        let fields = format!(
            "(func $setup (result i32) (call $log.info (i32.const {at}) (i32.const {length})) unreachable)"
        );
        assert!(trap(evaluate(&hosted(&fields), &question())).contains("out of bounds"));
    }
}

#[test]
fn a_log_flood_ends() {
    let fields = r#"(data (i32.const 1024) "another line\n")
        (func $setup (result i32) (loop (call $log.info (i32.const 1024) (i32.const 13)) (br 0)) unreachable)"#;
    let answer = evaluate(&hosted(fields), &question());
    assert!(answer.log.iter().map(|line| line.text.len() + 1).sum::<usize>() <= 64 << 10);
    assert_eq!(exhausted(answer), budget("log", 64 << 10, "bytes"));
}

#[test]
fn what_a_terminal_obeys_is_not_passed_on() {
    let fields = r#"(data (i32.const 1024) "one\1b[2Jtwo\07\nthree\e2\80\ae\c2\9b5mfour\rfive\08")
        (func $setup (result i32)
            (call $log.warn (i32.const 1024) (i32.const 34))
            (i32.const 16))"#;
    let answer = evaluate(&hosted(fields), &question());
    let lines: Vec<&str> = answer.log.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.iter().all(|line| line.chars().all(|c| !c.is_control() && c != '\u{202e}')), "{lines:?}");
    assert!(lines[0].starts_with("one") && lines[0].contains("two"), "{lines:?}");
}

#[test]
fn steps_are_counted() {
    // Variables A0000, A0001 … in base 16, letters A to P.
    let fields = r#"(data (i32.const 1024) "AAAA")
        (func $setup (result i32) (local $n i32)
            (loop
                (i32.store8 (i32.const 1026) (i32.add (i32.const 65) (i32.and (i32.shr_u (local.get $n) (i32.const 4)) (i32.const 15))))
                (i32.store8 (i32.const 1027) (i32.add (i32.const 65) (i32.and (local.get $n) (i32.const 15))))
                (i32.store8 (i32.const 1025) (i32.add (i32.const 65) (i32.shr_u (local.get $n) (i32.const 8))))
                (call $process.variable (i32.const 1024) (i32.const 4) (i32.const 1024) (i32.const 4) (i32.const 16))
                (if (i32.load8_u (i32.const 16)) (then unreachable))
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (br 0))
            unreachable)"#;
    let answer = evaluate(&hosted(fields), &question());
    assert_eq!(answer.used.host_calls, 257);
    assert_eq!(exhausted(answer), budget("steps", 256, "steps"));
}

#[test]
fn a_plan_that_is_too_large_to_answer_ends() {
    // Variables with values of 32 KiB, two hundred of them.
    let fields = r#"(data (i32.const 1024) "AAAA")
        (func $setup (result i32) (local $n i32)
            (memory.fill (i32.const 4096) (i32.const 65) (i32.const 32768))
            (loop
                (i32.store8 (i32.const 1026) (i32.add (i32.const 65) (i32.shr_u (local.get $n) (i32.const 4))))
                (i32.store8 (i32.const 1027) (i32.add (i32.const 65) (i32.and (local.get $n) (i32.const 15))))
                (call $process.variable (i32.const 1024) (i32.const 4) (i32.const 4096) (i32.const 32768) (i32.const 16))
                (if (i32.load8_u (i32.const 16)) (then unreachable))
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (br_if 0 (i32.lt_u (local.get $n) (i32.const 200))))
            (i32.const 16))"#;
    let answer = evaluate(&hosted(fields), &limited(|limits| limits.copied_bytes = Limits::MAX.copied_bytes));
    assert_eq!(exhausted(answer), budget("plan size", 4 << 20, "bytes"));
}

#[test]
fn recursion_without_end_is_a_trap() {
    let fields = "(func $deep (param i32) (result i32) (i32.add (call $deep (local.get 0)) (i32.const 1)))
        (func $setup (result i32) (call $deep (i32.const 0)))";
    assert!(trap(evaluate(&plain(fields), &question())).contains("the stack is used up"));
}

#[test]
fn traps_are_told() {
    for (body, said) in [
        ("unreachable", "unreachable"),
        ("(i32.div_u (i32.const 1) (i32.const 0))", "by zero"),
        ("(i32.div_s (i32.const 0x80000000) (i32.const -1))", "does not fit"),
        ("(i32.trunc_f32_s (f32.const nan))", "of a float"),
        ("(i32.load (i32.const -4))", "memory that it does not have"),
        ("(i32.load offset=0xfffff000 (i32.const -1))", "memory that it does not have"),
        ("(i32.const 3)", "pointer not aligned"),
        ("(i32.const -4)", "out of bounds"),
        ("(i32.store (i32.const 16) (i32.const 77)) (i32.const 16)", "discriminant"),
    ] {
        let text = trap(evaluate(&plain(&format!("(func $setup (result i32) {body})")), &question()));
        assert!(text.contains(said) && !text.contains('\n'), "{body}: {text}");
    }
}

#[test]
fn handles_cannot_be_forged() {
    let network = "(call $container.unshare-network (i32.const 16))";
    let veth = r#"(call $link.veth.create (i32.const 1024) (i32.const 2) (i32.const 1024) (i32.const 2) (i32.const 16))
        (local.set $veth (i32.load (i32.const 20)))"#;
    for (body, said) in [
        ("(call $link.endpoint.up (i32.const 7) (i32.const 16))", "unknown handle index 7"),
        ("(call $link.endpoint.up (i32.const -1) (i32.const 16))", "unknown handle index"),
        ("(call $link.endpoint.up (local.get $veth) (i32.const 16))", "handle index"),
        (
            "(call $drop-veth (local.get $veth)) (drop (call $link.veth.host (local.get $veth)))",
            "unknown handle index",
        ),
        ("(call $drop-veth (local.get $veth)) (call $drop-veth (local.get $veth))", "unknown handle index"),
    ] {
        let fields = format!(
            r#"(data (i32.const 1024) "ab")
            (func $setup (result i32) (local $veth i32) {network} {veth} {body} (i32.const 16))"#
        );
        let text = trap(evaluate(&hosted(&fields), &question()));
        assert!(text.contains(said), "{body}: {text}");
    }
}

#[test]
fn a_scripts_own_error_is_bounded() {
    // other(some(64 KiB of "A")): 4, then 1, then address and length.
    let fields = "(func $setup (result i32)
            (memory.fill (i32.const 4096) (i32.const 65) (i32.const 61440))
            (i32.store (i32.const 16) (i32.const 1))
            (i32.store (i32.const 20) (i32.const 4))
            (i32.store (i32.const 24) (i32.const 1))
            (i32.store (i32.const 28) (i32.const 4096))
            (i32.store (i32.const 32) (i32.const 61440))
            (i32.const 16))";
    let Err(Failure::Script { why: ScriptError::Other(Some(text)), .. }) =
        evaluate(&plain(fields), &question()).outcome
    else {
        panic!("not the script's error")
    };
    assert_eq!(text, "A".repeat(1024));
}

#[test]
fn output_is_lines_of_the_log() {
    let answer = evaluate(&wat(include_str!("fixtures/output.wat")), &question());
    let lines: Vec<(Level, &str)> = answer.log.iter().map(|line| (line.level, line.text.as_str())).collect();
    assert_eq!(
        lines,
        [
            (Level::Out, "begun, ended"),
            (Level::Err, "\\u{1b}[31mred"),
            (Level::Out, "not ended"),
            (Level::Err, "nor this"),
        ]
    );
    assert_eq!(answer.outcome, Err(Failure::Exit(1)));
}
