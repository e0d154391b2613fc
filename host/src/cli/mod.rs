//! The command line: one file a verb.

mod doctor;
mod gc;
mod inspect;
mod json;
mod plan;
mod run;
mod shared;

use clap::{ArgMatches, Args, Command, error::ErrorKind};

use crate::{failure::Status, launch::Ended, print};

/// A verb and its arguments.
trait Verb: Args {
    const NAME: &'static str;
    /// One line of help.
    const ABOUT: &'static str;

    fn run(self) -> Ended;
}

/// A verb as one of several.
struct Row {
    name: &'static str,
    about: &'static str,
    define: fn(Command) -> Command,
    run: fn(&ArgMatches) -> Result<Ended, clap::Error>,
}

const VERBS: [Row; 5] = [
    Row::of::<run::Arguments>(),
    Row::of::<plan::Arguments>(),
    Row::of::<inspect::Arguments>(),
    Row::of::<gc::Arguments>(),
    Row::of::<doctor::Arguments>(),
];

impl Row {
    const fn of<V: Verb>() -> Row {
        Row {
            name: V::NAME,
            about: V::ABOUT,
            define: |command| V::augment_args(command).about(V::ABOUT),
            run: |matches| Ok(V::from_arg_matches(matches)?.run()),
        }
    }
}

const EXIT_CODES: &str = "\
Exit codes: the command's own; 120 the script failed; 121 it used up a budget; 122 denied;
125 nshost failed; 126 the command cannot be run; 127 the command was not found;
128+N the command was killed by signal N.";

/// Arguments of verbs that are not asked for are not even built: that is half of the parsing.
fn command() -> Command {
    Command::new("nshost")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Launches Linux containers that a sandboxed WebAssembly script decides")
        .after_help(EXIT_CODES)
        .max_term_width(100)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(VERBS.iter().map(|row| Command::new(row.name).about(row.about).defer(row.define)))
}

/// Parses the command line and does what it says.
pub fn run() -> Ended {
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|verb| verb == run::Arguments::NAME)
        && let Some(arguments) = run::Arguments::plain(words)
    {
        return arguments.run();
    }
    command().try_get_matches().and_then(|matches| start(&matches)).unwrap_or_else(|error| explain(&error))
}

fn start(matches: &ArgMatches) -> Result<Ended, clap::Error> {
    let asked = |row: &Row| Some((row.run, matches.subcommand_matches(row.name)?));
    match VERBS.iter().find_map(asked) {
        Some((run, arguments)) => run(arguments),
        None => Err(command().error(ErrorKind::MissingSubcommand, "a verb is missing")),
    }
}

/// Prints help, the version, or what is wrong with the command line.
fn explain(error: &clap::Error) -> Ended {
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => return Ok(0).into(),
        ErrorKind::InvalidSubcommand => print::line("there is: run, plan, inspect, gc, doctor"),
        // Printed by clap, with its suggestion; the code says that nothing was run.
        _ => {}
    }
    Ok(Status::Nshost as u8).into()
}
