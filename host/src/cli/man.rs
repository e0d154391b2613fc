//! `nshost man`

use std::path::PathBuf;

use clap::CommandFactory;
use clap_mangen::Man;
use nshost_plan::show;

use crate::{cli, failure::Failure, print};

/// Arguments of `nshost man`.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  nshost man | man -l -\n  nshost man run | man -l -\n  nshost man --into /usr/local/share/man/man1"
)]
pub struct Arguments {
    /// Write the pages of nshost and of every verb into DIR
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath, conflicts_with = "verb")]
    into: Option<PathBuf>,
    /// The verb whose page is printed; without it nshost's own
    #[arg(value_name = "VERB")]
    verb: Option<String>,
}

/// Prints one page, or writes all.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let mut nshost = cli::Arguments::command().disable_help_subcommand(true);
    if let Some(directory) = &arguments.into {
        let written = clap_mangen::generate_to(nshost, directory);
        return written.map(|()| 0).map_err(|error| Failure::file("manual pages", directory, &error));
    }
    nshost.build();
    let names: Vec<String> = nshost.get_subcommands().map(|verb| verb.get_name().to_string()).collect();
    let command = match &arguments.verb {
        None => nshost,
        Some(name) => nshost.find_subcommand(name).cloned().ok_or_else(|| {
            Failure::ours(format!("there is no verb {}", show::quote(name)))
                .hint(format!("there is: {}", names.join(", ")))
        })?,
    };
    let mut page = Vec::new();
    Man::new(command)
        .render(&mut page)
        .map_err(|error| Failure::ours(format!("cannot write the page: {error}")))?;
    print::result(&String::from_utf8_lossy(&page))?;
    Ok(0)
}
