//! Scripts that do what they should, and what the programs say of them.

mod common;

use common::*;
use nshost_plan::{Around, FactKind, FactsRead, Inside, LinkFact, NameServer, Step, show};
use nshost_policy::{
    Grants,
    wire::{Failure, Level, LogLine, ScriptError},
};

/// A host with one link, on which the fixture `everything` finds all that it asks for.
fn with_eth0() -> nshost_policy::wire::Question {
    let mut question = question();
    let address = "192.0.2.53".parse().unwrap();
    question.facts.name_servers = vec![NameServer { address, link: Some("eth0".into()) }];
    question.facts.links = vec![LinkFact { index: 2, name: "eth0".into(), up: true, ours: false }];
    question
}

#[test]
fn an_empty_script_makes_an_empty_plan() {
    let answer = evaluate(&plain("(func $setup (result i32) i32.const 16)"), &question());
    assert_eq!(answer.outcome.unwrap().steps(), []);
    assert_eq!(answer.read, FactsRead::default());
}

/// Direct and by a table, a million deep: as an interpreter that is compiled in goes from one instruction to the
/// next.
#[test]
fn tail_calls_use_up_no_stack() {
    let fields = "(type $next (func (param i32) (result i32)))
        (table funcref (elem $odd $even))
        (func $even (type $next)
            (if (i32.eqz (local.get 0)) (then (return (i32.const 16))))
            (return_call $odd (i32.sub (local.get 0) (i32.const 1))))
        (func $odd (type $next)
            (return_call_indirect (type $next) (i32.sub (local.get 0) (i32.const 1)) (i32.const 1)))
        (func $setup (result i32) (return_call $even (i32.const 1000000)))";
    let answer = evaluate(&plain(fields), &question());
    assert_eq!(answer.outcome.unwrap().steps(), []);
}

/// So much code that it is compiled with less optimisation: it does the same, and loads as well.
#[test]
fn what_is_large_is_compiled_quickly() {
    // What the code generator was told stands in the artifact.
    let quick = |artifact: &[u8]| artifact.windows(11).any(|bytes| bytes == b"single_pass");
    let with_functions = |count: usize| {
        let body = "(local.set 0 (i32.mul (i32.xor (local.get 0) (i32.const 77)) (i32.const 1234567)))";
        let function = format!("(func (param i32) (result i32) {} (local.get 0))", body.repeat(100));
        plain(&format!("{} (func $setup (result i32) i32.const 16)", function.repeat(count)))
    };
    let (small, large) = (with_functions(20), with_functions(1000));
    assert!(large.len() as u64 > nshost_script::compile::LARGE);
    let [small, large] = [small, large].map(|module| compile(&module).unwrap());
    assert!(!quick(&small) && quick(&large));
    let answer = evaluate_artifact(&large, &question()).answer.unwrap();
    assert_eq!(answer.outcome.unwrap().steps(), []);
}

#[test]
fn each_function_of_the_contract_adds_its_step_and_is_counted() {
    let answer = evaluate(&hosted(include_str!("fixtures/everything.wat")), &with_eth0());
    let plan = answer.outcome.unwrap();
    let expected = "
 1  namespace user
 2  namespace pid
 3  namespace mount
 4  namespace network
 5  namespace uts
 6  namespace ipc
 7  namespace cgroup
 8  namespace time
 9  hostname \"In Namespace\"
10  domain name \"example.org\"
11  mount propagation private
12  mount /proc
13  resolv.conf nameserver 192.0.2.53
14  command \"/bin/sh\" \"192.0.2.53\"
15  environment HOME=\"/root\"
16  working directory \"/root\"
17  link veth veth0 (host) — veth1 (container)
18  address 169.254.1.1/30 on veth0 (host)
19  address 169.254.1.2/30 on veth1 (container)
20  up veth0 (host)
21  up veth1 (container)
22  up lo
23  route default via 169.254.1.1 by veth1 (container)
24  masquerade 169.254.1.2 out by eth0
25  forward tcp *:80-81 to 169.254.1.2:8080-8081
";
    assert_eq!(format!("\n{}", show::plan(&plan)), expected);
    let mut read = FactsRead::default();
    let kinds = [
        FactKind::Instance,
        FactKind::Links,
        FactKind::Addresses,
        FactKind::DefaultRoutes,
        FactKind::Kernel,
        FactKind::Rootless,
        FactKind::NameServers,
        FactKind::Arguments,
    ];
    kinds.into_iter().for_each(|kind| read.note(kind));
    assert_eq!(answer.read, read, "no forward was refused, so nothing was learnt of those that are taken");
    let line = |level| LogLine { level, text: "a line".into() };
    assert_eq!(answer.log, [line(Level::Info), line(Level::Warn)]);
    // 25 steps, 4 ways to a handle or its name, 11 facts, 2 lines, 4 handles dropped.
    assert_eq!(answer.used.host_calls, 25 + 4 + 11 + 2 + 4);
    assert!(answer.used.copied_bytes > 200, "{:?}", answer.used);
}

