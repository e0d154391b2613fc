//! Scripts and grants files by name: `nshost run nat`.
//!
//! A word with a `/`, or with the end that such files have, is a path. Any other is a name: looked for here, then
//! among the user's scripts, then among those that were installed with this program.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use nix::unistd::geteuid;
use nshost_plan::show;
use nshost_policy::nearest;

use crate::{failure::Failure, paths};

/// The ends of the files' names that a name stands for.
const SCRIPT: &str = "wasm";
const GRANTS: &str = "grants.toml";

/// Where a word leads.
pub struct Found {
    /// The file.
    pub path: PathBuf,
    by_name: bool,
}

impl Found {
    /// Refuses what somebody else has put where everybody may write, in the place of what was meant: the file
    /// that was opened, whatever is at its path by now.
    pub fn check(&self, opened: &File) -> Result<(), Failure> {
        let owner = opened.metadata().map_err(|error| Failure::file("file", &self.path, &error))?.uid();
        if !self.by_name || owner == 0 || owner == geteuid().as_raw() {
            return Ok(());
        }
        let path = show::log_line(&self.path.to_string_lossy());
        let message =
            format!("{path} belongs to somebody else (uid {owner}), and is not taken by its name alone");
        Err(Failure::ours(message).hint("if you mean this one, type its path, with the directory"))
    }
}

/// The file of the script that was typed.
pub fn script(typed: &Path) -> Result<Found, Failure> {
    find(typed, SCRIPT)?.ok_or_else(|| unknown(typed))
}

/// The grants file that was typed; a name that leads nowhere leads here.
pub fn grants(typed: &Path) -> Result<Found, Failure> {
    Ok(find(typed, GRANTS)?.unwrap_or_else(|| Found { path: typed.to_path_buf(), by_name: true }))
}

/// The grants file that lies beside a script, if there is one. It is only named: nobody's grants are taken unasked.
pub fn grants_beside(script: &Path) -> Option<PathBuf> {
    let beside = script.with_extension(GRANTS);
    fs::metadata(&beside).is_ok_and(|found| found.is_file()).then_some(beside)
}

/// Every script that has a name, each directory's in order, with that name.
pub fn scripts() -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for directory in directories() {
        let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
        let mut here: Vec<_> = entries
            .map(|entry| directory.join(entry.file_name()))
            .filter(|path| path.extension().is_some_and(|end| end == SCRIPT) && path.is_file())
            .filter_map(|path| Some((path.file_stem()?.to_str()?.to_string(), path)))
            .collect();
        here.sort();
        found.extend(here);
    }
    found
}

/// Where names are looked for.
fn directories() -> impl Iterator<Item = PathBuf> {
    [PathBuf::from(".")].into_iter().chain(paths::scripts())
}

fn find(typed: &Path, end: &str) -> Result<Option<Found>, Failure> {
    let ends = [".wasm", ".toml"];
    let is_name = |text: &&str| {
        !text.contains('/') && !text.starts_with('.') && !ends.iter().any(|end| text.ends_with(end))
    };
    let Some(name) = typed.to_str().filter(is_name) else {
        return Ok(Some(Found { path: typed.to_path_buf(), by_name: false }));
    };
    // What has this very name here, without any end.
    let whole = [typed.to_path_buf()].into_iter();
    for path in whole.chain(directories().map(|directory| directory.join(format!("{name}.{end}")))) {
        match fs::metadata(&path) {
            Ok(found) if !found.is_dir() => return Ok(Some(Found { path, by_name: true })),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => return Err(Failure::file("file", &path, &error)),
        }
    }
    Ok(None)
}

fn unknown(typed: &Path) -> Failure {
    let name = typed.to_string_lossy();
    let directories: Vec<String> =
        directories().map(|directory| show::log_line(&directory.to_string_lossy())).collect();
    let there = scripts();
    let names: Vec<&str> = there.iter().map(|(name, _)| name.as_str()).collect();
    let meant = nearest(&name, &names)
        .map_or(String::new(), |near| format!("; did you mean {}?", show::log_line(near)));
    Failure::ours(format!("no script {}{meant}", show::quote(&name))).hint(format!(
        "it is looked for in {}\na word with a / is a path; `nshost scripts` lists what has a name",
        directories.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_as_it_is() {
        for path in ["./a", "/no/such/file", "a/b", "a.wasm", "g.toml"] {
            assert_eq!(script(Path::new(path)).unwrap().path, Path::new(path));
        }
        let failure = script(Path::new("no-such-script")).err().unwrap();
        assert!(failure.message.contains("no-such-script") && failure.hint.contains("it is looked for in ."));
        assert_eq!(grants(Path::new("no-such-file")).unwrap().path, Path::new("no-such-file"));
    }
}
