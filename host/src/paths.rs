//! Where things lie.

use std::{env, path::PathBuf};

use nix::unistd::geteuid;

/// Compiled scripts and remembered plans.
pub fn cache() -> PathBuf {
    if let Some(directory) = env::var_os("NSHOST_CACHE_DIR") {
        return directory.into();
    }
    if geteuid().is_root() {
        return "/var/cache/nshost".into();
    }
    match (env::var_os("XDG_CACHE_HOME"), env::var_os("HOME")) {
        (Some(cache), _) => PathBuf::from(cache).join("nshost"),
        (None, Some(home)) => PathBuf::from(home).join(".cache/nshost"),
        (None, None) => format!("/tmp/nshost-cache-{}", geteuid()).into(),
    }
}

/// A helper program of ours: beside `nshost`, or in `../libexec/nshost`.
pub fn helper(name: &str) -> Option<PathBuf> {
    let own = std::fs::read_link("/proc/self/exe").ok()?;
    let directory = own.parent()?;
    let beside = directory.join(name);
    let installed = directory.parent()?.join("libexec/nshost").join(name);
    [beside, installed].into_iter().find(|path| path.exists())
}

/// Where scripts have names: the user's own directory, and the one that was installed beside this program.
pub fn scripts() -> (Option<PathBuf>, Option<PathBuf>) {
    let own = match (env::var_os("XDG_DATA_HOME"), env::var_os("HOME")) {
        (Some(data), _) => Some(PathBuf::from(data)),
        (None, Some(home)) => Some(PathBuf::from(home).join(".local/share")),
        (None, None) => None,
    };
    let program = std::fs::read_link("/proc/self/exe").ok();
    let installed = program.and_then(|path| Some(path.parent()?.parent()?.join("share")));
    (own.map(below), installed.map(below))
}

fn below(share: PathBuf) -> PathBuf {
    share.join("nshost/scripts")
}
