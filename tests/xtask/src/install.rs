//! `cargo xtask install`: what nshost needs, under a prefix.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::{build, run};

#[derive(Args)]
pub struct Options {
    /// Where to: DIR/bin, DIR/libexec/nshost, and below DIR/share scripts, manual pages and completions
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
    let nshost = options.prefix.join("bin/nshost");
    let pages = options.prefix.join("share/man/man1");
    fs::create_dir_all(&pages).context("cannot make the manual's directory")?;
    run::run(Command::new(&nshost).args(["man", "--into"]).arg(&pages))?;
    for (shell, place) in [
        ("bash", "bash-completion/completions/nshost"),
        ("zsh", "zsh/site-functions/_nshost"),
        ("fish", "fish/vendor_completions.d/nshost.fish"),
    ] {
        let text =
            Command::new(&nshost).args(["completions", shell]).output().context("cannot run nshost")?;
        ensure!(
            text.status.success(),
            "nshost completions {shell}: {}",
            String::from_utf8_lossy(&text.stderr)
        );
        let place = options.prefix.join("share").join(place);
        fs::create_dir_all(place.parent().unwrap_or(&place))
            .context("cannot make a directory of completions")?;
        fs::write(&place, text.stdout).with_context(|| format!("cannot write {}", place.display()))?;
    }
    eprintln!("installed: {}", options.prefix.join("bin/nshost").display());
    Ok(())
}
