//! Tests that need root.

use nix::unistd::geteuid;

/// Whether this is root.
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// Whether this is root. If not, says that the test was skipped; where `NSHOST_CI` is set nothing may
/// be skipped, so the test fails.
pub fn root_or_skip() -> bool {
    if is_root() {
        return true;
    }
    assert!(std::env::var_os("NSHOST_CI").is_none(), "this test needs root, and here no test may be skipped");
    eprintln!("skipped: needs root");
    false
}
