//! Where the ledger lies.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use nix::unistd::geteuid;

/// The state directory unless an option names another: `$NSHOST_STATE_DIR`; for root `/run/nshost`;
/// else `$XDG_RUNTIME_DIR/nshost`, or `/tmp/nshost-UID` where there is no such directory. `/run` and the
/// second vanish with the boot, as does what is told there; an entry of another boot is litter wherever it lies.
pub fn default_directory() -> PathBuf {
    choose(geteuid().as_raw(), env::var_os("NSHOST_STATE_DIR"), env::var_os("XDG_RUNTIME_DIR"))
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
