//! The launcher as a job of a shell at a terminal: in the foreground and the background, stopped, hung up, in a
//! pipe; beside each, where there is one, the same thing done by a bare program.

use std::{thread, time::Duration};

use anyhow::{Result, bail};
use blackbox::{SOON, TORN_DOWN};
use nix::sys::signal::Signal;
use support::{Census, Host, Terminal, component, root_or_skip};

/// In which a launcher sees that it has got a terminal, or that a program has set one.
const SEEN: Duration = Duration::from_millis(400);

/// What is typed before a command: nothing, which is the control, or a launch.
const WAYS: [&str; 3] = ["", "\"$@\" $script -- ", "\"$@\" --init $script -- "];

/// A shell with job control, and the settings of its terminal while a command runs.
struct Shell {
    terminal: Terminal,
    settings: String,
}

impl Shell {
    fn start(host: &Host) -> Result<Shell> {
        let nshost = host.nshost()?.args(["run", "--allow-all"]).variable("script", component("tutorial")?);
        let mut shell = Shell { terminal: Terminal::shell(nshost)?, settings: String::new() };
        shell.settings = shell.settings()?;
        Ok(shell)
    }

    /// Types it, and waits until it is echoed.
    fn types(&mut self, line: &str) -> Result<()> {
        self.terminal.send(&format!("{line}\n"))
    }

    fn expect(&mut self, text: &str) -> Result<String> {
        self.terminal.expect(text, SOON)
    }

    /// Types a command, which prints this word when it has started, and waits for that.
    fn starts(&mut self, line: &str, word: &str) -> Result<()> {
        self.types(line)?;
        self.expect(word)?;
        thread::sleep(SEEN);
        Ok(())
    }

    /// Brings the latest job to the foreground.
    fn foreground(&mut self) -> Result<()> {
        self.types("fg")?;
        self.expect("fg")?;
        thread::sleep(SEEN);
        Ok(())
    }

    /// As a command finds the terminal, which is not how the shell's own editor has it.
    fn settings(&mut self) -> Result<String> {
        self.types("stty -g; echo set''tled")?;
        let shown = self.expect("settled\r\n")?;
        self.expect("ready> ")?;
        let settings = shown.lines().map(str::trim).find(|line| line.matches(':').count() > 20);
        Ok(settings.unwrap_or_default().to_string())
    }

    /// The terminal is as it was at the beginning.
    fn is_as_it_was(&mut self) -> Result<()> {
        let now = self.settings()?;
        if now != self.settings {
            bail!("{} has become {now}:\n{}", self.settings, self.terminal.screen());
        }
        Ok(())
    }

    fn ends(mut self) -> Result<()> {
        self.types("exit")?;
        self.terminal.finish(SOON).map(drop)
    }

    /// The latest job is stopped, and its terminal is the shell's.
    fn has_stopped(&mut self) -> Result<()> {
        self.expect("Stopped")?;
        self.expect("ready> ")?;
        self.is_as_it_was()
    }
}

/// The states of the processes that are `sleep 100`.
fn sleeping(host: &Host) -> Result<String> {
    let states = host.run(["ps", "-e", "-o", "stat=,args="])?.stdout;
    let states = states.lines().filter_map(|line| line.split_once(' '));
    let states = states.filter(|(_, command)| command.trim() == "sleep 100");
    Ok(states.filter_map(|(state, _)| state.chars().next()).collect())
}

/// Sends a signal to the launcher: not to the reaper, nor to what a former launcher has left to be tidied up.
fn signal_launcher(host: &Host, signal: &str) -> Result<()> {
    let launcher = "ps -e -o pid=,ppid=,comm= | awk '$3 == \"nshost\" && $2 > 1 { print $1; exit }'";
    host.shell(&format!("kill -{signal} $({launcher})")).map(drop)
}

