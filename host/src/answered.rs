//! Why a script has no plan, in words: whose mistake it is, where, and what to do. All texts in it are the script's,
//! and may be anything: they are shown in so many lines as they have, further in than ours.

use nshost_ledger::Occupant;
use nshost_plan::{Around, Limits, Step, show};
use nshost_policy::wire::{Asked, COMPILE_MEMORY, COMPILE_TIME, Failure as Answered, ScriptError};

use crate::failure::{self, Failure, Status};

/// Who has what a step asks for, and what that is, where it is another container.
pub type WhoHas<'a> = &'a dyn Fn(&Asked) -> Option<(String, Occupant)>;

/// What the worker or the compiler answered about the script of this name.
pub fn of_script(answered: Answered, name: &str, who_has: WhoHas<'_>) -> Failure {
    match answered {
        Answered::Script { why, at, asked } => {
            of_setup(why, at, asked.and_then(|asked| taken(&asked, who_has)))
        }
        Answered::Panic { message, at } => {
            let at = at.map_or_else(String::new, |at| format!(" at {}", on_one_line(&at)));
            Failure::new(Status::Script, format!("the script panicked{at}: {}", further_in(&message)))
        }
        Answered::Exit(status) => Failure::new(
            Status::Script,
            format!("the script left by exit({status}) instead of returning from setup"),
        )
        .hint("for the author: return Ok(()), or an error that says why not"),
        Answered::Budget { name, limit, unit } => of_budget(&name, limit, &unit),
        Answered::Trap(reason) => {
            Failure::new(Status::Script, format!("the script crashed: {}", on_one_line(&reason)))
                .hint("a mistake of the script's: nothing was run. `nshost plan` shows its author the same")
        }
        Answered::Module(reason) => {
            let (what, hint) = reason.split_once('\n').unwrap_or((&reason, ""));
            Failure::new(Status::Script, format!("{name} is not a setup script: {}", on_one_line(what)))
                .hint(show::paragraph(hint))
        }
        Answered::Artifact(reason) => {
            Failure::ours(format!("the compiled script does not fit the worker: {}", on_one_line(&reason)))
                .hint("nshost, nshost-worker and nshost-compiler must be of one build")
        }
        Answered::Lock { what, errno } => {
            let (what, reason) = (on_one_line(&what), std::io::Error::from_raw_os_error(errno));
            Failure::ours(format!("the script's process could not be locked down: {what}: {reason}"))
                .hint("nothing was run; `nshost doctor` tells what this kernel lacks")
        }
    }
}

/// The same of a script that has looked at a host which without root is a `private` one.
pub fn of_script_on(answered: Answered, name: &str, who_has: WhoHas<'_>, private: bool) -> Failure {
    let of_host = match &answered {
        Answered::Script { why, .. } => matches!(
            why,
            ScriptError::Other(_) | ScriptError::Conflict { .. } | ScriptError::Unsupported { .. }
        ),
        _ => false,
    };
    failure::on_host(of_script(answered, name, who_has), private && of_host)
}

/// Who has what a step asks for, and what to do about it.
pub struct Taken {
    /// What belongs to whom.
    pub whose: String,
    /// What an operator can do.
    pub operator: String,
    /// What the script's author can do.
    pub author: &'static str,
}

/// For a step that is refused because another container has what it asks for.
pub fn taken(asked: &Asked, who_has: WhoHas<'_>) -> Option<Taken> {
    let (what, occupant) = who_has(asked)?;
    let Step::Around(around) = &asked.step else { return None };
    let author = match around {
        Around::Link(_) => "name links by `facts::instance()`, a number that no other container has",
        Around::Address(_) | Around::Route(_) => "take a network from `facts::free_network`",
        Around::Forward(_) => "let the operator say the port, as an argument",
        Around::Up(_) | Around::Masquerade(_) => return None,
    };
    Some(Taken { whose: format!("{what} belongs to {occupant}"), operator: occupant.remedy(), author })
}

fn of_setup(error: ScriptError, at: Option<String>, taken: Option<Taken>) -> Failure {
    let place = at.map(|at| on_one_line(&at));
    let for_author = |what: &str| match &place {
        Some(place) => format!("for the author, {place}: {what}"),
        None => format!("for the author: {what}"),
    };
    match error {
        ScriptError::Denied { capability, subject, hint } => {
            let what = format!("{} {}", on_one_line(&capability), on_one_line(&subject));
            Failure::new(Status::Denied, format!("denied: {what}")).hint(show::paragraph(&hint))
        }
        ScriptError::Invalid { subject, hint, .. } => {
            let place = place.map_or_else(String::new, |place| format!("{place}: "));
            let what = format!("{}: {}", on_one_line(&subject), on_one_line(&hint));
            let message = format!("the script asked for what cannot be:\n  {place}{what}");
            Failure::new(Status::Script, message).hint("a mistake of the script's: nothing was run")
        }
        ScriptError::Conflict { subject, hint, .. } => match taken {
            Some(Taken { whose, operator, author }) => {
                Failure::new(Status::Nshost, format!("taken: {whose}"))
                    .hint(format!("for the operator: {operator}\n{}", for_author(author)))
            }
            None => {
                let what = format!("taken: {}: {}", on_one_line(&subject), on_one_line(&hint));
                let place =
                    place.map_or(String::new(), |place| format!("for the author: asked for by {place}"));
                Failure::new(Status::Nshost, what).hint(place)
            }
        },
        ScriptError::Unsupported { subject, hint, .. } => {
            Failure::new(Status::Nshost, format!("not possible here: {}", on_one_line(&subject)))
                .hint(on_one_line(&hint))
        }
        ScriptError::Other(Some(reason)) if !reason.trim().is_empty() => {
            Failure::new(Status::Script, format!("the script gave up: {}", further_in(&reason)))
        }
        ScriptError::Other(_) => Failure::new(Status::Script, "the script gave up, and did not say why")
            .hint("for the author: return an error with words, like Err(\"which port?\".into())"),
    }
}

