//! Hands that are used to other tools: what they type is answered by what nshost has in its place.

use std::ffi::OsString;

use nshost_plan::show;

use crate::failure::Failure;

/// Verbs of other tools.
const VERBS: [(&[&str], &str); 10] = [
    (
        &["ps", "ls", "list", "top"],
        "each container is a child of the nshost that launched it: `pgrep -a nshost` lists those; `nshost gc` counts them",
    ),
    (
        &["exec", "attach", "enter"],
        "`nsenter -a -t PID COMMAND` joins a container; its PID is the child of its nshost (`pgrep -P PID-OF-NSHOST`)",
    ),
    (
        &["logs"],
        "what the command prints is nshost's own output: nothing of it is kept; nshost run … > FILE keeps it",
    ),
    (
        &["stop", "kill"],
        "end the nshost that launched it: `kill PID`; it passes the signal on and undoes what it did",
    ),
    (&["rm", "prune"], "nothing stays after a run; `nshost gc` removes what a killed nshost left"),
    (&["start", "restart", "create"], "a container lives as long as its command: `nshost run` it again"),
    (&["pause", "unpause"], "`kill -STOP` and `kill -CONT` what runs in the container"),
    (&["images", "pull", "push", "build", "image"], "there are no images: a container sees the host's files"),
    (&["compose", "up", "down"], "a setup script makes one container; start several with a shell"),
    (&["version", "info"], "`nshost --version`; `nshost doctor` tells what this host can do"),
];

/// Options of other tools, before the script.
const OPTIONS: [(&[&str], &str); 13] = [
    (&["--rm"], "nothing stays after a run, so there is no --rm; the container's command goes after --"),
    (
        &["-it", "-ti", "-i", "-t", "--interactive", "--tty"],
        "a command has a terminal where nshost has one, so there is no -it; the container's command goes after --",
    ),
    (
        &["-v", "--volume", "--mount", "-B", "--bind"],
        "a container sees the host's files, so there is nothing to mount",
    ),
    (
        &["-p", "--publish"],
        "ports are the script's to forward, as a grant allows: `nshost run --grants nat nat 8080` leads port 8080 in",
    ),
    (
        &["-d", "--detach"],
        "nshost runs in the foreground; a shell's & or a service manager puts it elsewhere",
    ),
    (
        &["-u", "--user"],
        "the command runs as root of the container; `-- setpriv --reuid=UID …` makes it another",
    ),
    (&["--hostname"], "the hostname is the script's to set"),
    (
        &["--net", "--network", "--dns", "--ip", "--link", "--add-host"],
        "the network is the script's to set up, as its grants allow; `nshost scripts` lists scripts",
    ),
    (
        &["--privileged", "--cap-add", "--cap-drop", "--security-opt", "--userns", "--pid", "--ipc", "--uts"],
        "what the container has of its own is the script's to say, and what it may reach the grants' (--grants FILE)",
    ),
    (&["--entrypoint"], "what is typed after -- is the command, whatever the script has for one"),
    (
        &["-m", "--memory", "--cpus", "--ulimit", "--pids-limit"],
        "there are no limits of its own yet: `prlimit` or a service manager's before nshost hold inside too",
    ),
    (&["--restart"], "a service manager starts it again"),
    (
        &["--env-file"],
        "-e NAME=VALUE sets one; `env $(cat FILE) nshost run -e NAME …` passes on what nshost has",
    ),
];

/// What to say if `words`, the whole command line without the program's name, are another tool's; and of a
/// command where no script was named.
pub(super) fn of_another_tool(words: &[OsString]) -> Option<Failure> {
    let mut words = words.iter().map(|word| word.to_string_lossy());
    let verb = words.next()?;
    if let Some(answer) = answer(&VERBS, &verb) {
        return Some(Failure::ours(format!("there is no `nshost {verb}`")).hint(answer));
    }
    if !["run", "plan"].contains(&&*verb) {
        return None;
    }
    while let Some(word) = words.next() {
        match &*word {
            "--" => {
                let hint = format!("nshost {verb} SCRIPT -- COMMAND; `nshost scripts` lists scripts");
                return Some(Failure::ours("no SCRIPT is named before the --").hint(hint));
            }
            "--grants" | "--audit" | "--name" | "-e" | "--env" | "-w" | "--workdir" => drop(words.next()),
            option if option.starts_with('-') => {
                let name = option.split('=').next().unwrap_or(option);
                if let Some(answer) = answer(&OPTIONS, name) {
                    let option = show::log_line(option);
                    return Some(Failure::ours(format!("there is no {option}")).hint(answer));
                }
            }
            _ => return None,
        }
    }
    None
}

fn answer(table: &[(&[&str], &'static str)], word: &str) -> Option<&'static str> {
    table.iter().find(|(names, _)| names.contains(&word)).map(|(_, answer)| *answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn told(line: &str) -> Option<String> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        of_another_tool(&words).map(|failure| failure.message)
    }

    #[test]
    fn only_what_stands_before_the_script_is_looked_at() {
        assert_eq!(told("run --rm nat"), Some("there is no --rm".into()));
        assert_eq!(told("run --grants --rm nat"), None);
        assert_eq!(told("run nat --rm -it -- ps"), None);
        assert_eq!(told("run --name web -v=/a:/b nat"), Some("there is no -v=/a:/b".into()));
        assert_eq!(told("ps"), Some("there is no `nshost ps`".into()));
        assert_eq!(told("run -- bash"), Some("no SCRIPT is named before the --".into()));
        assert_eq!(told("gc ps"), None);
    }

    /// What nshost has itself is not in the tables.
    #[test]
    fn nothing_of_ours_is_another_tools() {
        for (names, _) in VERBS {
            for name in names {
                assert!(crate::cli::Arguments::try_parse_from(["nshost", name, "x"]).is_err(), "{name}");
            }
        }
        for (names, _) in OPTIONS {
            for name in names {
                let parsed = crate::cli::Arguments::try_parse_from(["nshost", "run", name, "x", "x"]);
                assert!(parsed.is_err(), "{name}");
            }
        }
    }
}