#[test]
fn the_suspend_key_stops_a_command_that_no_shell_inside_has() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let before = Census::take(&host)?;
    let mut shell = Shell::start(&host)?;
    for way in WAYS {
        shell.starts(&format!("{way}sh -c 'echo rea\"\"dy; exec sleep 100'"), "ready\r")?;
        shell.terminal.send("\x1a")?;
        shell.has_stopped()?;
        assert_eq!(sleeping(&host)?, "T", "{way}");
        shell.types("bg; jobs")?;
        shell.expect("Running")?;
        assert_eq!(sleeping(&host)?, "S", "{way}");
        shell.foreground()?;
        shell.terminal.send("\x1a")?;
        shell.has_stopped()?;
        shell.foreground()?;
        assert_eq!(sleeping(&host)?, "S", "{way}");
        shell.terminal.send("\x03")?;
        shell.expect("ready> ")?;
        shell.is_as_it_was()?;
    }
    shell.ends()?;
    before.comes_back(&host, TORN_DOWN)
}

#[test]
fn what_was_stopped_finds_the_new_size_and_gets_what_is_typed() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let mut shell = Shell::start(&host)?;
    for (way, rows) in WAYS.into_iter().zip(30..) {
        shell.starts(
            &format!("{way}sh -c 'echo rea\"\"dy; read line; stty size; echo got $line'"),
            "ready\r",
        )?;
        shell.terminal.send("\x1a")?;
        shell.has_stopped()?;
        shell.terminal.resize(rows, 100)?;
        shell.foreground()?;
        shell.types("word")?;
        shell.expect(&format!("{rows} 100\r\ngot word"))?;
        shell.expect("ready> ")?;
        shell.is_as_it_was()?;
    }
    Ok(())
}

/// As an editor does: it takes every key, and when it is to stop it puts its terminal in order and stops itself.
const EDITOR: &str = "
import os, signal, sys, termios, tty
before = termios.tcgetattr(0)
while True:
    tty.setraw(0)
    os.write(1, b'edi' + b'ting')
    key = os.read(0, 1)
    termios.tcsetattr(0, termios.TCSADRAIN, before)
    if key != b'\\x1a': sys.exit(5 if key == b'q' else 6)
    os.write(1, b'le' + b'ft\\n')
    os.kill(0, signal.SIGTSTP)
";

#[test]
fn an_editor_stops_itself_under_the_reaper() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    host.shell(&format!("cat > /run/editor <<'END'{EDITOR}END"))?;
    let mut shell = Shell::start(&host)?;
    for way in ["", WAYS[2]] {
        shell.starts(&format!("{way}/usr/bin/python3 /run/editor"), "editing")?;
        shell.terminal.send("\x1a")?;
        shell.expect("left\r\n")?;
        shell.has_stopped()?;
        shell.types("fg")?;
        shell.expect("editing")?;
        thread::sleep(SEEN);
        shell.terminal.send("q")?;
        shell.expect("ready> ")?;
        shell.types("echo status $?")?;
        shell.expect("status 5")?;
        shell.is_as_it_was()?;
    }
    Ok(())
}

#[test]
fn who_is_in_the_background_prints_and_takes_no_key_until_it_is_in_the_foreground() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let before = Census::take(&host)?;
    let mut shell = Shell::start(&host)?;
    // The shell's settings of its own editor are not the command's.
    let says = "sh -c 'stty -a | tr \" \" : | grep -o :icanon; echo rea\"\"dy; read line; echo got $line'";
    for way in &WAYS[1..] {
        shell.types(&format!("{way}{says} &"))?;
        shell.expect(":icanon")?;
        shell.expect("ready")?;
        thread::sleep(SEEN);
        let at_prompt = shell.terminal.modes()?;
        shell.types("echo mi''ne")?;
        shell.expect("mine\r\n")?;
        thread::sleep(SEEN);
        assert_eq!(shell.terminal.modes()?, at_prompt, "set from the background");
        shell.is_as_it_was()?;
        shell.foreground()?;
        shell.types("word")?;
        shell.expect("got word")?;
        shell.expect("ready> ")?;
        shell.is_as_it_was()?;
    }
    // Somebody else is in the foreground for a while, and nobody tells that.
    shell.types(&format!(
        "{}sh -c 'echo rea\"\"dy; read line; echo got $line' & sleep 1; fg >/dev/null",
        WAYS[1]
    ))?;
    shell.expect("ready\r")?;
    thread::sleep(Duration::from_millis(1500));
    shell.types("word")?;
    shell.expect("got word")?;
    shell.expect("ready> ")?;
    shell.is_as_it_was()?;
    shell.ends()?;
    before.comes_back(&host, TORN_DOWN)
}

