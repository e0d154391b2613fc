//! `nshost doctor`

use std::fmt::Write;

use nshost_kernel::probe::{self, Probe, State};
use serde_json::json;

use crate::{failure::Failure, paths, print, print::Ink};

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
    probes.extend(["nshost-worker", "nshost-compiler"].map(helper));
    if arguments.json {
        let list: Vec<_> = probes
            .iter()
            .map(|probe| json!({ "name": probe.name, "state": word(probe.state), "detail": probe.detail, "remedy": probe.remedy }))
            .collect();
        print::result(&format!("{:#}\n", json!({ "schema": 1, "probes": list })))?;
        return Ok(0);
    }
    let width = probes.iter().map(|probe| probe.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for probe in &probes {
        let state = format!("{:<9}", word(probe.state));
        let state = if probe.state == State::Present { state } else { print::inked_result(Ink::Red, &state) };
        let _ = writeln!(text, "{:<width$}  {state}  {}", probe.name, probe.detail);
        if !probe.remedy.is_empty() {
            let _ = writeln!(
                text,
                "{:<width$}             {}",
                "",
                print::inked_result(Ink::Bold, &probe.remedy)
            );
        }
    }
    print::result(&text)?;
    Ok(0)
}

fn word(state: State) -> &'static str {
    match state {
        State::Present => "present",
        State::Absent => "absent",
        State::Disabled => "disabled",
        State::Forbidden => "forbidden",
    }
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
