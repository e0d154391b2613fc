//! What is typed: scripts and grants by name, the script's own words, the operator's own word, and habits.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown, lchown, symlink},
};

use anyhow::Result;
use blackbox::{SOON, Scratch};
use support::{Host, Nshost, Output, Terminal, component, programs, root_or_skip, scripts, wasi_component};

/// The shipped scripts as they are installed, with `bin/nshost` beside them.
fn installed() -> Result<Scratch> {
    let scratch = Scratch::new()?;
    for directory in ["bin", "libexec/nshost", "share/nshost/scripts", "home", "here", "cache"] {
        fs::create_dir_all(scratch.path().join(directory))?;
    }
    fs::copy(programs().join("nshost"), scratch.path().join("bin/nshost"))?;
    for helper in ["nshost-worker", "nshost-compiler"] {
        fs::copy(programs().join(helper), scratch.path().join("libexec/nshost").join(helper))?;
    }
    for name in ["tutorial", "isolated"] {
        put(&scratch, "share/nshost/scripts", name, name)?;
    }
    Ok(scratch)
}

/// Puts a script and its grants into a directory, under another name perhaps.
fn put(scratch: &Scratch, directory: &str, script: &str, name: &str) -> Result<()> {
    let to = scratch.path().join(directory);
    fs::copy(component(script)?, to.join(format!("{name}.wasm")))?;
    fs::copy(scripts().join(script).join("grants.toml"), to.join(format!("{name}.grants.toml")))?;
    Ok(())
}

/// `nshost` with these words, from the directory `here`.
fn typed(host: &Host, scratch: &Scratch, words: &str) -> Result<Output> {
    let line = format!("cd {0}/here && {0}/bin/nshost {words}", scratch.path().display());
    let mut command = host.command("sh");
    command.args(["-c", &line]).env("HOME", scratch.path().join("home"));
    command.env_remove("XDG_DATA_HOME").env("NSHOST_CACHE_DIR", scratch.path().join("cache"));
    support::run(command, SOON)
}

