//! Several processes at once, and processes killed at any moment. Without the standard harness: the
//! program starts itself again as the launchers that are traced, raced and killed, and those are to have
//! one thread and make no system calls but the ledger's.
#![expect(clippy::disallowed_methods, reason = "other processes are what is tested")]

#[path = "processes/child.rs"]
mod child;
#[path = "processes/race.rs"]
mod race;
mod support;
#[path = "processes/sweep.rs"]
mod sweep;
#[path = "processes/tracer.rs"]
mod tracer;

use std::{
    env,
    panic::catch_unwind,
    process::{Child, Command, ExitCode, Stdio},
};

/// A test: its name, and what it does.
type Test = (&'static str, fn());

const TESTS: [Test; 8] = [
    ("claims_at_the_same_time_differ", race::claims_at_the_same_time_differ),
    ("nobody_gets_what_another_has", race::nobody_gets_what_another_has),
    ("nobody_gets_what_another_has_while_some_are_killed", race::while_some_are_killed),
    ("killed_at_every_system_call_of_a_launch", sweep::launch),
    ("killed_at_every_system_call_of_a_launch_that_collides", sweep::collision),
    ("killed_at_every_system_call_of_a_collection", sweep::collection),
    ("a_look_spares_a_half_made_claim", sweep::half_made),
    ("a_launch_makes_few_system_calls", sweep::cost),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let Some(("child", rest)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        child::main(rest);
        return ExitCode::SUCCESS;
    }
    if arguments.iter().any(|argument| argument == "--list") {
        TESTS.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let wanted = |name: &str| {
        let mut filters = arguments.iter().filter(|argument| !argument.starts_with('-')).peekable();
        filters.peek().is_none() || filters.any(|filter| name.contains(filter.as_str()))
    };
    let failed = TESTS.iter().filter(|(name, _)| wanted(name)).filter(|(name, test)| {
        let passed = catch_unwind(test).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        !passed
    });
    ExitCode::from(u8::from(failed.count() > 0))
}

/// Starts this program again as a child.
fn start(arguments: &[&str]) -> Child {
    Command::new(env::current_exe().unwrap())
        .arg("child")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}
