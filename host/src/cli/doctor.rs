//! `nshost doctor`

use std::fmt::Write;

use nix::unistd::{AccessFlags, access};
use nshost_kernel::probe::{self, Probe, State};
use nshost_ledger::Directory;
use nshost_plan::show;
use serde_json::json;

use crate::{failure::Failure, paths, print, print::Ink};

/// How long the longest state is.
const STATE: usize = "forbidden".len();
const INDENT: &str = "  ";

/// Arguments of `nshost doctor`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  nshost doctor")]
pub struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints what works here and what does not, each with the remedy. It changes nothing.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let mut probes = probe::all();
    probes.push(state_directory());
    probes.extend(["nshost-worker", "nshost-compiler"].map(helper));
    if arguments.json {
        let list: Vec<_> = probes
            .iter()
            .map(|probe| json!({ "name": probe.name, "state": word(probe.state), "detail": probe.detail, "remedy": probe.remedy }))
            .collect();
        print::result(&format!("{:#}\n", json!({ "schema": 1, "probes": list })))?;
        return Ok(0);
    }
    let columns = print::columns(std::io::stdout());
    let wide = as_table(&probes);
    let fits = probes.iter().all(|probe| table_width(&probes) + widest(probe) <= columns);
    print::result(&if fits { wide } else { as_paragraphs(&probes, columns) })?;
    Ok(0)
}

/// Of the names' column, in characters.
fn name_width(probes: &[Probe]) -> usize {
    probes.iter().map(|probe| probe.name.len()).max().unwrap_or(0)
}

/// Of the columns before the words, and the state's.
fn table_width(probes: &[Probe]) -> usize {
    name_width(probes) + 2 + STATE + 2
}

fn widest(probe: &Probe) -> usize {
    probe.detail.chars().count().max(probe.remedy.chars().count())
}

fn as_table(probes: &[Probe]) -> String {
    let width = name_width(probes);
    let mut text = String::new();
    for probe in probes {
        let state = inked_state(probe, &format!("{:<STATE$}", word(probe.state)));
        let _ = writeln!(text, "{:<width$}  {state}  {}", probe.name, probe.detail);
        if !probe.remedy.is_empty() {
            let indent = " ".repeat(table_width(probes));
            let _ = writeln!(text, "{indent}{}", print::inked_result(Ink::Bold, &probe.remedy));
        }
    }
    text
}

/// For a narrow terminal.
fn as_paragraphs(probes: &[Probe], columns: usize) -> String {
    let mut text = String::new();
    for probe in probes {
        let _ = writeln!(text, "{}: {}", probe.name, inked_state(probe, word(probe.state)));
        let lines = |words: &str| {
            textwrap::wrap(words, columns.saturating_sub(INDENT.len()).max(1))
                .into_iter()
                .map(|line| line.into_owned())
                .collect::<Vec<_>>()
        };
        for line in lines(&probe.detail) {
            let _ = writeln!(text, "{INDENT}{line}");
        }
        for line in lines(&probe.remedy).iter().filter(|line| !line.is_empty()) {
            let _ = writeln!(text, "{INDENT}{}", print::inked_result(Ink::Bold, line));
        }
    }
    text
}

fn inked_state(probe: &Probe, state: &str) -> String {
    match probe.state {
        State::Present => state.to_string(),
        _ => print::inked_result(Ink::Red, state),
    }
}

fn word(state: State) -> &'static str {
    match state {
        State::Present => "present",
        State::Absent => "absent",
        State::Disabled => "disabled",
        State::Forbidden => "forbidden",
    }
}

/// Where launches write down what they make.
fn state_directory() -> Probe {
    let (state, detail, remedy) = match Directory::usual_if_there() {
        Ok(there) => {
            let usual = nshost_ledger::default_directory();
            let can_be_made = usual.parent().is_some_and(|at| access(at, AccessFlags::W_OK).is_ok());
            let detail = match there {
                Some(there) => there.path().display().to_string(),
                None if can_be_made => format!("{}, made by the first launch", usual.display()),
                None => "in /tmp, made by the first launch".to_string(),
            };
            (State::Present, detail, String::new())
        }
        Err(error) => (State::Forbidden, error.to_string(), error.hint()),
    };
    // Its path may be of anybody's making.
    Probe { name: "state directory".to_string(), state, detail: show::log_line(&detail), remedy }
}

fn helper(name: &'static str) -> Probe {
    match paths::helper(name) {
        Some(path) => Probe {
            name: name.into(),
            state: State::Present,
            detail: path.display().to_string(),
            remedy: String::new(),
        },
        None => Probe {
            name: name.into(),
            state: State::Absent,
            detail: "scripts cannot be evaluated".to_string(),
            remedy: "install it beside nshost or in ../libexec/nshost".to_string(),
        },
    }
}