#[test]
fn scripts_and_grants_have_names() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (host, scratch) = (Host::new()?, installed()?);
    let go = |words: &str| typed(&host, &scratch, words);
    assert_eq!(go("run --grants tutorial tutorial -- hostname")?.expect(0)?, "In Namespace\n");
    // Grants are not taken unasked: the file is named.
    let refused = go("run tutorial -- hostname")?;
    assert_eq!(refused.code(), 122, "{}", refused.text());
    let file = scratch.path().join("share/nshost/scripts/tutorial.grants.toml");
    assert!(refused.stderr.contains(&format!("--grants {}", file.display())), "{}", refused.text());
    // The user's own come before those that are installed, and what lies here before both.
    let user = "home/.local/share/nshost/scripts";
    fs::create_dir_all(scratch.path().join(user))?;
    put(&scratch, user, "isolated", "tutorial")?;
    assert_ne!(go("run --grants tutorial tutorial -- hostname")?.expect(0)?, "In Namespace\n");
    let list = go("scripts")?;
    let list = list.expect(0)?;
    for told in
        ["All eight namespaces", "The tutorial:", "tutorial.grants.toml", "the name leads to the one above"]
    {
        assert!(list.contains(told), "no {told:?}: {list}");
    }
    put(&scratch, "here", "tutorial", "tutorial")?;
    assert_eq!(go("run --grants tutorial tutorial -- hostname")?.expect(0)?, "In Namespace\n");
    // What somebody else has put here is not there for a name: a file, a link of theirs to one of root's, a
    // directory of theirs with one of root's.
    let here = scratch.path().join("here");
    let named = || anyhow::Ok(go("run --grants tutorial tutorial -- hostname")?.expect(0)?.to_string());
    chown(here.join("tutorial.wasm"), Some(54321), None)?;
    assert_eq!(named()?, "isolated\n");
    go("run --grants tutorial ./tutorial.wasm -- hostname")?.expect(0)?;
    fs::rename(here.join("tutorial.wasm"), here.join("theirs"))?;
    symlink(component("tutorial")?, here.join("tutorial.wasm"))?;
    assert_eq!(named()?, "In Namespace\n", "one's own link");
    lchown(here.join("tutorial.wasm"), Some(54321), None)?;
    assert_eq!(named()?, "isolated\n", "another's link");
    lchown(here.join("tutorial.wasm"), Some(0), None)?;
    assert_eq!(named()?, "In Namespace\n", "the control");
    chown(&here, Some(54321), None)?;
    assert_eq!(named()?, "isolated\n", "another's directory");
    chown(&here, Some(0), None)?;
    fs::set_permissions(&here, fs::Permissions::from_mode(0o777))?;
    assert_eq!(named()?, "isolated\n", "everybody's directory");
    fs::set_permissions(&here, fs::Permissions::from_mode(0o1777))?;
    assert_eq!(named()?, "In Namespace\n", "a sticky one");
    // Grants likewise, and what has the very name, without an end.
    let grants = |word: &str| anyhow::Ok(go(&format!("run --grants {word} {word} -- hostname"))?.code());
    fs::copy(component("tutorial")?, here.join("plain"))?;
    fs::copy(scripts().join("tutorial/grants.toml"), here.join("plain.grants.toml"))?;
    assert_eq!(grants("plain")?, 125, "the script is no grants file");
    assert_eq!(go("run --grants plain.grants.toml plain -- hostname")?.code(), 0);
    chown(here.join("plain"), Some(54321), None)?;
    assert_eq!(go("run --grants plain.grants.toml plain -- hostname")?.code(), 125);
    assert_eq!(go("run --grants plain ./tutorial.wasm -- hostname")?.code(), 0);
    chown(here.join("plain.grants.toml"), Some(54321), None)?;
    assert_eq!(go("run --grants plain ./tutorial.wasm -- hostname")?.code(), 125);
    // A name that leads nowhere.
    let unknown = go("run tutoril")?;
    assert_eq!(unknown.code(), 125);
    assert!(unknown.stderr.contains("did you mean tutorial?"), "{}", unknown.text());
    Ok(())
}

#[test]
fn grants_come_from_standard_input_and_from_pipes() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (host, scratch) = (Host::new()?, installed()?);
    let grants = scripts().join("tutorial/grants.toml");
    let bash = |line: &str| {
        let line = format!("cd {0} && PATH=$PWD/bin:$PATH; {line}", scratch.path().display());
        let mut command = host.command("bash");
        command.args(["-c", &line]).env("NSHOST_CACHE_DIR", scratch.path().join("cache"));
        support::run(command, SOON)
    };
    let file = grants.display();
    assert_eq!(
        bash(&format!("nshost run --grants - tutorial -- hostname < {file}"))?.expect(0)?,
        "In Namespace\n"
    );
    let late = format!("nshost run --grants <(sleep 0.3; cat {file}) tutorial -- hostname");
    assert_eq!(bash(&late)?.expect(0)?, "In Namespace\n");
    // Nobody's grants are no grants.
    assert_eq!(bash("nshost run --grants - tutorial -- hostname < /dev/null")?.code(), 125);
    let denied = bash("echo 'schema = 1' | nshost run --grants - tutorial -- hostname")?;
    assert_eq!(denied.code(), 122, "{}", denied.text());
    assert!(denied.stderr.contains("standard input"), "{}", denied.text());
    Ok(())
}

#[test]
fn what_follows_the_script_is_the_scripts() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let run = |words: &[&str]| {
        host.nshost()?.args(["run", "--allow-all"]).arg(wasi_component("chatty")?).args(words).run()
    };
    for words in [
        &["words", "--rm", "-it", "--grants", "x", "--help", "-"][..],
        &["words", "-e", "A=b", "--fresh=no", "", "--name"],
    ] {
        let output = run(&[words, &["--", "echo", "--", "-e", "--fresh"]].concat())?;
        assert_eq!(output.expect(0)?, "-- -e --fresh\n");
        assert!(output.stderr.contains(&format!("{words:?}")), "{}", output.text());
    }
    Ok(())
}

