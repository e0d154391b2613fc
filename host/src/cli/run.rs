//! `nshost run`

use std::{ffi::OsString, mem, path::PathBuf};

use nshost_ledger::ContainerName;

use crate::{
    cli::shared::{Script, misplaced, of_script},
    launch::{self, Ended},
    request::Request,
};

/// Arguments of `nshost run`.
#[derive(clap::Args, Debug, Default, PartialEq)]
#[command(override_usage = "nshost run [OPTIONS] SCRIPT [ARG]... [-- COMMAND]...", after_help = EXAMPLES)]
pub struct Arguments {
    /// Record every check and outcome in FILE, one JSON line each
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    audit: Option<PathBuf>,
    /// Call the container NAME; no two that run have the same
    #[arg(long, value_name = "NAME")]
    name: Option<ContainerName>,
    /// Run a small first process that reaps orphans and passes signals on
    #[arg(long)]
    init: bool,
    #[command(flatten)]
    script: Script,
}

const EXAMPLES: &str = "\
Examples:
  nshost run --grants nat nat -- curl https://example.org
  nshost run ./mine.wasm 8080 --verbose -- make test";

impl Arguments {
    /// The usual form of `nshost run`, which is what an operator waits for: options, the script, and whatever
    /// follows. All else, and all that is wrong, is clap's to read and to explain:
    /// building its description of the command line takes as long as all facts about the host.
    pub(super) fn plain(words: impl IntoIterator<Item = OsString>) -> Option<Arguments> {
        let mut words = words.into_iter();
        let mut found = Arguments::default();
        loop {
            let word = words.next()?;
            match word.to_str()? {
                "--allow-all" => once(&mut found.script.allow_all)?,
                "--fresh" => once(&mut found.script.fresh)?,
                "--init" => once(&mut found.init)?,
                "--grants" => first(&mut found.script.grants, value(&mut words)?.into())?,
                "--audit" => first(&mut found.audit, value(&mut words)?.into())?,
                "--name" => first(&mut found.name, value(&mut words)?.to_str()?.parse().ok()?)?,
                "-e" => found.script.variables.push(value(&mut words)?.into_string().ok()?),
                "-w" => first(&mut found.script.directory, value(&mut words)?.into())?,
                script => {
                    found.script.words.push(ordinary(script)?.into());
                    break;
                }
            }
        }
        found.script.words.extend(words);
        let contradictory = found.script.allow_all && found.script.grants.is_some();
        (!contradictory).then_some(found)
    }
}

fn once(flag: &mut bool) -> Option<()> {
    (!mem::replace(flag, true)).then_some(())
}

fn first<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

fn value(words: &mut impl Iterator<Item = OsString>) -> Option<OsString> {
    words.next().filter(|word| word.to_str().and_then(ordinary).is_some())
}

/// A word that can be nothing but itself.
fn ordinary(word: &str) -> Option<&str> {
    (!word.is_empty() && !word.starts_with('-')).then_some(word)
}

/// Launches and waits.
pub fn run(arguments: Arguments) -> Ended {
    let Arguments { audit, name, init, script } = arguments;
    match script.check() {
        Ok(request) => {
            let misplaced = misplaced(&request);
            let ended = launch::launch(&Request { name, audit, reaper: init, ..request });
            Ended { outcome: ended.outcome.map_err(|failure| of_script(failure, misplaced)), ..ended }
        }
        Err(failure) => Err(failure).into(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Arguments as Line, Verb};

    fn by_clap(words: &[&str]) -> Option<Arguments> {
        match Line::try_parse_from([&["nshost", "run"], words].concat()).ok()?.verb {
            Verb::Run(arguments) => Some(arguments),
            _ => None,
        }
    }

    fn plain(words: &[&str]) -> Option<Arguments> {
        Arguments::plain(words.iter().map(OsString::from))
    }

    /// Every line of up to five of these words: what is read without clap, clap reads the same.
    #[test]
    fn the_plain_form_means_what_clap_says() {
        const WORDS: [&str; 11] =
            ["--allow-all", "--init", "--grants", "--name", "-e", "-w", "--", "-x", "", "a", "--grants=g"];
        let (mut read, mut line) = (0, Vec::new());
        for number in 0..WORDS.len().pow(5) {
            line.clear();
            let mut rest = number;
            while rest > 0 {
                line.push(WORDS[rest % WORDS.len()]);
                rest /= WORDS.len();
            }
            if let Some(found) = plain(&line) {
                assert_eq!(Some(found), by_clap(&line), "{line:?}");
                read += 1;
            }
        }
        assert!(read > 1000, "only {read} lines were read");
    }

    #[test]
    fn the_usual_lines_are_plain() {
        for line in [
            &["--grants", "g.toml", "tutorial.wasm"][..],
            &["--allow-all", "--fresh", "tutorial.wasm", "8080", "dns=::1", "--", "sh", "-c", "true"],
            &["-e", "A=b", "-e", "C", "-w", "/srv", "nat", "--port", "80", "--help", "--", "sh", "--", "-c"],
            &["--name", "web", "--init", "--audit", "a.json", "--grants", "g", "nat.wasm", "--"],
        ] {
            assert!(plain(line).is_some(), "{line:?}");
            assert_eq!(plain(line), by_clap(line));
        }
    }

    #[test]
    fn what_is_wrong_is_left_to_clap() {
        for line in [
            &[][..],
            &["--grants"],
            &["--grants", "g", "--allow-all", "s"],
            &["--name", "a/b", "s"],
            &["--init", "--init", "s"],
            &["-ea=b", "s"],
            &["--help"],
            &["--", "s"],
        ] {
            assert_eq!(plain(line), None, "{line:?}");
        }
    }
}
