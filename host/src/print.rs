//! What people read. What a command is called for goes to standard output, all that is said beside to standard error.

use std::{
    io::{ErrorKind, IsTerminal, Write},
    os::fd::AsFd,
};

use nshost_kernel::foreign::Refusing;
use nshost_plan::{ContainerId, Namespace, Plan, show};
use nshost_policy::{
    Grants, Refusal, RefusalKind,
    wire::{Asked, Level, LogLine},
};
use rustix::termios::tcgetwinsize;

use crate::{
    answered::{Taken, WhoHas, taken},
    failure::Failure,
    module::Module,
};

/// A colour of a terminal, used only where there is one.
#[derive(Clone, Copy)]
pub enum Ink {
    /// What went wrong.
    Red,
    /// What to do.
    Bold,
    /// What is said beside.
    Dim,
}

/// `text` in `ink`, if standard error is a terminal and nobody set `NO_COLOR`.
pub fn inked(ink: Ink, text: &str) -> String {
    inked_for(std::io::stderr().is_terminal(), ink, text)
}

/// The same for standard output.
pub fn inked_result(ink: Ink, text: &str) -> String {
    inked_for(std::io::stdout().is_terminal(), ink, text)
}

fn inked_for(terminal: bool, ink: Ink, text: &str) -> String {
    if !terminal || std::env::var_os("NO_COLOR").is_some() {
        return text.to_string();
    }
    let code = match ink {
        Ink::Red => 31,
        Ink::Bold => 1,
        Ink::Dim => 2,
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// How wide a terminal is; no limit for what is none.
pub fn columns(terminal: impl AsFd) -> usize {
    tcgetwinsize(terminal)
        .ok()
        .map(|size| size.ws_col.into())
        .filter(|width| *width > 0)
        .unwrap_or(usize::MAX)
}

/// What a command is called for, on standard output: then it has not done its work if nobody gets it.
pub fn result(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Who reads has had enough of it: `| head`.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::ours(format!("cannot write to standard output: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// A line for the operator; a standard error that is closed is nobody's error.
pub fn line(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// What takes long, for an operator at a terminal.
pub fn progress(text: &str) {
    if std::io::stderr().is_terminal() {
        line(&inked(Ink::Dim, text));
    }
}

/// The end of a command that failed.
pub fn failure(failure: &Failure) {
    line(&format!("{} {}", inked(Ink::Red, "nshost:"), failure.message));
    for hint in failure.hint.lines() {
        line(&if hint.is_empty() { String::new() } else { format!("  {}", inked(Ink::Dim, hint)) });
    }
    for other in &failure.besides {
        self::failure(other);
    }
}

/// A firewall by which the container that is about to start is deaf.
pub fn refusing(refusing: &Refusing) {
    let Refusing { what, remedy } = refusing;
    line(&format!(
        "{} {what} what is routed to and from this container; {remedy}",
        inked(Ink::Red, "nshost!")
    ));
}

/// What a script said.
pub fn log(lines: &[LogLine]) {
    for entry in lines {
        let mark = match entry.level {
            Level::Info | Level::Out => "script:",
            Level::Warn | Level::Err => "script!",
        };
        line(&format!("{} {}", inked(Ink::Dim, mark), show::log_line(&entry.text)));
    }
}

/// Whether the plan's container has root's power over this host: its root is the host's root, on the host's
/// files. Namespaces of other kinds do not hold it (`capabilities(7)`).
pub fn is_root_of_the_host(plan: &Plan, rootless: bool) -> bool {
    !rootless && !plan.namespaces(ContainerId::FIRST).contains(Namespace::User)
}

/// What no step of the plan says of the power that its command has, and of the host that it is for.
pub fn power(plan: &Plan, rootless: bool) -> String {
    let power = match (is_root_of_the_host(plan, rootless), rootless) {
        (true, _) => {
            "root of the host: without a user namespace, root in this container is root on this host\n"
        }
        (false, true) => "not root of the host: root in this container is you, on all that is open to you\n",
        (false, false) => "",
    };
    let host = private_host(plan, rootless).map_or_else(String::new, |line| format!("{line}\n"));
    power.to_string() + &host
}

/// What the plan meets where it reaches out of its container, if that is not the host that everybody knows.
pub fn private_host(plan: &Plan, rootless: bool) -> Option<&'static str> {
    let meets_host =
        plan.links().next().is_some() || !plan.namespaces(ContainerId::FIRST).contains(Namespace::Network);
    (rootless && meets_host).then_some(
        "a private host: without root, its network is made for this launch, and nothing leads out of it",
    )
}

/// What was refused, and the lines that would allow it.
pub fn refusals(
    plan: &Plan,
    refusals: &[Refusal],
    grants: &Grants,
    lacking: &Grants,
    module: &Module,
    who_has: WhoHas<'_>,
) -> (String, String) {
    let denied = refusals.iter().any(|refusal| refusal.kind.is_denial());
    let asked = grants.file().map_or("no grants file was given".to_string(), |file| format!("asked: {file}"));
    let verb = if denied { "denied" } else { "not possible" };
    let (counted, script) = (counted(refusals), module.name());
    let listed = listed(plan, refusals, who_has);
    let message = format!("{verb}: {counted} of {script} ({asked}; nothing was touched){listed}");
    let tables = lacking.tables();
    let all = if refusals.iter().any(|r| r.kind == RefusalKind::Forbidden) { "the rest" } else { "it" };
    let hint = match (tables.trim(), grants.file()) {
        ("", _) => String::new(),
        (tables, Some(file)) => {
            let beside = module.grants_beside().filter(|beside| beside != file);
            let beside =
                beside.map_or(String::new(), |path| format!("for this script there is --grants {path}\n"));
            format!("{beside}these lines at the end of {file} would allow {all}:\n\n{tables}\n")
        }
        (_, None) => {
            let file = lacking.clone().for_script(*module.digest()).to_toml();
            let beside = module.grants_beside();
            let beside =
                beside.map_or(String::new(), |path| format!("this one is for it: --grants {path}\n"));
            format!(
                "{beside}a grants file with these lines (--grants FILE) would allow {all}:\n\n{}\n",
                file.trim()
            )
        }
    };
    (message, hint)
}

/// What a question is about: all that is not granted.
pub fn lacks(plan: &Plan, refusals: &[Refusal], grants: &Grants, who_has: WhoHas<'_>) -> String {
    let asked = grants.file().map_or("no grants file was given".to_string(), |file| format!("asked: {file}"));
    format!("It asks for more than is granted ({asked}):{}", listed(plan, refusals, who_has))
}

/// Each on a line of its own, with the reason.
fn listed(plan: &Plan, refusals: &[Refusal], who_has: WhoHas<'_>) -> String {
    let lines = refusals.iter().map(|refusal| {
        let between = if refusal.kind == RefusalKind::Denied { ": " } else { "\n      " };
        format!("\n  {}{between}{}", what(plan, refusal), why(plan, refusal, who_has))
    });
    lines.collect()
}

/// What is refused: a step, or what comes of there being none.
fn what(plan: &Plan, refusal: &Refusal) -> String {
    match refusal.step {
        Some(index) => {
            let step = plan.steps().get(index).map_or(String::new(), |step| show::step(plan, step));
            format!("step {}, {step}", index + 1)
        }
        None => format!("left out, so that the command would be in {}", refusal.subject),
    }
}

fn why(plan: &Plan, refusal: &Refusal, who_has: WhoHas<'_>) -> String {
    match refusal.kind {
        RefusalKind::Denied => {
            let other = if refusal.step.is_none() { "; or the script asks for one of its own" } else { "" };
            format!("needs a grant{other}")
        }
        RefusalKind::Forbidden => refusal.hint.trim_start_matches("# ").to_string(),
        RefusalKind::Conflict => {
            let step = refusal.step.and_then(|step| plan.steps().get(step));
            match step.and_then(|step| taken(&Asked::of(plan, step), who_has)) {
                Some(Taken { whose, operator, author }) => format!(
                    "taken: {whose}\n      for the operator: {operator}\n      for the author: {author}"
                ),
                None => format!("taken: {}", refusal.hint),
            }
        }
        RefusalKind::Unsupported => format!("not possible here: {}", refusal.hint),
    }
}

/// Steps, and the namespaces that would be shared, which are no steps.
fn counted(refusals: &[Refusal]) -> String {
    let steps = refusals.iter().filter(|refusal| refusal.step.is_some()).count();
    let counts = [(steps, "step"), (refusals.len() - steps, "shared namespace")];
    let words = counts
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, noun)| format!("{number} {noun}{}", if number == 1 { "" } else { "s" }));
    words.collect::<Vec<_>>().join(" and ")
}
