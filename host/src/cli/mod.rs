//! The command line: one file a verb.

mod compile;
mod completions;
mod doctor;
mod gc;
mod grants;
mod hands;
mod inspect;
mod json;
mod man;
mod plan;
mod run;
mod scripts;
mod shared;

use std::ffi::OsString;

use clap::{CommandFactory, Parser, Subcommand, error::ErrorKind};

use nshost_plan::show;

use crate::{
    failure::{Failure, Status},
    launch::Ended,
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
    /// List the scripts that have a name, and where their grants files lie
    Scripts(scripts::Arguments),
    /// Compile setup scripts beforehand, so that their first launch need not wait for that
    Compile(compile::Arguments),
    /// Remove what launchers that were killed have left behind
    Gc(gc::Arguments),
    /// Tell what this kernel and this user can and cannot do
    Doctor(doctor::Arguments),
    /// Print what makes a shell complete this command line
    Completions(completions::Arguments),
    /// Print the manual page of nshost or of a verb
    Man(man::Arguments),
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
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let Some(answer) = hands::of_another_tool(&words) {
        return Err::<u8, _>(answer).into();
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return explain(&error).into(),
    };
    match arguments.verb {
        Verb::Run(arguments) => run::run(arguments),
        Verb::Plan(arguments) => plan::run(arguments).into(),
        Verb::Inspect(arguments) => inspect::run(&arguments).into(),
        Verb::Scripts(arguments) => scripts::run(&arguments).into(),
        Verb::Compile(arguments) => compile::run(&arguments).into(),
        Verb::Gc(arguments) => gc::run(&arguments).into(),
        Verb::Doctor(arguments) => doctor::run(&arguments).into(),
        Verb::Completions(arguments) => completions::run(&arguments).into(),
        Verb::Man(arguments) => man::run(&arguments).into(),
    }
}

/// Prints help, the version, or what is wrong with the command line. Returns the exit status.
fn explain(error: &clap::Error) -> Result<u8, Failure> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let printed = error.print();
            printed.map(|()| 0).map_err(|e| Failure::ours(format!("cannot write to standard output: {e}")))
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            Ok(Status::Nshost as u8)
        }
        kind => Err(misused(kind, &error.render().to_string())),
    }
}

/// What clap says, as everything else is said here. What was typed stands in it, and may have been copied from
/// anywhere.
fn misused(kind: ErrorKind, text: &str) -> Failure {
    let mut paragraphs = text.trim_end().split("\n\n");
    let first: Vec<String> =
        paragraphs.next().unwrap_or_default().lines().map(|line| show::log_line(line.trim())).collect();
    let first = first.join(" ");
    // What comes after -- is the command: there no option becomes an argument.
    let misleads = |line: &str| line.trim_start().starts_with("tip: to pass ");
    let general = |paragraph: &&str| !paragraph.starts_with("For more information");
    let mut hints: Vec<String> = paragraphs
        .filter(general)
        .flat_map(str::lines)
        .filter(|line| !misleads(line))
        .map(|line| show::log_line(line.trim()))
        .collect();
    let verbs: Vec<String> =
        Arguments::command().get_subcommands().map(|verb| verb.get_name().to_string()).collect();
    if kind == ErrorKind::InvalidSubcommand {
        hints.insert(0, format!("there is: {}", verbs.join(", ")));
    }
    let typed = std::env::args_os().nth(1).and_then(|word| word.into_string().ok());
    let typed = typed.filter(|word| verbs.contains(word));
    let verb = typed.map_or(String::new(), |verb| format!("{verb} "));
    hints.push(format!("`nshost {verb}--help` tells more"));
    Failure::ours(first.strip_prefix("error: ").unwrap_or(&first)).hint(hints.join("\n"))
}
