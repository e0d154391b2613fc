//! Where the command starts.

use std::{env, fs, os::unix::fs::PermissionsExt, path::Path};

use nix::sys::statfs::{PROC_SUPER_MAGIC, statfs};
use nshost_plan::{AbsolutePath, ContainerId, Namespace, Plan, show};

/// A directory, by its path in the container.
pub struct Start {
    /// The path.
    pub directory: String,
    /// Why it is not where the operator stands, if that is what would have been taken.
    pub because: Option<String>,
}

/// In the directory that was typed, else in the plan's, else where the operator stands, if the container's root
/// can get there by the same path; else in `/`.
pub fn find(typed: Option<&AbsolutePath>, plan: &Plan, rootless: bool) -> Start {
    let planned = plan.working_directory(ContainerId::FIRST);
    if let Some(path) = typed.or(planned) {
        return Start { directory: path.plain(), because: None };
    }
    match here(plan, rootless) {
        Ok(directory) => Start { directory, because: None },
        Err(because) => Start { directory: "/".to_string(), because: Some(because) },
    }
}

fn here(plan: &Plan, rootless: bool) -> Result<String, String> {
    let path = env::current_dir().map_err(|error| format!("where you stand is not there: {error}"))?;
    let told = show::log_line(&path.to_string_lossy());
    let text = path.to_str().map(str::to_string).ok_or_else(|| format!("{told} is not UTF-8"))?;
    let namespaces = plan.namespaces(ContainerId::FIRST);
    // A process's directory there is another process's in the container, or nobody's.
    let procfs = statfs(&path).is_ok_and(|found| found.filesystem_type() == PROC_SUPER_MAGIC);
    if procfs && namespaces.contains(Namespace::Pid) {
        return Err(format!("{told} is of the host's processes"));
    }
    // Launched by root, the container's root is nobody to the host.
    if !rootless && namespaces.contains(Namespace::User) && !is_open_to_all(&path) {
        return Err(format!("{told} is closed to the container's root"));
    }
    AbsolutePath::try_from(text).map(|path| path.plain()).map_err(|error| error.to_string())
}

fn is_open_to_all(path: &Path) -> bool {
    const SEARCH: u32 = 0o001;
    path.ancestors()
        .all(|part| fs::metadata(part).is_ok_and(|found| found.permissions().mode() & SEARCH != 0))
}