/// `nshost run` of the script that asks for these steps, with the least grants.
fn asks<'h>(host: &'h Host, options: &[&str], steps: &str) -> Result<Nshost<'h>> {
    let nshost = host.nshost()?.arg("run").args(options).arg(wasi_component("asks")?);
    Ok(nshost.args(steps.split_whitespace()))
}

#[test]
fn the_operators_own_variables_need_no_grant() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let show = ["--", "sh", "-c", "echo $ONE,$TWO,$HOME,${UNSET-none}"];
    let options = ["-e", "ONE=1=1", "-e", "TWO", "--env=HOME=/root", "-e", "PATH"];
    let output = asks(&host, &options, "own=usual private")?.args(show).variable("TWO", "from here").run()?;
    assert_eq!(output.expect(0)?, "1=1,from here,/root,none\n");
    // It is the operator's word that counts, where the script has another.
    let open = ["--allow-all", "-e", "ONE=typed"];
    let output =
        asks(&host, &open, "own=usual private variable=ONE,asked variable=TWO,asked")?.args(show).run()?;
    assert_eq!(output.expect(0)?, "typed,asked,/,none\n");
    for (word, told) in [("UNSET", "not set"), ("1A=b", "1A"), ("=b", "name")] {
        let output = asks(&host, &["-e", word], "own=usual private")?.args(show).run()?;
        assert_eq!(output.code(), 125, "{word}: {}", output.text());
        assert!(output.stderr.contains(told), "{word}: {}", output.text());
    }
    Ok(())
}

#[test]
fn a_command_starts_where_the_operator_stands() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    host.shell(
        "mkdir -m 755 /run/open; mkdir -m 700 /run/closed; ln -s open /run/link; mkdir /run/gone
        printf '#!/bin/sh\\necho plugin in $PWD\\n' > /run/open/plugin; chmod 755 /run/open/plugin
        cp /run/open/plugin /run/closed/plugin",
    )?;
    let from = |directory: &str, options: &[&str], steps: &str, command: &[&str]| {
        let nshost = asks(&host, options, steps)?.arg("--").args(command);
        support::run(nshost.under(&["env", "-C", directory]), SOON)
    };
    let usual = "own=usual private proc";
    let all = "own=all private proc";
    for (directory, options, steps, started) in [
        ("/run/open", &[][..], usual, "/run/open"),
        ("/run/link", &[], usual, "/run/open"),
        ("/run/closed", &[], usual, "/run/closed"),
        ("/run/open", &[], all, "/run/open"),
        // The container's root is nobody here.
        ("/run/closed", &[], all, "/"),
        ("/proc/self", &[], usual, "/"),
        ("/run/open", &["-w", "/usr/lib"], usual, "/usr/lib"),
        ("/run", &["-w", "open"], all, "/run/open"),
        ("/run", &["--workdir", "/run/link"], all, "/run/open"),
    ] {
        let output = from(directory, options, steps, &["sh", "-c", "pwd"])?;
        assert_eq!(output.expect(0)?, format!("{started}\n"), "{directory} {options:?} {steps}");
        let plan = host.nshost()?.arg("plan").args(options).arg(wasi_component("asks")?);
        let plan = plan.args(steps.split_whitespace()).under(&["env", "-C", directory]);
        let plan = support::run(plan, SOON)?;
        assert!(plan.expect(0)?.contains(&format!("starts in {started}")), "{}", plan.text());
    }
    assert_eq!(from("/run/open", &[], usual, &["./plugin"])?.expect(0)?, "plugin in /run/open\n");
    // What is not there is told, and why.
    let output = from("/run/closed", &[], all, &["./plugin"])?;
    assert_eq!(output.code(), 127, "{}", output.text());
    assert!(output.stderr.contains("where the command starts (/run/closed is closed"), "{}", output.text());
    let output = from("/run", &["-w", "/run/no"], usual, &["true"])?;
    assert_eq!(output.code(), 125, "{}", output.text());
    assert!(output.stderr.contains("change directory"), "{}", output.text());
    // A directory that is not there any more.
    let nshost = asks(&host, &[], usual)?.args(["--", "sh", "-c", "pwd"]);
    let gone = nshost.under(&["sh", "-c", "cd /run/gone && rmdir /run/gone && exec \"$@\"", "sh"]);
    assert_eq!(support::run(gone, SOON)?.expect(0)?, "/\n");
    // The script's word takes a grant, and the operator's comes before it.
    let asked = format!("{usual} directory=/usr/lib");
    assert_eq!(from("/run/open", &[], &asked, &["pwd"])?.code(), 122);
    assert_eq!(from("/run/open", &["--allow-all"], &asked, &["sh", "-c", "pwd"])?.expect(0)?, "/usr/lib\n");
    let both = from("/run/open", &["--allow-all", "-w", "/usr/bin"], &asked, &["sh", "-c", "pwd"])?;
    assert_eq!(both.expect(0)?, "/usr/bin\n");
    Ok(())
}

