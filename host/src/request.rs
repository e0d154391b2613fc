//! What the operator asked for, checked.

use std::path::PathBuf;

use nshost_ledger::ContainerName;
use nshost_plan::{AbsolutePath, Argument, Variable};
use nshost_policy::Grants;

use crate::{evaluate::Manner, module::Module};

/// What the operator asked for.
pub struct Request {
    /// The script.
    pub module: Module,
    /// What it may do.
    pub grants: Grants,
    /// Its arguments.
    pub arguments: Vec<Argument>,
    /// What was typed after `--`.
    pub command: Vec<Argument>,
    /// Variables of the command, in the place of the script's.
    pub variables: Vec<Variable>,
    /// Where the command starts, in the place of what the script says.
    pub directory: Option<AbsolutePath>,
    /// What the container is to be called.
    pub name: Option<ContainerName>,
    /// Where every check is recorded.
    pub audit: Option<PathBuf>,
    /// Whether a reaper is the first process.
    pub reaper: bool,
    /// How the script is evaluated.
    pub manner: Manner,
}
