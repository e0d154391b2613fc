//! An operator at a terminal: job control, resizing, signals.

use std::{thread, time::Duration};

use anyhow::Result;
use blackbox::{SOON, TORN_DOWN};
use nix::sys::signal::Signal;
use support::{Census, Host, Terminal, component, root_or_skip};

fn bash(host: &Host) -> Result<Terminal> {
    let bash = ["--", "env", "PS1=ready> ", "bash", "--norc", "--noprofile", "-i"];
    let nshost = host.nshost()?.run_script("tutorial")?.args(bash);
    let mut terminal = Terminal::start(&nshost.command())?;
    terminal.expect("ready> ", SOON)?;
    Ok(terminal)
}

#[test]
fn job_control_works_in_bash() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let before = Census::take(&host)?;
    let mut terminal = bash(&host)?;
    assert!(!terminal.screen().contains("no job control"), "{}", terminal.screen());
    terminal.send("sleep 100\n")?;
    thread::sleep(Duration::from_millis(300));
    terminal.send("\x1a")?;
    terminal.expect("Stopped", SOON)?;
    terminal.send("jobs; echo lis''ted\n")?;
    terminal.expect("sleep 100", SOON)?;
    terminal.expect("listed", SOON)?;
    terminal.send("fg\n")?;
    terminal.expect("sleep 100", SOON)?;
    thread::sleep(Duration::from_millis(300));
    terminal.send("\x03")?;
    terminal.expect("ready> ", SOON)?;
    terminal.send("echo status $?\n")?;
    terminal.expect("status 130", SOON)?;
    terminal.send("exit 6\n")?;
    assert_eq!(terminal.finish(SOON)?, 6);
    before.comes_back(&host, TORN_DOWN)
}

/// As process 1 it would not notice: the kernel gives that only signals that it handles.
#[test]
fn keys_end_a_command_that_does_not_handle_them() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let before = Census::take(&host)?;
    for (options, key, status) in [(&[][..], "\x03", 130), (&[], "\x1c", 131), (&["--init"], "\x03", 130)] {
        let script = component("tutorial")?;
        let nshost = host.nshost()?.args(["run", "--allow-all"]).args(options).arg(script);
        let mut terminal =
            Terminal::start(&nshost.args(["--", "sh", "-c", "echo rea''dy; exec sleep 100"]).command())?;
        terminal.expect("ready", SOON)?;
        thread::sleep(Duration::from_millis(100));
        terminal.send(key)?;
        assert_eq!(terminal.finish(SOON)?, status, "{options:?} {key:?}");
    }
    // One that handles it, or has turned signals by keys off, gets it as it is.
    for command in [
        "trap 'exit 9' INT; echo rea''dy; while :; do sleep 0.1; done",
        "stty -isig -icanon; echo rea''dy; head -c 1 >/dev/null; exit 9",
    ] {
        let nshost = host.nshost()?.run_script("tutorial")?.args(["--", "sh", "-c", command]);
        let mut terminal = Terminal::start(&nshost.command())?;
        terminal.expect("ready", SOON)?;
        thread::sleep(Duration::from_millis(100));
        terminal.send("\x03")?;
        assert_eq!(terminal.finish(SOON)?, 9, "{command}");
    }
    before.comes_back(&host, TORN_DOWN)
}

#[test]
fn the_size_follows_the_window() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let mut terminal = bash(&host)?;
    terminal.send("stty size\n")?;
    terminal.expect("24 80", SOON)?;
    terminal.resize(40, 132)?;
    thread::sleep(Duration::from_millis(300));
    terminal.send("stty size\n")?;
    terminal.expect("40 132", SOON)?;
    terminal.send("exit\n")?;
    assert_eq!(terminal.finish(SOON)?, 0);
    Ok(())
}

#[test]
fn the_terminal_is_given_back_as_it_was() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let stty = host.nshost()?.run_script("tutorial")?.args(["--", "stty", "raw", "-echo"]);
    let shell = stty.under(&["sh", "-c", "stty -g; \"$@\"; stty -g; echo en''d", "sh"]);
    let mut terminal = Terminal::start(&shell)?;
    let shown = terminal.expect("end", SOON)?;
    let modes: Vec<&str> = shown.lines().map(str::trim).filter(|line| line.contains(':')).collect();
    assert_eq!(modes.len(), 2, "{shown}");
    assert_eq!(modes[0], modes[1]);
    Ok(())
}

#[test]
fn signals_reach_the_command() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let before = Census::take(&host)?;
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGUSR1] {
        let trap = format!(
            "trap 'echo caught; exit 3' {}; echo ready; while :; do sleep 0.01; done",
            &signal.as_str()[3..]
        );
        let mut container = host.nshost()?.run_script("tutorial")?.args(["--", "sh", "-c", &trap]).start()?;
        container.wait_for("ready", SOON)?;
        container.signal(signal)?;
        assert_eq!(container.finish(SOON)?.expect(3)?, "ready\ncaught\n", "{signal}");
        before.comes_back(&host, TORN_DOWN)?;
    }
    Ok(())
}

#[test]
fn characters_cannot_be_pushed_back_into_the_operators_terminal() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    // The command's terminal is not the operator's: whatever it does to its own ends with it.
    let look = "readlink /proc/self/fd/0; stat -L -c %t:%T /dev/stdin; echo en''d";
    let nshost = host.nshost()?.run_script("tutorial")?.args(["--", "sh", "-c", look]);
    let shell = nshost.under(&["sh", "-c", "stat -L -c %t:%T /dev/stdin; \"$@\"", "sh"]);
    let mut terminal = Terminal::start(&shell)?;
    let shown = terminal.expect("end", SOON)?;
    let devices: Vec<&str> = shown.lines().map(str::trim).filter(|line| line.starts_with("88:")).collect();
    assert_eq!(devices.len(), 2, "{shown}");
    assert_ne!(devices[0], devices[1], "{shown}");

    // And so it is when they are really pushed (TIOCSTI), into whatever terminal the command has.
    let push = "import fcntl, os, termios
for fd in [0, 1, 2, os.open('/dev/tty', os.O_RDWR)]:
    for character in b'pushed\\n':
        try: fcntl.ioctl(fd, termios.TIOCSTI, bytes([character]))
        except OSError: pass
";
    let then = "\"$@\"; echo en''ded; read -r line; echo \"read <$line>\"";
    let read = |terminal: &mut Terminal| {
        terminal.expect("ended", SOON)?;
        terminal.send("typed\n")?;
        terminal.expect("read <", SOON)?;
        terminal.expect(">", SOON)
    };
    let nshost = host.nshost()?.run_script("tutorial")?.args(["--", "/usr/bin/python3", "-c", push]);
    let mut terminal = Terminal::start(&nshost.under(&["sh", "-c", then, "sh"]))?;
    assert_eq!(read(&mut terminal)?, "typed");
    // The control: without a container the operator's shell reads what was pushed. A kernel that forbids it to all
    // without CAP_SYS_ADMIN (`dev.tty.legacy_tiocsti`) does not forbid it to root.
    let mut command = host.command("sh");
    command.args(["-c", then, "sh", "/usr/bin/python3", "-c", push]);
    let mut terminal = Terminal::start(&command)?;
    assert_eq!(read(&mut terminal)?, "pushed");
    Ok(())
}
