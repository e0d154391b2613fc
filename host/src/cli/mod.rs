//! The command line: one file a verb.

mod doctor;
mod gc;
mod inspect;
mod json;
mod plan;
mod run;
mod shared;

use clap::{Parser, Subcommand, error::ErrorKind};

use crate::{
    failure::{Failure, Status},
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

/// Parses the command line and does what it says. Returns the exit status.
pub fn run() -> Result<u8, Failure> {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            let _ = error.print();
            return Ok(0);
        }
        // Printed by clap, with its suggestion; the code says that nothing was run.
        Err(error) => {
            let _ = error.print();
            if error.kind() == ErrorKind::InvalidSubcommand {
                print::line("there is: run, plan, inspect, gc, doctor");
            }
            return Ok(Status::Nshost as u8);
        }
    };
    match arguments.verb {
        Verb::Run(arguments) => run::run(arguments),
        Verb::Plan(arguments) => plan::run(arguments),
        Verb::Inspect(arguments) => inspect::run(&arguments),
        Verb::Gc(arguments) => gc::run(&arguments),
        Verb::Doctor(arguments) => doctor::run(&arguments),
    }
}