/// A budget, by its name on the wire: its key in the grants file, how much of the wire's unit the key counts, the
/// most that can be granted, and what usually uses it up.
struct Budget {
    key: &'static str,
    unit: u64,
    most: u64,
    usual: &'static str,
}

fn budget(name: &str) -> Option<Budget> {
    const MAX: Limits = Limits::MAX;
    let (key, unit, most, usual) = match name {
        "wall time" => ("wall-ms", 1, MAX.wall_ms.into(), "a loop without end, usually"),
        "memory" => ("memory-mib", 1 << 20, MAX.memory_bytes, "a list that grows without end, usually"),
        "table elements" => {
            ("table-elements", 1, MAX.table_elements.into(), "a table that grows without end")
        }
        "instances" => ("instances", 1, MAX.instances.into(), "a component made of very many"),
        "host calls" => ("host-calls", 1, MAX.host_calls.into(), "a host function asked in a loop, usually"),
        "copied bytes" => ("copied-kib", 1 << 10, MAX.copied_bytes.into(), "very long texts, or very many"),
        "steps" => ("steps", 1, MAX.steps.into(), "a plan with very many steps"),
        "log" => ("log-kib", 1 << 10, MAX.log_bytes.into(), "lines for the operator in a loop, usually"),
        COMPILE_TIME => {
            ("compile-ms", 1, MAX.compile_ms.into(), "a script with a whole interpreter in it, usually")
        }
        COMPILE_MEMORY => (
            "compile-memory-mib",
            1,
            MAX.compile_memory_bytes >> 20,
            "a script with a whole interpreter in it, usually",
        ),
        _ => return None,
    };
    Some(Budget { key, unit, most, usual })
}

fn of_budget(name: &str, limit: u64, unit: &str) -> Failure {
    let said = match unit {
        "bytes" if limit.is_multiple_of(1 << 20) => format!("{} MiB", limit >> 20),
        "bytes" if limit.is_multiple_of(1 << 10) => format!("{} KiB", limit >> 10),
        unit if unit.is_empty() || name.ends_with(unit) => limit.to_string(),
        unit => format!("{limit} {}", on_one_line(unit)),
    };
    let failure =
        Failure::new(Status::Budget, format!("the script used up its budget: {}, {said}", on_one_line(name)));
    let Some(Budget { key, unit, most, usual }) = budget(name) else {
        return failure.hint("for the author: ask for fewer steps, and shorter ones; no grant gives more");
    };
    if limit >= most {
        return failure.hint(format!("{usual}; no grant gives more"));
    }
    let more = limit.saturating_mul(2).min(most) / unit;
    let remembered = match name {
        COMPILE_TIME | COMPILE_MEMORY => "\nuntil then this is remembered, unless asked with --fresh",
        _ => "",
    };
    failure.hint(format!(
        "{usual}; if it is in order, an operator can grant more in the grants file:\n\n\
         [limits]\n{key} = {more}{remembered}"
    ))
}

fn on_one_line(text: &str) -> String {
    show::paragraph(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// A script's own lines: none of them begins where ours do.
fn further_in(text: &str) -> String {
    show::paragraph(text).replace('\n', "\n  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scripts_lines_stand_further_in_and_do_nothing() {
        let forged = "missing\ngive it as\nnshost: all is well\x1b[2J\r\u{202e}".to_string();
        let other = |text: String| {
            let why = ScriptError::Other(Some(text));
            of_script(Answered::Script { why, at: None, asked: None }, "s", &|_| None)
        };
        assert_eq!(
            other(forged).message,
            "the script gave up: missing\n  give it as\n  nshost: all is well\\u{1b}[2J\\u{d}\\u{202e}"
        );
        let long = other("x".repeat(1 << 20)).message;
        assert!(long.chars().count() < 500, "{}", long.len());
        assert!(other("\n".repeat(1 << 20)).message.lines().count() <= show::MOST_LINES);
        let denied = ScriptError::Denied {
            capability: "\x1b".into(),
            subject: "\n".into(),
            hint: "[[link]]\n\x1b]0;owned\x07".into(),
        };
        let denied = of_script(Answered::Script { why: denied, at: None, asked: None }, "s", &|_| None);
        assert!(!format!("{}{}", denied.message, denied.hint).contains(['\x1b', '\x07']), "{denied:?}");
        assert_eq!(denied.hint, "[[link]]\n\\u{1b}]0;owned\\u{7}");
    }

    #[test]
    fn each_budget_has_its_line_of_the_grants_file() {
        for (name, limit, unit, said) in [
            ("wall time", 1000, "ms", "wall-ms = 2000"),
            ("memory", 64 << 20, "bytes", "memory-mib = 128"),
            ("log", 64 << 10, "bytes", "log-kib = 128"),
            ("steps", 4000, "steps", "steps = 4096"),
            ("steps", 4096, "steps", "no grant gives more"),
            (COMPILE_TIME, 10_000, "ms", "compile-ms = 20000"),
            (COMPILE_MEMORY, 256, "MiB", "compile-memory-mib = 512"),
            ("plan size", 4 << 20, "bytes", "fewer steps"),
            ("\x1b", u64::MAX, "\x1b", "fewer steps"),
        ] {
            let failure = of_budget(name, limit, unit);
            assert!(failure.hint.contains(said), "{name}: {}", failure.hint);
            assert!(!failure.message.contains('\x1b'), "{failure}");
        }
    }
}
