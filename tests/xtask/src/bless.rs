//! `cargo xtask bless`: rewrites the golden files.

use std::fs;

use anyhow::{Context, Result};
use support::Host;

use crate::{build, run, tools};

/// Each script's plan, as it is on a host that is always the same.
pub fn bless() -> Result<()> {
    tools::programs()?;
    build::build(&build::Options::default())?;
    for name in build::crates("scripts")? {
        let host = Host::new()?;
        let _internet = host.internet()?;
        let directory = support::scripts().join(&name);
        let plan = host.nshost()?.args(["plan", "-w", "/", "--grants"]).arg(directory.join("grants.toml"));
        let output = plan.arg(support::component(&name)?).run()?;
        let golden = directory.join("plan.golden");
        fs::write(&golden, output.expect(0)?)
            .with_context(|| format!("cannot write {}", golden.display()))?;
        let picture =
            host.nshost()?.args(["plan", "--format", "svg"]).arg(support::component(&name)?).run()?;
        let drawing = directory.join("plan.svg");
        fs::write(&drawing, picture.expect(0)?)
            .with_context(|| format!("cannot write {}", drawing.display()))?;
        eprintln!("blessed: {} and {}", golden.display(), drawing.display());
    }
    messages()
}

/// What is said to whoever makes a mistake: the test that looks at it writes it.
fn messages() -> Result<()> {
    build::for_tests()?;
    run::run(run::cargo(["test", "--package", "blackbox", "--test", "golden"]).env("NSHOST_BLESS", "1"))?;
    eprintln!("blessed: {}", support::root().join("tests/blackbox/golden/messages.txt").display());
    Ok(())
}
