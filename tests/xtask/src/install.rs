//! `cargo xtask install`: what nshost needs, under a prefix.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::build;

#[derive(Args)]
pub struct Options {
    /// Where to: DIR/bin, DIR/libexec/nshost and DIR/share/nshost
    #[arg(long, value_name = "DIR", default_value = "/usr/local")]
    prefix: PathBuf,
}

/// Builds and copies.
pub fn install(options: &Options) -> Result<()> {
    build::build(&build::Options::default())?;
    let built = support::programs();
    build::copy(&built.join("nshost"), &options.prefix.join("bin/nshost"))?;
    for helper in ["nshost-worker", "nshost-compiler"] {
        build::copy(&built.join(helper), &options.prefix.join("libexec/nshost").join(helper))?;
    }
    let share = options.prefix.join("share/nshost/scripts");
    for name in build::crates("scripts")? {
        build::copy(&support::component(&name)?, &share.join(&name).with_extension("wasm"))?;
        let grants = support::scripts().join(&name).join("grants.toml");
        build::copy(&grants, &share.join(&name).with_extension("grants.toml"))?;
    }
    eprintln!("installed: {}", options.prefix.join("bin/nshost").display());
    Ok(())
}
