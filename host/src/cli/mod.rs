//! The command line: one file a verb.

mod doctor;
mod gc;
mod inspect;
mod json;
mod plan;
mod run;
mod shared;

use std::ffi::OsString;

use clap::{Parser, Subcommand, error::ErrorKind};

use nshost_plan::show;

use crate::{
    failure::{Failure, Status},
    launch::Ended,
    print,
};

/// Launches Linux containers that a sandboxed WebAssembly script decides.
#[derive(Parser)]
#[command(name = "nshost", version, after_help = EXIT_CODES, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Launch a container as a setup script decides, and run a command in it
    Run(run::Arguments),
    /// Show what a setup script would do here, and do nothing
    Plan(plan::Arguments),
    /// Show what a setup script is and what it may ask for
    Inspect(inspect::Arguments),
    /// Remove what launchers that were killed have left behind
    Gc(gc::Arguments),
    /// Tell what this kernel and this user can and cannot do
    Doctor(doctor::Arguments),
}

const EXIT_CODES: &str = "\
Exit codes: the command's own; 120 the script failed; 121 it used up a budget; 122 denied;
125 nshost failed; 126 the command cannot be run; 127 the command was not found;
128+N the command was killed by signal N.";

/// Parses the command line and does what it says.
pub fn run() -> Ended {
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|verb| verb == "run")
        && let Some(arguments) = run::Arguments::plain(words)
    {
        return run::run(arguments);
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return explain(&error).into(),
    };
    match arguments.verb {
        Verb::Run(arguments) => run::run(arguments),
        Verb::Plan(arguments) => plan::run(arguments).into(),
        Verb::Inspect(arguments) => inspect::run(&arguments).into(),
        Verb::Gc(arguments) => gc::run(&arguments).into(),
        Verb::Doctor(arguments) => doctor::run(&arguments).into(),
    }
}

/// Prints help, the version, or what is wrong with the command line. Returns the exit status.
fn explain(error: &clap::Error) -> Result<u8, Failure> {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let printed = error.print();
        return printed
            .map(|()| 0)
            .map_err(|e| Failure::ours(format!("cannot write to standard output: {e}")));
    }
    // What was typed stands in it, and may have been copied from anywhere.
    let safe = |word: OsString| word.to_str().is_some_and(|word| show::log_line(word) == word);
    if std::env::args_os().all(safe) {
        let _ = error.print();
    } else {
        let text = error.render().to_string();
        print::line(&text.trim_end().lines().map(show::log_line).collect::<Vec<_>>().join("\n"));
    }
    // The rest is printed by clap, with its suggestion; the code says that nothing was run.
    if error.kind() == ErrorKind::InvalidSubcommand {
        print::line("there is: run, plan, inspect, gc, doctor");
    }
    Ok(Status::Nshost as u8)
}
