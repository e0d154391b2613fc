//! Scripts and grants files by name: `nshost run nat`.
//!
//! A word with a `/`, or with the end that such files have, is a path. Any other is a name: looked for here, then
//! among the user's scripts, then among those that were installed with this program. What others could have put
//! into the first two is not there for a name: neither in a directory of theirs, nor a file or link of theirs.

use std::{
    fs::{self, Metadata},
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

/// The file of the script that was typed.
pub fn script(typed: &Path) -> Result<PathBuf, Failure> {
    find(typed, SCRIPT).ok_or_else(|| unknown(typed))
}

/// The grants file that was typed; none if it is a name that leads nowhere.
pub fn grants(typed: &Path) -> Option<PathBuf> {
    find(typed, GRANTS)
}

/// The grants file that lies beside a script, if there is one. It is only named: nobody's grants are taken unasked.
pub fn grants_beside(script: &Path) -> Option<PathBuf> {
    let beside = script.with_extension(GRANTS);
    fs::metadata(&beside).is_ok_and(|found| found.is_file()).then_some(beside)
}

/// Every script that has a name, each directory's in order, with that name.
pub fn scripts() -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for place in places() {
        let entries = fs::read_dir(&place.directory).into_iter().flatten().flatten();
        let mut here: Vec<_> = entries
            .map(|entry| place.directory.join(entry.file_name()))
            .filter(|path| path.extension().is_some_and(|end| end == SCRIPT) && place.has(path))
            .filter_map(|path| Some((path.file_stem()?.to_str()?.to_string(), path)))
            .collect();
        here.sort();
        found.extend(here);
    }
    found
}

/// Where names are looked for.
struct Place {
    directory: PathBuf,
    /// Whoever could write there could as well have written this program.
    installed: bool,
}

impl Place {
    /// Whether there is such a file, of nobody else's.
    fn has(&self, path: &Path) -> bool {
        let there = fs::metadata(path).is_ok_and(|found| !found.is_dir());
        // A link is whose it is, and not whose that is to which it leads.
        let ours = || fs::symlink_metadata(path).is_ok_and(|found| is_ours(&found));
        let kept = || fs::metadata(&self.directory).is_ok_and(|found| is_ours(&found) && is_kept(&found));
        there && (self.installed || (kept() && ours()))
    }
}

/// Whether this user or root has it.
fn is_ours(found: &Metadata) -> bool {
    found.uid() == 0 || found.uid() == geteuid().as_raw()
}

/// Whether not everybody may put a file there in the place of another's (`inode(7)`, the sticky bit).
fn is_kept(directory: &Metadata) -> bool {
    const ALL_WRITE: u32 = 0o002;
    const STICKY: u32 = 0o1000;
    directory.mode() & ALL_WRITE == 0 || directory.mode() & STICKY != 0
}

fn places() -> Vec<Place> {
    let here = Place { directory: PathBuf::from("."), installed: false };
    let (own, installed) = paths::scripts();
    let own = own.map(|directory| Place { directory, installed: false });
    let installed = installed.map(|directory| Place { directory, installed: true });
    [here].into_iter().chain(own).chain(installed).collect()
}

fn find(typed: &Path, end: &str) -> Option<PathBuf> {
    let ends = [".wasm", ".toml"];
    let is_name = |text: &&str| {
        !text.contains('/') && !text.starts_with('.') && !ends.iter().any(|end| text.ends_with(end))
    };
    let Some(name) = typed.to_str().filter(is_name) else { return Some(typed.to_path_buf()) };
    let places = places();
    // What has this very name here, without any end.
    if places.first().is_some_and(|here| here.has(typed)) {
        return Some(typed.to_path_buf());
    }
    places
        .iter()
        .map(|place| (place, place.directory.join(format!("{name}.{end}"))))
        .find_map(|(place, path)| place.has(&path).then_some(path))
}

fn unknown(typed: &Path) -> Failure {
    let name = typed.to_string_lossy();
    let directories: Vec<String> =
        places().iter().map(|place| show::log_line(&place.directory.to_string_lossy())).collect();
    let there = scripts();
    let names: Vec<&str> = there.iter().map(|(name, _)| name.as_str()).collect();
    let meant = nearest(&name, &names)
        .map_or(String::new(), |near| format!("; did you mean {}?", show::log_line(near)));
    Failure::ours(format!("no script {}{meant}", show::quote(&name))).hint(format!(
        "it is looked for in {}, where nobody else may have put it\n\
         a word with a / is a path; `nshost scripts` lists what has a name",
        directories.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_as_it_is() {
        for path in ["./a", "/no/such/file", "a/b", "a.wasm", "g.toml"] {
            assert_eq!(script(Path::new(path)).unwrap(), Path::new(path));
        }
        let failure = script(Path::new("no-such-script")).err().unwrap();
        assert!(failure.message.contains("no-such-script") && failure.hint.contains("it is looked for in ."));
        assert_eq!(grants(Path::new("no-such-file")), None);
    }
}
