//! The launcher, run in a host.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::Result;

use crate::{Host, Output, Running, place, process};

/// A call of `nshost` in a host, put together word by word.
pub struct Nshost<'a> {
    host: &'a Host,
    program: PathBuf,
    words: Vec<OsString>,
    variables: Vec<(String, OsString)>,
    limit: Duration,
}

impl<'a> Nshost<'a> {
    pub(crate) fn new(host: &'a Host) -> Result<Nshost<'a>> {
        // One cache for all tests: each script is compiled once. The state lies in the host's own /run.
        let cache = place::target().join("tests-cache").into_os_string();
        let variables = vec![("NSHOST_CACHE_DIR".to_string(), cache)];
        let limit = Duration::from_secs(30);
        Ok(Nshost { host, program: place::launcher()?, words: Vec::new(), variables, limit })
    }

    /// Adds one word.
    pub fn arg(mut self, word: impl AsRef<OsStr>) -> Self {
        self.words.push(word.as_ref().to_owned());
        self
    }

    /// Adds words.
    pub fn args<I: IntoIterator<Item: AsRef<OsStr>>>(mut self, words: I) -> Self {
        self.words.extend(words.into_iter().map(|word| word.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    pub fn variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.variables.push((name.to_string(), value.as_ref().to_owned()));
        self
    }

    /// How long it may take; without this 30 seconds.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// `run SCRIPT` with the script's own grants.
    pub fn run_script(self, name: &str) -> Result<Self> {
        let grants = place::scripts().join(name).join("grants.toml");
        Ok(self.arg("run").arg("--grants").arg(grants).arg(place::component(name)?))
    }

    /// Runs it to its end without standard input.
    pub fn run(self) -> Result<Output> {
        let limit = self.limit;
        process::run(self.command(), limit)
    }

    /// Starts it; its standard input is ours.
    pub fn start(self) -> Result<Running> {
        let mut command = self.command();
        command.stdin(Stdio::piped());
        Running::start(command)
    }

    /// The command, to be started in another way.
    pub fn command(self) -> Command {
        let mut command = self.host.command(&self.program);
        command.args(&self.words).envs(self.variables);
        command
    }

    /// The command as `wrapper`'s last words: `strace … nshost …`.
    pub fn under(self, wrapper: &[&str]) -> Command {
        let mut command = self.host.command(wrapper.first().unwrap_or(&"env"));
        command.args(wrapper.iter().skip(1)).arg(&self.program).args(&self.words).envs(self.variables);
        command
    }

    /// Uses a copy of the programs that anybody can read, in a directory of the host's own `/run`.
    pub fn readable_by_all(self) -> Result<Self> {
        let from = self.program.parent().map(PathBuf::from).unwrap_or_default();
        let copy = format!(
            "mkdir -p /run/programs; cd {}; cp nshost nshost-worker nshost-compiler /run/programs; chmod 755 /run/programs/*",
            from.display()
        );
        self.host.shell(&copy)?;
        Ok(self.readable_by_all_already())
    }

    /// Uses the copy that [`Nshost::readable_by_all`] has made before.
    pub fn readable_by_all_already(mut self) -> Self {
        self.program = PathBuf::from("/run/programs/nshost");
        self
    }
}
