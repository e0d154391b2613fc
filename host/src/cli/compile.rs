//! `nshost compile`

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use nshost_plan::show;
use nshost_policy::Grants;

use crate::{
    answered,
    cache::Cache,
    cli::grants,
    decide,
    evaluate::{self, Manner, Prepared},
    failure::Failure,
    module::Module,
    named, paths, print,
};

/// Arguments of `nshost compile`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  nshost compile ./interpreter.wasm")]
pub struct Arguments {
    /// Compile within the [limits] of FILE
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    grants: Option<PathBuf>,
    /// Compile anew, whatever is there already
    #[arg(long)]
    fresh: bool,
    /// Compile even if the process that does it cannot be locked down
    #[arg(long, hide_short_help = true)]
    i_accept_an_unlocked_script: bool,
    /// The setup scripts, by their paths or names; they are not run
    #[arg(value_name = "SCRIPT", required = true, value_hint = clap::ValueHint::FilePath)]
    scripts: Vec<PathBuf>,
}

/// Compiles each script into this user's cache, for a launch that has not to wait then. One that cannot be
/// compiled keeps no other from it.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let cache = Cache::open();
    let Some(directory) = cache.directory() else {
        let path = show::quote(&paths::cache().to_string_lossy());
        return Err(Failure::ours(format!("nothing can be kept in {path}")).hint(
            "it has to be a directory of yours that nobody else can write; NSHOST_CACHE_DIR names another",
        ));
    };
    let manner = Manner { afresh: arguments.fresh, accept_unlocked: arguments.i_accept_an_unlocked_script };
    let failures = arguments.scripts.iter().filter_map(|script| {
        let grants = arguments.grants.as_deref();
        let compiled = compile(&cache, directory, script, grants, manner);
        compiled.and_then(|told| print::result(&told)).err()
    });
    Failure::all(failures.collect::<Vec<_>>())?;
    Ok(0)
}

/// What was done, in a line.
fn compile(
    cache: &Cache,
    directory: &Path,
    script: &Path,
    grants: Option<&Path>,
    manner: Manner,
) -> Result<String, Failure> {
    let grants = grants.map_or(Ok(Grants::none()), |file| grants::read(file, script))?;
    let module = Module::open(&named::script(script)?)?;
    decide::bound_to(&grants, &module)?;
    let (name, begun) = (module.name(), Instant::now());
    let prepared = evaluate::prepare(cache, &module, &grants.limits(), manner)?.map_err(|reason| {
        let failure = answered::of_script(reason, &name, &|_| None);
        Failure { message: format!("{name}: {}", failure.message), ..failure }
    })?;
    // The cache says nothing when it could not write: whoever launches does without.
    let place = show::quote(&directory.to_string_lossy());
    if cache.artifact(&module).is_none() {
        return Err(Failure::ours(format!("{name} was compiled, but could not be kept in {place}"))
            .hint("is there room for it?"));
    }
    Ok(match prepared {
        Prepared::Now => {
            format!("{name}: compiled in {:.1} s, into {place}\n", begun.elapsed().as_secs_f32())
        }
        Prepared::Before => format!("{name}: compiled before, in {place}\n"),
    })
}
