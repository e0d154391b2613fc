//! What `run` and `plan` have in common: a script, its arguments, a command, and grants.

use std::{
    fs::OpenOptions,
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use nshost_plan::{Argument, Command, show};
use nshost_policy::Grants;

use crate::{evaluate::Manner, failure::Failure, module::Module, request::Request};

/// The largest grants file, in bytes.
const MAX_GRANTS: u64 = 1 << 20;

/// A script and what it is asked to decide.
#[derive(clap::Args, Debug, Default, PartialEq)]
pub struct Script {
    /// Grant what FILE says; without this, only what stays inside the new container
    #[arg(long, value_name = "FILE", conflicts_with = "allow_all")]
    pub(super) grants: Option<PathBuf>,
    /// Grant everything: for developing a script of one's own
    #[arg(long)]
    pub(super) allow_all: bool,
    /// Ask the script anew, whatever it answered before
    #[arg(long)]
    pub(super) fresh: bool,
    /// Evaluate the script even if its process cannot be locked down: an escape from the sandbox is
    /// then an escape to this user's rights
    #[arg(long, hide_short_help = true)]
    i_accept_an_unlocked_script: bool,
    /// The setup script, a WebAssembly component
    #[arg(value_name = "SCRIPT")]
    pub(super) script: PathBuf,
    /// The script's own arguments
    #[arg(value_name = "ARG")]
    pub(super) arguments: Vec<String>,
    /// The command to run in the container, after --
    #[arg(value_name = "COMMAND", last = true)]
    pub(super) command: Vec<String>,
}

impl Script {
    /// Whether the operator said anything about grants.
    pub fn has_grants(&self) -> bool {
        self.allow_all || self.grants.is_some()
    }

    /// Opens the files and checks the texts.
    pub fn check(self) -> Result<Request, Failure> {
        let grants = match &self.grants {
            Some(file) => read_grants(file, &self.script)?,
            None if self.allow_all => Grants::open(),
            None => Grants::none(),
        };
        let text = |what: &'static str| move |e: nshost_plan::Error| Failure::ours(format!("{what} {e}"));
        let arguments = self
            .arguments
            .into_iter()
            .map(Argument::try_from)
            .collect::<Result<_, _>>()
            .map_err(text("argument"))?;
        let command = match self.command.is_empty() {
            true => Vec::new(),
            false => Command::parse(self.command).map_err(text("command"))?.arguments().to_vec(),
        };
        let manner = Manner { afresh: self.fresh, accept_unlocked: self.i_accept_an_unlocked_script };
        Ok(Request {
            module: Module::open(&self.script)?,
            grants,
            arguments,
            command,
            manner,
            name: None,
            audit: None,
            reaper: false,
        })
    }
}

/// Grants that cannot be read; those who have none yet are told how to come by them.
fn unread(path: &Path, script: &Path, error: &io::Error) -> Failure {
    let failure = Failure::file("grants file", path, error);
    if error.kind() != io::ErrorKind::NotFound {
        return failure;
    }
    let [script, path] = [script, path].map(|path| show::log_line(&path.to_string_lossy()));
    failure.hint(format!(
        "the least that the script needs: nshost plan --suggest-grants {script} > {path}\n\
         without --grants, nshost run asks at a terminal; --allow-all grants everything"
    ))
}

/// The grants in a file, for a script that is named where the file is not there.
pub(super) fn read_grants(path: &Path, script: &Path) -> Result<Grants, Failure> {
    let mut text = String::new();
    OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY)
        .open(path)
        .and_then(|file| file.take(MAX_GRANTS + 1).read_to_string(&mut text))
        .map_err(|error| unread(path, script, &error))?;
    if text.len() as u64 > MAX_GRANTS {
        let path = show::quote(&path.to_string_lossy());
        return Err(Failure::ours(format!("{path} is larger than 1 MiB, too large for grants")));
    }
    // From here on the path is only told, in messages and audits: it may hold anything.
    let told = show::log_line(&path.to_string_lossy());
    Grants::parse(&text, &told).map_err(|error| Failure::ours(error.to_string()))
}