#[test]
fn output_in_the_background_stops_where_the_terminal_has_it_so() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let mut shell = Shell::start(&host)?;
    shell.types("stty tostop; stty -a | grep -o ' tostop'")?;
    shell.expect(" tostop\r\n")?;
    shell.settings = shell.settings()?;
    for way in WAYS {
        shell.types(&format!("{way}sh -c 'sleep 1; echo pri\"\"nted; exec sleep 100' &"))?;
        thread::sleep(Duration::from_millis(1500));
        shell.types("jobs")?;
        shell.expect("Stopped")?;
        assert!(!sleeping(&host)?.contains('S'), "{way}: it went on");
        shell.types("fg")?;
        shell.expect("printed")?;
        thread::sleep(SEEN);
        shell.terminal.send("\x03")?;
        shell.expect("ready> ")?;
        shell.is_as_it_was()?;
    }
    Ok(())
}

#[test]
fn a_launcher_that_is_stopped_gives_the_terminal_back() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let mut shell = Shell::start(&host)?;
    for (signal, way, state) in [
        ("TSTP", WAYS[1], "T"),
        ("TSTP", WAYS[2], "T"),
        // It learns nothing of this one, so that what is inside goes on.
        ("STOP", WAYS[1], "S"),
    ] {
        shell.starts(&format!("{way}sh -c 'echo rea\"\"dy; exec sleep 100'"), "ready\r")?;
        signal_launcher(&host, signal)?;
        shell.has_stopped()?;
        assert_eq!(sleeping(&host)?, state, "{signal} {way}");
        shell.foreground()?;
        assert_eq!(sleeping(&host)?, "S", "{signal} {way}");
        shell.terminal.send("\x03")?;
        shell.expect("ready> ")?;
        shell.is_as_it_was()?;
    }
    // A shell inside, which nobody stops, has its terminal back as well.
    shell.starts(&format!("{}env PS1='inside> ' bash --norc --noprofile -i", WAYS[1]), "inside> ")?;
    signal_launcher(&host, "TSTP")?;
    shell.has_stopped()?;
    shell.foreground()?;
    shell.types("echo st''ill $((6 * 7))")?;
    shell.expect("still 42")?;
    shell.types("exit")?;
    shell.expect("ready> ")?;
    shell.is_as_it_was()
}

/// What is held back when it comes is looked after for a time, however much is printed meanwhile.
#[test]
fn a_signal_that_a_busy_command_blocks_ends_it_later() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let block = "import signal, time
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]); print('ready', flush=True)
end = time.monotonic() + 1
while time.monotonic() < end: print('x', flush=True)
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM]); time.sleep(100)";
    let nshost = host.nshost()?.run_script("tutorial")?.args(["--", "/usr/bin/python3", "-c", block]);
    let mut terminal = Terminal::start(&nshost.under(&["sh", "-c", "\"$@\"; exit $?", "sh"]))?;
    terminal.expect("ready", SOON)?;
    signal_launcher(&host, "TERM")?;
    assert_eq!(terminal.finish(SOON)?, 128 + 15);
    Ok(())
}

/// Without a shell that could let it go on, in a group that is orphaned, nothing stops: the key is one like others.
#[test]
fn nothing_stops_where_nobody_could_let_it_go_on() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    for options in [&[][..], &["--init"]] {
        let nshost = host.nshost()?.args(["run", "--allow-all"]).args(options).arg(component("tutorial")?);
        let nshost = nshost.args(["--", "sh", "-c", "echo rea''dy; exec cat"]);
        let mut terminal = Terminal::start(&nshost.under(&["setsid", "--ctty", "--wait"]))?;
        terminal.expect("ready", SOON)?;
        thread::sleep(SEEN);
        for key in ["\x1a", "\x1a"] {
            terminal.send(key)?;
            thread::sleep(SEEN);
        }
        terminal.send("word\n")?;
        terminal.expect("word\r\nword\r\n", SOON)?;
        terminal.send("\x04")?;
        assert_eq!(terminal.finish(SOON)?, 0, "{options:?}");
    }
    Ok(())
}

