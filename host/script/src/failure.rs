//! Why there is no plan, in words for the operator.

use std::fmt;

use nshost_plan::{Limits, show};
use nshost_policy::wire::{Asked, Failure, ScriptError};
use wasmtime::Trap;

use crate::{
    bindings::nshost::setup::types::{self, Denial, Error, Problem},
    budget::Exhausted,
    engine::STACK,
    wasi::Exited,
};

/// The most characters of a message that holds a script's own words.
const LONGEST: usize = 1024;

/// A script that found a mistake of its own, in its own words.
#[derive(Debug)]
pub(crate) struct Panicked {
    pub(crate) message: String,
    pub(crate) at: Option<String>,
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the script panicked")
    }
}

impl std::error::Error for Panicked {}

/// Why a script ended before `setup` returned.
pub(crate) fn of_run(error: &wasmtime::Error, limits: &Limits) -> Failure {
    if let Some(budget) = error.downcast_ref::<Exhausted>() {
        return (*budget).into();
    }
    if let Some(Panicked { message, at }) = error.downcast_ref::<Panicked>() {
        return Failure::Panic { message: clip(message), at: at.as_deref().map(clip) };
    }
    if let Some(Exited(status)) = error.downcast_ref::<Exited>() {
        return Failure::Exit(*status);
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return Failure::Trap(in_words(*trap, error));
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

/// What a trap is to whoever wrote the script, in whatever language.
fn in_words(trap: Trap, error: &wasmtime::Error) -> String {
    match trap {
        Trap::UnreachableCodeReached => {
            "it came to an `unreachable`: that is how abort(), a failed assertion and a panic without words end"
                .to_string()
        }
        Trap::StackOverflow => format!(
            "the stack is used up: a script has {} KiB, and recursion without end is the usual reason",
            STACK >> 10
        ),
        Trap::MemoryOutOfBounds | Trap::HeapMisaligned => {
            "it read or wrote memory that it does not have: a pointer or an index is wrong".to_string()
        }
        Trap::TableOutOfBounds | Trap::IndirectCallToNull | Trap::BadSignature => {
            "it called a function that is not there, or of another type: a function pointer is wrong".to_string()
        }
        Trap::IntegerDivisionByZero => "it divided a whole number by zero".to_string(),
        Trap::IntegerOverflow => "a division's result does not fit its type".to_string(),
        Trap::BadConversionToInteger => "it made a whole number of a float that has none".to_string(),
        _ => one_line(error),
    }
}

/// What `setup` returned, shortened; `taken` is what it was told last that somebody has, and in which words.
pub(crate) fn of_script(gave_up: types::Failure, taken: Option<(String, Asked)>) -> Failure {
    let why = match gave_up.why {
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
    };
    let asked = match (&why, taken) {
        (ScriptError::Conflict { subject, .. }, Some((told, step))) if told == *subject => {
            Some(Box::new(step))
        }
        _ => None,
    };
    Failure::Script { why, at: gave_up.at.as_deref().map(clip), asked }
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