#[test]
fn hands_that_are_used_to_other_tools_are_answered() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    for (words, told) in [
        (&["run", "--rm", "nat"][..], "nothing stays after a run"),
        (&["run", "-it", "nat", "--", "bash"], "has a terminal where nshost has one"),
        (&["run", "-v", "/a:/b", "nat"], "nothing to mount"),
        (&["run", "-p", "80:80", "nat"], "ports are the script's"),
        (&["run", "-d", "nat"], "foreground"),
        (&["ps"], "pgrep -a nshost"),
        (&["exec", "web", "sh"], "nsenter"),
        (&["logs", "web"], "own output"),
        (&["stop", "web"], "kill PID"),
        (&["run", "--", "bash"], "no SCRIPT"),
    ] {
        let output = host.nshost()?.args(words).run()?;
        assert_eq!(output.code(), 125, "{words:?}: {}", output.text());
        assert!(output.stderr.contains(told), "{words:?}: {}", output.text());
        assert_eq!(output.stderr.lines().count(), 2, "{words:?}: {}", output.text());
    }
    Ok(())
}

#[test]
fn a_plan_without_grants_prints_the_file_that_it_needs() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (host, scratch) = (Host::new()?, installed()?);
    let plan = typed(&host, &scratch, "plan tutorial")?;
    let plan = plan.expect(0)?;
    let (_, file) = plan.split_once("prints it alone):\n\n").unwrap_or_default();
    let suggested = typed(&host, &scratch, "plan --suggest-grants tutorial")?;
    assert_eq!(file, suggested.expect(0)?, "{plan}");
    assert!(plan.contains("share/nshost/scripts/tutorial.grants.toml"), "{plan}");
    fs::write(scratch.path().join("here/g.toml"), file)?;
    let granted = typed(&host, &scratch, "plan --grants g.toml tutorial")?;
    assert!(!granted.expect(0)?.contains("grants"), "{}", granted.text());
    typed(&host, &scratch, "run --grants g.toml tutorial -- true")?.expect(0)?;
    assert!(typed(&host, &scratch, "plan isolated -- true")?.expect(0)?.contains("needs no grants"));
    Ok(())
}

#[test]
fn the_command_line_describes_itself() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (host, scratch) = (Host::new()?, installed()?);
    let go = |words: &str| typed(&host, &scratch, words);
    for verb in ["run", "plan", "inspect", "scripts", "gc", "doctor", "completions", "man"] {
        assert!(go(&format!("{verb} --help"))?.expect(0)?.contains("Example"), "{verb}");
        assert!(go(&format!("man {verb}"))?.expect(0)?.contains(".TH"), "{verb}");
    }
    go("man --into .")?.expect(0)?;
    let pages = fs::read_dir(scratch.path().join("here"))?.count();
    assert!(pages >= 9, "{pages} pages");
    // Completions that bash itself accepts and uses.
    let complete = format!(
        "source <({}/bin/nshost completions bash)
        COMP_WORDS=(nshost run --gr); COMP_CWORD=2; _nshost nshost --gr run; echo \"${{COMPREPLY[@]}}\"",
        scratch.path().display()
    );
    assert_eq!(host.run(["bash", "-c", &complete])?.expect(0)?, "--grants\n");
    for shell in ["zsh", "fish"] {
        assert!(go(&format!("completions {shell}"))?.expect(0)?.contains("grants"), "{shell}");
    }
    Ok(())
}

