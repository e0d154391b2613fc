//! Why there is no plan, in words for the operator.

use std::fmt;

use nshost_plan::{Limits, show};
use nshost_policy::wire::{Failure, ScriptError};
use wasmtime::Trap;

use crate::{
    bindings::nshost::setup::types::{Denial, Error, Problem},
    budget::Exhausted,
    engine::STACK,
    wasi::Exited,
};

/// The most characters of a message that holds a script's own words.
const LONGEST: usize = 1024;

/// Why a script ended before `setup` returned.
pub(crate) fn of_run(error: &wasmtime::Error, limits: &Limits) -> Failure {
    if let Some(budget) = error.downcast_ref::<Exhausted>() {
        return (*budget).into();
    }
    if let Some(exited) = error.downcast_ref::<Exited>() {
        return Failure::Script(ScriptError::Other(Some(exited.to_string())));
    }
    if error.downcast_ref::<Trap>() == Some(&Trap::StackOverflow) {
        let text = format!(
            "the stack is used up: a script has {} KiB, and recursion without end is the usual reason",
            STACK >> 10
        );
        return Failure::Trap(text);
    }
    // Two budgets of wasmtime's own, whose errors have no type that could be asked for.
    let text = error.to_string();
    if text.contains("fuel allocated for hostcalls") {
        return Exhausted::copied_bytes(limits.copied_bytes).into();
    }
    if text.starts_with("resource limit exceeded") {
        return Exhausted::instances(limits.instances).into();
    }
    Failure::Trap(one_line(error))
}

/// What `setup` returned, shortened.
pub(crate) fn of_script(error: Error) -> ScriptError {
    match error {
        Error::Denied(Denial { capability, subject, hint }) => {
            ScriptError::Denied { capability: clip(&capability), subject: clip(&subject), hint: clip(&hint) }
        }
        Error::Invalid(Problem { code, subject, hint }) => {
            ScriptError::Invalid { code: clip(&code), subject: clip(&subject), hint: clip(&hint) }
        }
        Error::Conflict(Problem { code, subject, hint }) => {
            ScriptError::Conflict { code: clip(&code), subject: clip(&subject), hint: clip(&hint) }
        }
        Error::Unsupported(Problem { code, subject, hint }) => {
            ScriptError::Unsupported { code: clip(&code), subject: clip(&subject), hint: clip(&hint) }
        }
        Error::Other(text) => ScriptError::Other(text.as_deref().map(clip)),
    }
}

/// An error with its causes, or another text that may hold anything, as one line.
pub(crate) fn one_line(error: impl fmt::Display) -> String {
    let text = format!("{error:#}");
    let words: Vec<&str> = text.split_whitespace().collect();
    show::log_line(&clip(&words.join(" ")))
}

fn clip(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}