/// Of a terminal that is closed, a program learns by SIGHUP or not at all; one that ignores it, or is no job of the
/// shell's any more, lives on, and so does its container.
#[test]
fn a_closed_terminal_ends_what_it_would_end_bare() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    for (before, after, lives) in [
        ("", "", false),
        ("", " &", false),
        ("", " & disown", true),
        ("nohup ", "", true),
        ("nohup ", " &", true),
        ("trap '' HUP; ", "", true),
        ("setsid ", "", true),
    ] {
        for way in WAYS {
            let host = Host::new()?;
            let mut shell = Shell::start(&host)?;
            let line = format!("{before}{way}sleep 100{after}");
            shell.types(&line)?;
            let up = || Ok::<_, anyhow::Error>(sleeping(&host)? == "S");
            wait_until(up)?;
            thread::sleep(SEEN);
            shell.terminal.hang_up();
            thread::sleep(Duration::from_secs(1));
            assert_eq!(sleeping(&host)?, if lives { "S" } else { "" }, "{line}");
            let spent = host.run(["ps", "-C", "nshost", "-o", "cputimes="])?.stdout;
            assert!(spent.split_whitespace().all(|seconds| seconds == "0"), "{line} spins: {spent}");
        }
    }
    Ok(())
}

#[test]
fn a_terminal_may_vanish_while_its_job_prints_or_is_stopped_or_starts() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let prints = "sh -c 'while :; do echo out; sleep 0.01; done & exec sleep 100'";
    for (before, after, lives) in [("setsid ", "", true), ("", " & disown", true), ("", "", false)] {
        for way in &WAYS[1..] {
            let host = Host::new()?;
            let mut shell = Shell::start(&host)?;
            shell.types(&format!("{before}{way}{prints}{after}"))?;
            shell.expect("out")?;
            shell.terminal.hang_up();
            thread::sleep(Duration::from_secs(1));
            assert_eq!(sleeping(&host)?, if lives { "S" } else { "" }, "{before}{way}{after}");
        }
    }
    for way in WAYS {
        let host = Host::new()?;
        let census = Census::take(&host)?;
        let mut shell = Shell::start(&host)?;
        shell.starts(&format!("{way}sh -c 'echo rea\"\"dy; exec sleep 100'"), "ready\r")?;
        shell.terminal.send("\x1a")?;
        shell.has_stopped()?;
        shell.terminal.hang_up();
        census.comes_back(&host, TORN_DOWN)?;
    }
    // While it starts, as the leader of its session, which the kernel tells. (A shell may not have noted yet whom it
    // would tell.)
    let host = Host::new()?;
    let census = Census::take(&host)?;
    for delay in 0..12 {
        let nshost = host.nshost()?.run_script("tutorial")?.args(["--", "sleep", "100"]);
        let mut terminal = Terminal::start(&nshost.under(&["setsid", "--ctty", "--wait"]))?;
        thread::sleep(Duration::from_millis(delay));
        terminal.hang_up();
        terminal.finish(SOON)?;
        wait_until(|| Ok(sleeping(&host)?.is_empty()))?;
    }
    census.comes_back(&host, TORN_DOWN)
}

#[test]
fn what_was_ignored_stays_so_in_the_command() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let ignored = "grep SigIgn /proc/self/status";
    // The signals that somebody means who ignores them: HUP, INT, QUIT, TERM.
    let meant = |line: &str| Ok::<_, anyhow::Error>(u64::from_str_radix(line.trim(), 16)? & 0x4007);
    for (trap, mask) in [("trap '' HUP", 1), ("trap '' INT QUIT TERM", 0x4006)] {
        let script = format!("{trap}; {ignored}; \"$@\"");
        let nshost = host.nshost()?.run_script("tutorial")?.args(["--", "sh", "-c", ignored]);
        let output = support::run(nshost.under(&["sh", "-c", &script, "sh"]), SOON)?;
        let masks = output.expect(0)?.split("SigIgn:").skip(1).map(meant).collect::<Result<Vec<_>>>()?;
        assert!(masks.len() == 2 && masks[0] & mask == mask && masks[0] == masks[1], "{trap}: {masks:x?}");
    }
    // And the launcher itself does not hear it.
    let nshost =
        host.nshost()?.run_script("tutorial")?.args(["--", "sh", "-c", "echo rea''dy; sleep 1; exit 3"]);
    let mut running = support::Running::start(nshost.under(&["nohup"]))?;
    running.wait_for("ready", SOON)?;
    running.signal(Signal::SIGHUP)?;
    running.finish(SOON)?.expect(3)?;
    Ok(())
}

