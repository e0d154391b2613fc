//! `nshost completions`

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{cli, failure::Failure, print};

/// Arguments of `nshost completions`.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  nshost completions bash > ~/.local/share/bash-completion/completions/nshost"
)]
pub struct Arguments {
    /// The shell that is to complete nshost's command line
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Prints what the shell is to read.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut cli::Arguments::command(), "nshost", &mut text);
    print::result(&String::from_utf8_lossy(&text))?;
    Ok(0)
}
