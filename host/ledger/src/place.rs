//! Where the ledger lies.

use std::{
    env,
    ffi::OsString,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use nix::{errno::Errno, unistd::geteuid};

use crate::{Directory, Error, store::Store};

impl Directory {
    /// Opens the state directory, and makes it if only its last component is missing: `$NSHOST_STATE_DIR`; for root
    /// `/run/nshost`; else `$XDG_RUNTIME_DIR/nshost`, or `/tmp/nshost-UID` where there is no such directory. `/run` and
    /// the second vanish with the boot, as does what is told there; an entry of another boot is litter wherever it lies.
    ///
    /// In a user namespace, that of a container say, the usual one may be somebody else's, who is nobody there: then
    /// it is one in `/tmp` that all who launch in that namespace find.
    ///
    /// To be called before the process enters a user namespace: from in there owners cannot be told.
    pub fn usual() -> Result<Directory, Error> {
        let made = usual(true)?;
        made.ok_or_else(|| Error::io("open", default(), Errno::ENOENT))
    }

    /// The same, if it is there: nothing is made.
    pub fn usual_if_there() -> Result<Option<Directory>, Error> {
        usual(false)
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// Where the state directory is made if there is none and nobody is in the way.
pub fn default() -> PathBuf {
    choose(geteuid().as_raw(), env::var_os(VARIABLE), env::var_os("XDG_RUNTIME_DIR"))
}

const VARIABLE: &str = "NSHOST_STATE_DIR";

fn usual(make: bool) -> Result<Option<Directory>, Error> {
    let open = |path: &Path| Store::open(path, make).map(|store| store.map(Directory));
    let told = env::var_os(VARIABLE).is_some_and(|told| !told.is_empty());
    let first = open(&default());
    let tried = match &first {
        Ok(None) => !told,
        Ok(Some(_)) => false,
        Err(error) => !told && error.is_somebody_elses(),
    };
    for path in tried.then(own_places).into_iter().flatten() {
        match open(&path) {
            Ok(None) => {}
            Err(error) if error.is_somebody_elses() => {}
            opened => return opened,
        }
    }
    first
}

/// Where it is in a user namespace that is not the first one; nowhere in that. The name is of the namespace: its ids
/// as the one around it has them, and its inode. Since inodes come again, one may have been left there by somebody
/// else: then it is the next.
fn own_places() -> Vec<PathBuf> {
    const FIRST: &str = "0 0 4294967295";
    const PLACES: u32 = 16;
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let words: Vec<&str> = map.lines().next().unwrap_or_default().split_whitespace().collect();
    let [_, outside, _] = words[..] else { return Vec::new() };
    let Ok(namespace) = fs::metadata("/proc/self/ns/user") else { return Vec::new() };
    if words.join(" ") == FIRST {
        return Vec::new();
    }
    let (uid, inode) = (geteuid(), namespace.ino());
    (0..PLACES).map(|number| format!("/tmp/nshost-{uid}-{outside}-{inode}-{number}").into()).collect()
}

fn choose(uid: u32, state: Option<OsString>, runtime: Option<OsString>) -> PathBuf {
    if let Some(state) = state.filter(|state| !state.is_empty()) {
        return state.into();
    }
    if uid == 0 {
        // Never $XDG_RUNTIME_DIR: with `sudo -E` it is the directory of somebody else.
        return "/run/nshost".into();
    }
    match runtime.filter(|runtime| Path::new(runtime).is_absolute()) {
        Some(runtime) => Path::new(&runtime).join("nshost"),
        None => format!("/tmp/nshost-{uid}").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_fits() {
        let some = |text: &str| Some(OsString::from(text));
        assert_eq!(choose(0, some("/x"), some("/run/user/5")), Path::new("/x"));
        assert_eq!(choose(0, None, some("/run/user/5")), Path::new("/run/nshost"));
        assert_eq!(choose(0, some(""), None), Path::new("/run/nshost"));
        assert_eq!(choose(5, None, some("/run/user/5")), Path::new("/run/user/5/nshost"));
        assert_eq!(choose(5, None, some("run/user/5")), Path::new("/tmp/nshost-5"));
        assert_eq!(choose(5, None, None), Path::new("/tmp/nshost-5"));
    }
}