#[test]
fn a_narrow_terminal_shows_whole_lines() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let steps = "own=usual private proc veth=nsh0,eth0 host=2001:db8:1111:2222:3333:4444:5555:1/127 \
                 inside=2001:db8:1111:2222:3333:4444:5555:0/127";
    let shown = |columns: u16, words: &[&str]| -> Result<String> {
        let nshost = host.nshost()?.args(words);
        let shell = format!("stty cols {columns}; \"$@\" | cat; \"$@\"; echo that-was-a''ll");
        let mut command = nshost.under(&["sh", "-c", &shell, "sh"]);
        command.env("NO_COLOR", "1");
        let mut terminal = Terminal::start(&command)?;
        let text = terminal.expect("that-was-all", SOON)?;
        Ok(text.replace('\r', ""))
    };
    let script = wasi_component("asks")?;
    let script = script.to_string_lossy();
    let plan: Vec<&str> =
        ["plan", "--allow-all", &script].into_iter().chain(steps.split_whitespace()).collect();
    for (words, first) in [(&["doctor"][..], "capabilities"), (&plan, "┌─host")] {
        let text = shown(60, words)?;
        // What goes into a pipe is as wide as it is; what comes to the terminal is not cut.
        let (piped, narrow) = text.split_at(text.rfind(first).unwrap_or(0));
        assert!(piped.lines().any(|line| line.chars().count() > 60), "{text}");
        assert!(
            narrow.lines().filter(|line| line.contains(['│', '├'])).all(|line| line.chars().count() <= 60),
            "{text}"
        );
        if words[0] == "doctor" {
            assert!(narrow.lines().all(|line| line.chars().count() <= 60), "{narrow}");
        } else {
            assert!(narrow.contains("├───veth─── container"), "{narrow}");
        }
    }
    Ok(())
}

#[test]
fn a_plan_is_drawn_for_others_to_show() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let steps = "own=usual private proc veth=nsh0,eth0 host=10.9.0.1/30 inside=10.9.0.2/30 route-inside=0.0.0.0/0,10.9.0.1 \
                 veth=nsh1,eth1 tcp=8000,10.9.0.2,80";
    let drawn = |form: &str| -> Result<String> {
        let plan = host.nshost()?.args(["plan", "--format", form]).arg(wasi_component("asks")?);
        let plan = plan.args(steps.split_whitespace()).args(["--", "echo", "<&\"'#;|`]]>"]);
        Ok(plan.run()?.expect(0)?.to_string())
    };
    let check = "
import sys, xml.dom.minidom
tree = xml.dom.minidom.parseString(sys.argv[1])
words = [''.join(part.data for part in node.childNodes) for node in tree.getElementsByTagName('text')]
assert '\"echo\" \"<&\\\\\"\\\\\\'#;|`]]>\"' in words, words
for word in ['host', 'container', 'nsh0 10.9.0.1/30', 'eth0 10.9.0.2/30', 'forward tcp *:8000 to 10.9.0.2:80', 'route default via 10.9.0.1 by eth0', 'eth1']:
    assert word in words, (word, words)
assert not tree.getElementsByTagName('script')
print(len(tree.getElementsByTagName('polyline')))
";
    assert_eq!(host.run(["/usr/bin/python3", "-c", check, &drawn("svg")?])?.expect(0)?, "2\n");
    let dot = drawn("dot")?;
    assert!(dot.contains("n0 -- n1 [taillabel=\"nsh0\", headlabel=\"eth0\"]"), "{dot}");
    let mermaid = drawn("mermaid")?;
    assert!(mermaid.contains("n0 ---|\"nsh1 — eth1\"| n1") && mermaid.contains("#60;#38;"), "{mermaid}");
    let json: serde_json::Value = serde_json::from_str(&drawn("json")?)?;
    assert_eq!(json["steps"].as_array().map(Vec::len), Some(14), "{json:#}");
    Ok(())
}

