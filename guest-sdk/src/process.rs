//! The command, and what it finds.

use crate::{Result, bindings::nshost::setup::process, facts};

/// Executes `program` (a path, or a name to look for in `PATH`), whatever the operator typed.
pub fn command(program: &str, arguments: &[&str]) -> Result {
    let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    Ok(process::command(program, &arguments)?)
}

/// Executes what the operator typed after `--`, else `program`.
///
/// ```no_run
/// # use nshost_sdk::prelude::*;
/// process::command_or("/bin/bash", &[])?;
/// # Ok::<(), Error>(())
/// ```
pub fn command_or(program: &str, arguments: &[&str]) -> Result {
    match facts::command().split_first() {
        Some((typed, rest)) => Ok(process::command(typed, rest)?),
        None => command(program, arguments),
    }
}

/// Sets a variable of the command's environment.
pub fn variable(name: &str, value: &str) -> Result {
    Ok(process::variable(name, value)?)
}

/// Starts the command in `path`, absolute and as the container sees it. Without this, in `/`.
pub fn working_directory(path: &str) -> Result {
    Ok(process::working_directory(path)?)
}
