//! What `run` and `plan` have in common: a script, its arguments, a command, and grants.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::ValueHint;
use nshost_plan::{AbsolutePath, Argument, Command, Variable, show};
use nshost_policy::Grants;

use crate::{
    cli::grants,
    evaluate::Manner,
    failure::{Failure, Status},
    module::Module,
    named,
    request::Request,
};

/// A script and what it is asked to decide.
#[derive(clap::Args, Debug, Default, PartialEq)]
pub struct Script {
    /// Grant what FILE says, or the grants file of that name, or standard input (-); without this, only what
    /// stays inside the new container
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "allow_all")]
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
    /// Set NAME for the command, or pass on what nshost has of that name; it needs no grant
    #[arg(short = 'e', long = "env", value_name = "NAME[=VALUE]")]
    pub(super) variables: Vec<String>,
    /// Start the command in DIR; without this where you stand, if the container has that
    #[arg(short = 'w', long = "workdir", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) directory: Option<PathBuf>,
    /// The setup script, by its path or its name (`nshost scripts`); what follows are the script's own
    /// arguments, dashes included; after -- the command to run in the container
    #[arg(
        value_name = "SCRIPT",
        required = true,
        num_args = 1..,
        trailing_var_arg = true,
        value_hint = ValueHint::FilePath
    )]
    pub(super) words: Vec<OsString>,
}

/// What is typed behind the options.
struct Words {
    script: PathBuf,
    arguments: Vec<Argument>,
    command: Vec<Argument>,
}

impl Script {
    /// Whether the operator said anything about grants.
    pub fn has_grants(&self) -> bool {
        self.allow_all || self.grants.is_some()
    }

    /// Finds and opens the files, and checks the texts.
    pub fn check(self) -> Result<Request, Failure> {
        let Words { script, arguments, command } = split(self.words)?;
        let grants = match &self.grants {
            Some(file) => grants::read(file, &script)?,
            None if self.allow_all => Grants::open(),
            None => Grants::none(),
        };
        let manner = Manner { afresh: self.fresh, accept_unlocked: self.i_accept_an_unlocked_script };
        Ok(Request {
            module: Module::open(&script)?,
            grants,
            arguments,
            command,
            variables: self.variables.into_iter().map(variable).collect::<Result<_, _>>()?,
            directory: self.directory.map(|path| directory(&path)).transpose()?,
            manner,
            name: None,
            audit: None,
            reaper: false,
        })
    }
}

/// What to say besides where a script failed that was given words of ours.
pub(super) fn misplaced(request: &Request) -> Option<String> {
    const OURS: [&str; 10] = [
        "--grants",
        "--allow-all",
        "--fresh",
        "--audit",
        "--name",
        "--init",
        "-e",
        "--env",
        "-w",
        "--workdir",
    ];
    let words = request.arguments.iter().map(Argument::as_str);
    let ours =
        words.filter_map(|word| OURS.iter().find(|option| word.split('=').next() == Some(option))).next()?;
    Some(format!(
        "{ours} was given to the script: what follows that is the script's; options of nshost stand before it"
    ))
}

/// The same failure, with that.
pub(super) fn of_script(failure: Failure, misplaced: Option<String>) -> Failure {
    let by_script = !matches!(failure.status, Status::CannotRun | Status::NotFound);
    match misplaced.filter(|_| by_script) {
        Some(hint) => failure.also(&hint),
        None => failure,
    }
}

/// Everything after the script is the script's, until `--`; what follows that is the command.
fn split(words: Vec<OsString>) -> Result<Words, Failure> {
    let mut words = words.into_iter();
    let script = named::script(Path::new(&words.next().unwrap_or_default()))?;
    let mut texts = words.map(|word| {
        word.into_string().map_err(|word| {
            Failure::ours(format!("{} is not UTF-8", show::quote(&word.to_string_lossy())))
                .hint("a plan is text: so are a script's arguments and a command")
        })
    });
    let (mut arguments, mut command) = (Vec::new(), None);
    for text in texts.by_ref() {
        let text = text?;
        match &mut command {
            None if text == "--" => command = Some(Vec::new()),
            None => arguments.push(Argument::try_from(text).map_err(wrong("argument"))?),
            Some(command) => command.push(text),
        }
    }
    let command = match command.filter(|command| !command.is_empty()) {
        Some(command) => Command::parse(command).map_err(wrong("command"))?.into(),
        None => Vec::new(),
    };
    Ok(Words { script, arguments, command })
}

fn wrong(what: &'static str) -> impl Fn(nshost_plan::Error) -> Failure {
    move |error| Failure::ours(format!("{what} {error}"))
}

/// `NAME=VALUE`, or `NAME` for what this process has of it.
fn variable(text: String) -> Result<Variable, Failure> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name.to_string(), value.to_string()),
        None => {
            let value = std::env::var_os(&text).map(OsString::into_string);
            let reason = match value {
                Some(Ok(value)) => return Variable::new(text, value).map_err(wrong("-e")),
                Some(Err(_)) => "its value is not UTF-8",
                None => "it is not set here",
            };
            let message = format!("-e {}: {reason}", show::log_line(&text));
            return Err(Failure::ours(message).hint("-e NAME=VALUE sets it, -e NAME= to nothing"));
        }
    };
    Variable::new(name, value).map_err(wrong("-e"))
}

/// Links are followed here, where the operator sees them; in the container the directory itself is entered.
fn directory(path: &Path) -> Result<AbsolutePath, Failure> {
    let path =
        path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_path_buf());
    let not_text = |path: OsString| {
        Failure::ours(format!("-w {}: the path is not UTF-8", show::quote(&path.to_string_lossy())))
    };
    let text = path.into_os_string().into_string().map_err(not_text)?;
    AbsolutePath::try_from(text).map_err(wrong("-w"))
}
