//! `nshost scripts`

use std::{fmt::Write, path::Path};

use nshost_plan::show;
use serde_json::json;

use crate::{
    answered,
    failure::Failure,
    module::Module,
    named,
    print::{self, Ink},
    worker,
};

/// Arguments of `nshost scripts`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  nshost scripts && nshost plan nat")]
pub struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A script that a name leads to.
struct Script {
    name: String,
    path: String,
    grants: Option<String>,
    about: Result<String, String>,
    /// Another of the same name is found before it.
    hidden: bool,
}

/// Lists the scripts that have a name. A process without rights looks into each.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let mut found: Vec<Script> = Vec::new();
    for (name, path) in named::scripts() {
        let hidden = found.iter().any(|other| other.name == name);
        // By its name, if that leads there; a script that the name does not lead to, by what lies beside it.
        let by_name = named::grants(Path::new(&name));
        let beside = named::grants_beside(&path);
        let grants = if hidden { beside } else { by_name.or(beside) }.map(|grants| told(&grants));
        let about = about(&path).map_err(|failure| failure.message);
        found.push(Script { name, path: told(&path), grants, about, hidden });
    }
    print::result(&if arguments.json { as_json(&found) } else { as_lines(&found) })?;
    Ok(0)
}

/// The first line of what the script says it is for.
fn about(path: &Path) -> Result<String, Failure> {
    let module = Module::open(&named::script(path)?)?;
    let inspection = worker::inspect(module.sealed()?)?
        .map_err(|failure| answered::of_script(failure, &module.name(), &|_| None))?;
    Ok(inspection.about.unwrap_or_default().lines().next().unwrap_or_default().to_string())
}

fn told(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn as_lines(found: &[Script]) -> String {
    let mut text = String::new();
    for script in found {
        let about = match &script.about {
            Ok(about) => show::log_line(about),
            Err(reason) => print::inked_result(Ink::Red, reason),
        };
        let name = print::inked_result(Ink::Bold, &show::log_line(&script.name));
        let dash = if about.is_empty() { "" } else { " - " };
        let _ = writeln!(text, "{name}{dash}{about}");
        let other = if script.hidden { "  (by this path only: the name leads to the one above)" } else { "" };
        let _ = writeln!(text, "  {}{other}", show::log_line(&script.path));
        let grants = script.grants.as_ref().map(|path| format!("--grants {}", show::log_line(path)));
        let _ = writeln!(text, "  {}", grants.unwrap_or_else(|| "no grants file beside it".to_string()));
    }
    if found.is_empty() {
        text.push_str(
            "no script has a name here: NAME.wasm in this directory, or in ~/.local/share/nshost/scripts\n",
        );
    }
    text
}

fn as_json(found: &[Script]) -> String {
    let scripts: Vec<_> = found
        .iter()
        .map(|script| {
            json!({
                "name": script.name,
                "path": script.path,
                "grants": script.grants,
                "about": script.about.as_ref().ok(),
                "error": script.about.as_ref().err(),
                "hidden": script.hidden,
            })
        })
        .collect();
    format!("{:#}\n", json!({ "schema": 1, "scripts": scripts }))
}
