//! The programs where `cargo xtask install` puts them: the launcher finds its helpers there too.

use anyhow::Result;
use blackbox::Scratch;
use support::{Host, component, programs, root_or_skip};

#[test]
fn helpers_are_found_in_libexec() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let scratch = Scratch::new()?;
    let (from, to) = (programs(), scratch.path());
    host.shell(&format!(
        "cd {}; mkdir -p bin libexec/nshost; cp {}/nshost bin; cp {}/nshost-* libexec/nshost",
        to.display(),
        from.display(),
        from.display()
    ))?;
    let mut run = host.command(to.join("bin/nshost"));
    run.args(["run", "--allow-all"]).arg(component("tutorial")?).args(["--", "hostname"]);
    run.env("NSHOST_CACHE_DIR", to.join("cache"));
    assert_eq!(support::run(run, blackbox::SOON)?.expect(0)?, "In Namespace\n");
    Ok(())
}

#[test]
fn without_helpers_the_launcher_says_what_is_missing() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let scratch = Scratch::new()?;
    host.shell(&format!("cp {} {}", programs().join("nshost").display(), scratch.path().display()))?;
    let mut run = host.command(scratch.path().join("nshost"));
    run.args(["run", "--allow-all"]).arg(component("tutorial")?).args(["--", "true"]);
    run.env("NSHOST_CACHE_DIR", scratch.path().join("cache"));
    let output = support::run(run, blackbox::SOON)?;
    assert_eq!(output.code(), 125, "{}", output.text());
    assert!(
        output.stderr.contains("nshost-compiler") || output.stderr.contains("nshost-worker"),
        "{}",
        output.text()
    );
    Ok(())
}
