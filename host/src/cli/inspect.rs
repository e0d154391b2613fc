//! `nshost inspect`

use std::path::PathBuf;

use nshost_plan::show;
use serde_json::json;

use crate::{
    answered,
    failure::Failure,
    module::{Module, hex},
    named, print, worker,
};

/// What is known of every script; of its plan it is known when there is one.
const POWER: &str =
    "launched by root without a user namespace, its container is root of the host; `nshost plan` tells\n";

/// Arguments of `nshost inspect`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  nshost inspect nat")]
pub struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The script to look at, by its path or name; it is not run
    #[arg(value_name = "SCRIPT", value_hint = clap::ValueHint::FilePath)]
    script: PathBuf,
}

/// Prints the script's identity and what it may ask for. A process without rights looks at the bytes.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let module = Module::open(&named::script(&arguments.script)?)?;
    let inspection = worker::inspect(module.sealed()?)?
        .map_err(|failure| answered::of_script(failure, &module.name(), &|_| None))?;
    let digest = hex(module.digest());
    let is_setup_script = inspection.exports.iter().any(|export| export == "setup");
    // What has no package is a type that the world itself uses.
    let interfaces =
        inspection.imports.iter().filter(|import| import.contains(':')).map(|name| show::log_line(name));
    let (ours, others): (Vec<String>, Vec<String>) =
        interfaces.partition(|import| import.starts_with("nshost:"));
    let text = if arguments.json {
        let value = json!({
            "schema": 1,
            "script": digest,
            "sdk": inspection.sdk,
            "about": inspection.about,
            "imports": inspection.imports,
            "exports": inspection.exports,
            "producers": inspection.producers,
            "is-setup-script": is_setup_script,
        });
        format!("{value:#}\n")
    } else {
        let besides: String = others.iter().map(|name| format!("  {name}\n")).collect();
        let besides = match besides.as_str() {
            "" => String::new(),
            names => format!("needs besides (inert stand-ins):\n{names}"),
        };
        let about = inspection.about.iter().flat_map(|text| text.lines()).filter(|line| !line.is_empty());
        let about: String = about.map(|line| format!("about   {}\n", show::log_line(line))).collect();
        // Its last words and lines in the log change nothing, so that they are no request.
        let requests = ours.iter().filter(|name| !is_about(name, "log") && !is_about(name, "types"));
        let requests: String = requests.map(|name| format!("  {name}{}\n", meaning(name))).collect();
        let asks = match requests.as_str() {
            "" => "may ask for: nothing\n".to_string(),
            names => format!("may ask for:\n{names}"),
        };
        let kind = if is_setup_script {
            "a setup script"
        } else {
            "not a setup script: it exports no `setup`; in Rust add nshost_sdk::setup!(setup);"
        };
        format!(
            "{}: {kind}\n{about}digest  sha256:{digest}\nsdk     {}\n{asks}{besides}{}",
            module.name(),
            inspection.sdk.as_deref().map_or("unknown".to_string(), show::log_line),
            if is_setup_script { POWER } else { "" },
        )
    };
    print::result(&text)?;
    Ok(0)
}

/// Whether an interface of the contract is that of this name, whatever its version.
fn is_about(interface: &str, name: &str) -> bool {
    interface.trim_start_matches("nshost:setup/").split('@').next() == Some(name)
}

/// What an interface of the contract is for, where its name does not say that it changes what a command does.
fn meaning(interface: &str) -> &'static str {
    match interface.trim_start_matches("nshost:setup/").split('@').next() {
        Some("process") => "  (what is executed, its variables, where it starts)",
        Some("filesystem") => "  (/proc, and which name servers are asked)",
        _ => "",
    }
}