/// Whether it may have a name server can depend on whom the host asks: so a script that is refused one, and goes on, has
/// learnt of that.
#[test]
fn who_asks_for_a_name_server_has_looked_at_the_hosts() {
    let module = hosted(
        r#"(data (i32.const 1024) "192.0.2.53")
        (data (i32.const 1072) "\00\04\00\00\0a\00\00\00")
        (func $setup (result i32)
          (call $container.unshare-mount (i32.const 16))
          (call $filesystem.private-propagation (i32.const 16))
          (call $filesystem.resolv-conf (i32.const 1072) (i32.const 1) (i32.const 16))
          (i32.store8 (i32.const 16) (i32.const 0))
          i32.const 16)"#,
    );
    let mut question = with_eth0();
    let mut steps = |grants: &str| {
        question.grants = Grants::parse(&format!("schema = 1\n{grants}"), "g").unwrap();
        let answer = evaluate(&module, &question);
        assert!(answer.read.contains(FactKind::NameServers));
        answer.outcome.unwrap().steps().len()
    };
    assert_eq!((steps(""), steps("[[resolv-conf]]\nservers = ['host']")), (2, 3));
}

#[test]
fn the_same_question_has_the_same_answer() {
    let module = hosted(include_str!("fixtures/everything.wat"));
    let artifact = compile(&module).unwrap();
    assert_eq!(artifact, compile(&module).unwrap(), "two compilations");
    let mut answers = [0, 1].map(|_| evaluate_artifact(&artifact, &with_eth0()).answer.unwrap());
    answers[0].used.wall_us = answers[1].used.wall_us;
    assert_eq!(answers[0], answers[1]);
}

#[test]
fn a_denial_is_a_value_that_a_script_can_return() {
    // Returns what `unshare-network`, then `veth.create` said.
    let module = hosted(
        r#"(data (i32.const 1024) "veth0")
        (func $setup (result i32)
            (call $container.unshare-network (i32.const 16))
            (call $link.veth.create (i32.const 1024) (i32.const 5) (i32.const 1024) (i32.const 5) (i32.const 16))
            (i32.const 16))"#,
    );
    let mut question = question();
    question.grants = Grants::none();
    let answer = evaluate(&module, &question);
    let Err(Failure::Script { why: ScriptError::Denied { capability, subject, hint }, .. }) = answer.outcome
    else {
        panic!("{:?}", answer.outcome)
    };
    assert_eq!(capability, "link");
    assert!(subject.contains("veth0"), "{subject}");
    assert!(hint.contains("[[link]]"), "{hint}");
}

#[test]
fn what_is_not_well_formed_is_said_at_the_call() {
    let module = hosted(
        r#"(data (i32.const 1024) "a/b")
        (func $setup (result i32)
            (call $container.unshare-uts (i32.const 16))
            (call $container.unshare-network (i32.const 16))
            (call $link.veth.create (i32.const 1024) (i32.const 3) (i32.const 1024) (i32.const 3) (i32.const 16))
            (i32.const 16))"#,
    );
    let answer = evaluate(&module, &question());
    let Err(Failure::Script { why: ScriptError::Invalid { code, subject, .. }, .. }) = answer.outcome else {
        panic!("{:?}", answer.outcome)
    };
    assert_eq!((code.as_str(), subject.as_str()), ("name-invalid", "\"a/b\""));
}