#[test]
fn a_pager_has_the_keys_and_leaves_the_terminal_as_it_was() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let mut shell = Shell::start(&host)?;
    for way in WAYS {
        shell.types(&format!("{way}seq 1000 1200 | LESS= less"))?;
        shell.expect("1022\r")?;
        for (key, line) in [(" ", "1040"), (" ", "1060"), ("g", "1003"), (" ", "1040")] {
            thread::sleep(Duration::from_millis(200));
            shell.terminal.send(key)?;
            shell.expect(line)?;
        }
        shell.terminal.send("q")?;
        shell.expect("ready> ")?;
        shell.is_as_it_was()?;
        // One that is left before what it shows has ended.
        shell.types(&format!("{way}sh -c 'seq 1000 1100; sleep 1; seq 1000 9999' | LESS= less"))?;
        shell.expect("1022\r")?;
        thread::sleep(Duration::from_millis(200));
        shell.terminal.send("q")?;
        shell.expect("ready> ")?;
        shell.is_as_it_was()?;
        // And one inside, whose standard input is no terminal.
        shell.types(&format!("seq 1000 1200 | {way}less"))?;
        shell.expect("1022\r")?;
        thread::sleep(SEEN);
        shell.terminal.send(" ")?;
        shell.expect("1040")?;
        thread::sleep(SEEN);
        shell.terminal.send("q")?;
        shell.expect("ready> ")?;
        shell.is_as_it_was()?;
    }
    Ok(())
}

#[test]
fn in_a_pipe_what_is_typed_goes_where_it_belongs() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let mut shell = Shell::start(&host)?;
    for way in WAYS {
        shell.starts(
            &format!("{way}sh -c 'echo rea\"\"dy >&2; read line; echo got $line; cat' | cat"),
            "ready\r",
        )?;
        shell.types("word")?;
        shell.expect("got word\r\n")?;
        shell.types("more")?;
        shell.expect("more\r\n")?;
        shell.terminal.send("\x04")?;
        shell.expect("ready> ")?;
        shell.is_as_it_was()?;
        // The end of input as the first of all keys.
        shell.starts(&format!("{way}sh -c 'echo rea\"\"dy >&2; cat; echo en\"\"ded' | cat"), "ready\r")?;
        shell.terminal.send("\x04")?;
        shell.expect("ended\r\n")?;
        shell.expect("ready> ")?;
        // A word that must not be seen.
        shell.starts(
            &format!("{way}bash -c 'read -rsp \"pass\"word: it; echo; echo ${{#it}} long' | cat"),
            "password:",
        )?;
        shell.types("geheim")?;
        let shown = shell.expect("6 long")?;
        assert!(!shown.contains("geheim"), "{way}: {shown}");
        shell.expect("ready> ")?;
        for line in [
            format!("{way}sh -c 'echo rea\"\"dy >&2; sleep 100; echo no' | cat"),
            format!("echo x | {way}sh -c 'echo rea\"\"dy; sleep 100; echo no'"),
            format!("{way}sh -c 'echo rea\"\"dy; sleep 100; echo no' </dev/null"),
        ] {
            shell.starts(&line, "ready\r")?;
            shell.terminal.send("\x1a")?;
            shell.has_stopped()?;
            assert_eq!(sleeping(&host)?, "T", "{line}");
            shell.foreground()?;
            assert_eq!(sleeping(&host)?, "S", "{line}");
            shell.terminal.send("\x03")?;
            shell.expect("ready> ")?;
            shell.is_as_it_was()?;
            wait_until(|| Ok(sleeping(&host)?.is_empty()))?;
        }
    }
    Ok(())
}

