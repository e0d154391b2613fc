//! The command, and what it finds. All of this takes a grant, since it decides what is executed: but what
//! the operator typed is the operator's own.

use crate::{Result, bindings::nshost::setup::process, error::answer, facts};

/// Executes `program`, whatever the operator typed: an absolute path, or a name that the host looks for in the
/// usual directories (whatever [`variable`] says of `PATH`). Its grant, `[[exec]]`, is for that file and these
/// arguments.
#[track_caller]
pub fn command(program: &str, arguments: &[&str]) -> Result {
    let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    answer("process::command", process::command(program, &arguments))
}

/// Executes what the operator typed after `--`, which takes no grant, else `program`, which does.
///
/// ```no_run
/// # use nshost_sdk::prelude::*;
/// process::command_or("/bin/bash", &[])?;
/// # Ok::<(), Error>(())
/// ```
#[track_caller]
pub fn command_or(program: &str, arguments: &[&str]) -> Result {
    match facts::command().split_first() {
        Some((typed, rest)) => answer("process::command_or", process::command(typed, rest)),
        None => command(program, arguments),
    }
}

/// Sets a variable of the command's environment; its grant is `[[variable]]`.
#[track_caller]
pub fn variable(name: &str, value: &str) -> Result {
    answer("process::variable", process::variable(name, value))
}

/// Starts the command in `path`, absolute, as the container sees it and without symbolic links; its grant is
/// `[[working-directory]]`. Without this where the operator stands, if the container's root can get there, else in `/`.
#[track_caller]
pub fn working_directory(path: &str) -> Result {
    answer("process::working_directory", process::working_directory(path))
}