#[test]
fn what_is_taken_is_told_with_the_step_that_asked_for_it() {
    // Returns what `veth.create` said; then the same in the words of another problem.
    let fields = |words: &str| {
        hosted(&format!(
            r#"(data (i32.const 1024) "eth0") (data (i32.const 2048) "src/lib.rs:1")
            (func $setup (result i32)
                (call $container.unshare-network (i32.const 16))
                (call $link.veth.create (i32.const 1024) (i32.const 4) (i32.const 1024) (i32.const 4) (i32.const 16))
                (i32.store (i32.const 48) (i32.const 1))
                (i32.store (i32.const 52) (i32.const 2048))
                (i32.store (i32.const 56) (i32.const 12))
                {words} (i32.const 16))"#
        ))
    };
    let asked = |words| match evaluate(&fields(words), &with_eth0()).outcome {
        Err(Failure::Script { why: ScriptError::Conflict { .. }, at, asked }) => {
            assert_eq!(at.as_deref(), Some("src/lib.rs:1"));
            asked
        }
        other => panic!("{other:?}"),
    };
    assert!(
        matches!(asked("").map(|asked| asked.step), Some(Step::Around(Around::Link(link))) if link.ends()[0].name.as_str() == "eth0")
    );
    assert_eq!(asked("(i32.store (i32.const 36) (i32.const 3))"), None, "another subject");
}

#[test]
fn a_panic_is_its_last_words() {
    let module = hosted(
        r#"(data (i32.const 1024) "one\ntwo") (data (i32.const 1040) "src/lib.rs:10:20")
        (func $setup (result i32)
            (call $log.panic (i32.const 1024) (i32.const 7) (i32.const 1) (i32.const 1040) (i32.const 16))
            unreachable)"#,
    );
    let answer = evaluate(&module, &question());
    let (message, at) = ("one\ntwo".to_string(), Some("src/lib.rs:10:20".to_string()));
    assert_eq!(answer.outcome, Err(Failure::Panic { message, at }));
}

#[test]
fn a_refused_step_is_not_in_the_plan() {
    let module = hosted(
        r#"(data (i32.const 1024) "no\00pe")
        (func $setup (result i32)
            (call $container.unshare-uts (i32.const 16))
            (call $container.hostname (i32.const 1024) (i32.const 5) (i32.const 16))
            (i32.store8 (i32.const 16) (i32.const 0))
            (i32.const 16))"#,
    );
    let plan = evaluate(&module, &question()).outcome.unwrap();
    assert!(matches!(plan.steps(), [Step::Inside(_, Inside::Namespace(_))]), "{:?}", plan.steps());
}

#[test]
fn inspection_lists_what_a_component_asks_for() {
    let found = inspect(&hosted("(func $setup (result i32) i32.const 16)")).unwrap();
    assert_eq!(found.exports, ["setup"]);
    assert!(found.imports.contains(&"nshost:setup/nat@0.1.0".to_string()), "{:?}", found.imports);
    assert_eq!(found.imports.len(), 10);
    assert_eq!(found.sdk, None);
}

#[test]
fn inspection_finds_the_sdk_and_the_tools() {
    let module = wat(r#"(component
        (@custom "nshost:sdk" "0.1.0")
        (core module (@producers (processed-by "wit-component" "0.254.1") (language "Rust" "2024")))
        (component (import "inner" (func))))"#);
    let found = inspect(&module).unwrap();
    assert_eq!(found.sdk.as_deref(), Some("0.1.0"));
    assert_eq!(found.producers, ["Rust 2024", "wit-component 0.254.1"]);
    assert_eq!(found.imports, Vec::<String>::new(), "what is inside asks its outside");
}