/// A shell leaves a loop only if what it waited for died of the key.
#[test]
fn what_the_interrupt_ends_ends_nshost_by_it() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let watch = "
import signal, subprocess, sys, time
command = sys.argv[2:]
# Whatever this was started from.
signal.signal(signal.SIGINT, signal.SIG_DFL)
running = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE)
running.stdout.readline()
if sys.argv[1] == 'key':
    running.send_signal(signal.SIGINT)
running.stdin.close()
print(running.wait())
";
    let script = wasi_component("asks")?;
    let ended = |how: &str, steps: &str, command: &str| -> Result<String> {
        let nshost = host.nshost()?.args(["run", "--allow-all"]).arg(&script).args(steps.split_whitespace());
        let nshost = nshost.args(["--", "sh", "-c", command]);
        Ok(support::run(nshost.under(&["/usr/bin/python3", "-c", watch, how]), SOON)?.expect(0)?.to_string())
    };
    // Not before the shell is gone, which would catch it.
    let waits = "(sleep 0.3; echo ready) & exec sleep 100";
    for steps in ["own=usual private proc", "own=uts"] {
        assert_eq!(ended("key", steps, waits)?, "-2\n", "{steps}");
    }
    assert_eq!(ended("", "own=uts", "echo ready; kill -INT $$")?, "-2\n");
    // The controls: what exits so by itself, and what died otherwise.
    assert_eq!(ended("", "own=usual private proc", "echo ready; exit 130")?, "130\n");
    assert_eq!(ended("", "own=uts", "echo ready; kill -TERM $$")?, "143\n");
    Ok(())
}

#[test]
fn what_nobody_heard_is_told() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (host, scratch) = (Host::new()?, Scratch::new()?);
    let first = wasi_component("first")?;
    // A forgotten --, and an option behind the script.
    for verb in ["run", "plan"] {
        for _ in 0..2 {
            let output =
                host.nshost()?.args([verb, "--allow-all"]).arg(&first).args(["ip", "address"]).run()?;
            assert_eq!(output.code(), 125, "{}", output.text());
            assert!(output.stderr.contains("\"ip\" \"address\""), "{}", output.text());
        }
        let output = host.nshost()?.arg(verb).arg(&first).args(["--allow-all", "--", "true"]).run()?;
        assert!(output.stderr.contains("--allow-all was given to the script"), "{}", output.text());
    }
    host.nshost()?.args(["run", "--allow-all"]).arg(&first).args(["--", "true"]).run()?.expect(0)?;
    // A command that the script chose in the place of what was typed.
    let asks = wasi_component("asks")?;
    let steps = ["own=usual", "private", "command=/bin/echo,mine"];
    let chosen = host.nshost()?.args(["run", "--allow-all"]).arg(&asks).args(steps);
    let chosen = chosen.args(["--", "echo", "yours"]).run()?;
    assert_eq!(chosen.expect(0)?, "mine\n");
    assert!(chosen.stderr.contains("another command than the one that was typed"), "{}", chosen.text());
    // Who has read enough is nobody's error.
    let plan = host.nshost()?.arg("plan").arg(&first);
    let piped = support::run(plan.under(&["bash", "-c", "set -o pipefail; \"$@\" | true", "bash"]), SOON)?;
    assert_eq!(piped.expect(0)?, "");
    // What a plan under grants is, is what a launch would have: this script goes on without what it is denied.
    let grants = scratch.file("none.toml", "schema = 1\n")?;
    let words = ["tries", "--", "true"];
    let try_it = |verb: &str| {
        let nshost = host.nshost()?.arg(verb).arg("--grants").arg(&grants).arg(wasi_component("chatty")?);
        nshost.args(words).run()
    };
    for verb in ["plan", "run"] {
        let output = try_it(verb)?;
        assert_eq!(output.code(), 0, "{verb}: {}", output.text());
        assert!(!output.stdout.contains("veth"), "{}", output.text());
    }
    Ok(())
}
