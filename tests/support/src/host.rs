//! A host to throw away.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{Internet, Nshost, Output, Running, process};

/// How long the small programs may take that look at a host or arrange it.
const SHORT: Duration = Duration::from_secs(20);

/// What the namespaces' first process does: prints its process id as the outside sees it, makes the
/// host's own `/proc` and `/run`, and waits for the end of its standard input, reaping orphans.
const FIRST_PROCESS: &str = "
    set -e
    read -r pid rest < /proc/self/stat
    mount -t proc proc /proc
    mount -t tmpfs -o mode=755 tmpfs /run
    for conf in all default; do
        test ! -e /proc/sys/net/ipv6/conf/$conf || echo 0 > /proc/sys/net/ipv6/conf/$conf/accept_dad
    done
    ip link set lo up
    echo $pid
    exec 3<&0
    cat <&3 >/dev/null &
    wait $!
";

/// Network, mount and PID namespaces of their own: lo is up, `/run` is empty, no process is there but
/// the first. Dropping it kills everything that is in it.
pub struct Host {
    /// `None`: this machine itself.
    namespaces: Option<Namespaces>,
}

struct Namespaces {
    unshare: Child,
    first: u32,
}

impl Host {
    /// Makes one. Needs root.
    pub fn new() -> Result<Host> {
        let mut unshare = Command::new("unshare")
            .args(["--net", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--"])
            .args(["sh", "-c", FIRST_PROCESS])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start unshare (util-linux)")?;
        let mut line = String::new();
        if let Some(stdout) = unshare.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let Ok(first) = line.trim().parse() else {
            let _ = unshare.kill();
            let _ = unshare.wait();
            bail!("cannot make namespaces for a disposable host; is this root?");
        };
        Ok(Host { namespaces: Some(Namespaces { unshare, first }) })
    }

    /// This machine itself: nothing is disposable.
    pub fn here() -> Host {
        Host { namespaces: None }
    }

    /// A command that will run in this host, with a small environment of its own.
    pub fn command<S: AsRef<OsStr>>(&self, program: S) -> Command {
        let mut command = match &self.namespaces {
            Some(namespaces) => {
                let mut command = Command::new("nsenter");
                command.args(["--net", "--mount", "--pid", "--target", &namespaces.first.to_string(), "--"]);
                command.arg(program);
                command
            }
            None => Command::new(program),
        };
        command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("LANG", "C.UTF-8").env("TERM", "dumb");
        command
    }

    /// Runs a command to its end.
    pub fn run<I: IntoIterator<Item: AsRef<OsStr>>>(&self, words: I) -> Result<Output> {
        process::run(self.words(words)?, SHORT)
    }

    /// Runs a shell script; an error unless it succeeds. Returns what it prints.
    pub fn shell(&self, script: &str) -> Result<String> {
        let output = self.run(["sh", "-euc", script])?;
        Ok(output.expect(0).with_context(|| script.trim().to_string())?.to_string())
    }

    /// Starts a command whose standard input is ours.
    pub fn start<I: IntoIterator<Item: AsRef<OsStr>>>(&self, words: I) -> Result<Running> {
        let mut command = self.words(words)?;
        command.stdin(Stdio::piped());
        Running::start(command)
    }

    /// A path in this host, as it is reached from outside. So its network namespace is a file too:
    /// `/proc/1/ns/net`, and what `ip netns add NAME` has made: `/run/netns/NAME`.
    pub fn path(&self, inside: &str) -> PathBuf {
        match &self.namespaces {
            Some(namespaces) => PathBuf::from(format!("/proc/{}/root{inside}", namespaces.first)),
            None => PathBuf::from(inside),
        }
    }

    /// The launcher, in this host.
    pub fn nshost(&self) -> Result<Nshost<'_>> {
        Nshost::new(self)
    }

    /// Gives this host an `/etc/resolv.conf` of its own, or another text in it: a file over the machine's.
    pub fn resolv_conf(&self, text: &str) -> Result<()> {
        // Where that is a link into /run, which is empty here, the file that it leads to is made there.
        let script = "
            conf=$(readlink -m /etc/resolv.conf)
            case $conf in /run/*) mkdir -p \"${conf%/*}\"; : > \"$conf\";; esac
            printf %s \"$0\" > /run/host-resolv.conf
            mountpoint -q \"$conf\" || mount --bind /run/host-resolv.conf \"$conf\"
        ";
        self.run(["sh", "-euc", script, text])?.expect(0).context("cannot give the host a resolv.conf")?;
        Ok(())
    }

    /// Puts an internet behind this host, with a default route to it.
    pub fn internet(&self) -> Result<Internet<'_>> {
        Internet::new(self)
    }

    fn words<I: IntoIterator<Item: AsRef<OsStr>>>(&self, words: I) -> Result<Command> {
        let mut words = words.into_iter();
        let mut command = self.command(words.next().context("no program was named")?);
        command.args(words);
        Ok(command)
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        // With it dies the namespaces' first process, and the kernel kills all that is left in there.
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}