/// By a shell that does not put its terminal in order itself.
#[test]
fn a_killed_launcher_leaves_the_terminal_as_it_was() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    for (signal, status) in [("TERM", 143), ("INT", 130), ("HUP", 129), ("QUIT", 131), ("USR1", 138)] {
        let nshost = host.nshost()?.run_script("tutorial")?;
        let nshost = nshost.args(["--", "sh", "-c", "echo rea''dy; exec sleep 100"]);
        let wrapper = "trap : INT QUIT; stty -g; \"$@\"; echo status $?; stty -g; echo en''d";
        let mut terminal = Terminal::start(&nshost.under(&["sh", "-c", wrapper, "sh"]))?;
        let shown = terminal.expect("ready", SOON)?;
        thread::sleep(SEEN);
        signal_launcher(&host, signal)?;
        let shown = shown + &terminal.expect("end", SOON)?;
        let modes: Vec<&str> =
            shown.lines().map(str::trim).filter(|line| line.matches(':').count() > 20).collect();
        assert!(modes.len() == 2 && modes[0] == modes[1], "{signal}: {shown}");
        assert!(shown.contains(&format!("status {status}\r\n")), "{signal}: {shown}");
    }
    Ok(())
}

/// In tmux, which is a terminal of another make: it has panes that are closed and windows that change their size.
#[test]
fn in_tmux_it_is_a_job_like_others() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let census = Census::take(&host)?;
    let tmux = |words: &[&str]| host.run([&["tmux", "-S", "/run/tmux", "-f", "/dev/null"], words].concat());
    let launch =
        host.nshost()?.run_script("tutorial")?.under(&["bash", "--norc", "--noprofile", "-i", "-s", "--"]);
    let mut start = host.command("env");
    start.args([
        "PS1=ready> ",
        "tmux",
        "-S",
        "/run/tmux",
        "-f",
        "/dev/null",
        "new-session",
        "-d",
        "-x",
        "80",
        "-y",
        "24",
    ]);
    // What `host.command` puts before the program is not wanted twice.
    let words: Vec<_> = launch.get_args().skip_while(|word| *word != "bash").map(ToOwned::to_owned).collect();
    start.args(words).envs(launch.get_envs().filter_map(|(name, value)| Some((name, value?))));
    support::run(start, SOON)?.expect(0)?;
    let keys = |words: &[&str]| tmux(&[&["send-keys", "-t", "0"], words].concat());
    let shown = || Ok::<_, anyhow::Error>(tmux(&["capture-pane", "-p", "-t", "0"])?.stdout);
    let shows = |text: &str| match wait_until(|| Ok(shown()?.contains(text))) {
        Ok(()) => Ok(()),
        Err(error) => Err(error.context(format!("no {text:?} came; the pane:\n{}", shown()?))),
    };
    shows("ready>")?;
    keys(&["clear; \"$@\" -- sh -c 'echo st\"\"arted; read line; stty size; echo got $line'", "Enter"])?;
    shows("started")?;
    thread::sleep(SEEN);
    keys(&["C-z"])?;
    shows("Stopped")?;
    tmux(&["resize-window", "-t", "0", "-x", "100", "-y", "33"])?.expect(0)?;
    keys(&["fg", "Enter"])?;
    thread::sleep(SEEN);
    keys(&["word", "Enter"])?;
    shows("33 100\ngot word")?;
    keys(&["clear; \"$@\" -- sleep 100 &", "Enter"])?;
    wait_until(|| Ok(sleeping(&host)? == "S"))?;
    keys(&["fg", "Enter"])?;
    thread::sleep(SEEN);
    keys(&["C-c"])?;
    wait_until(|| Ok(sleeping(&host)?.is_empty()))?;
    keys(&["clear; \"$@\" -- sleep 100", "Enter"])?;
    wait_until(|| Ok(sleeping(&host)? == "S"))?;
    tmux(&["kill-server"])?;
    census.comes_back(&host, SOON)
}

/// Waits until it is so.
fn wait_until(is_so: impl Fn() -> Result<bool>) -> Result<()> {
    for _ in 0..200 {
        if is_so()? {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(25));
    }
    bail!("it did not come to that")
}
