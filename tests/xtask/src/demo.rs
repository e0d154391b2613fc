//! `cargo xtask demo`: the tutorial's container, step by step.

use std::{fs, io::IsTerminal, process::Command, time::Duration};

use anyhow::{Context, Result, bail};
use clap::Args;
use support::{Census, Host, Nshost, Output};

use crate::{build, tools};

const SOON: Duration = Duration::from_secs(20);

#[derive(Args)]
pub struct Options {
    /// Show it on this host itself, not in a network namespace to throw away
    #[arg(long)]
    here: bool,
    /// All is built already
    #[arg(long, hide = true)]
    built: bool,
}

/// Builds, then shows. Building needs no root; making network interfaces does.
pub fn demo(options: &Options) -> Result<()> {
    if !options.built {
        build::build(&build::Options::default())?;
    }
    if !support::is_root() {
        return as_root(options);
    }
    tools::programs()?;
    let host = if options.here { Host::here() } else { Host::new()? };
    let show = Show { host, colour: std::io::stdout().is_terminal(), here: options.here };
    show.all()
}

/// Shows by `sudo`, which may ask for a password.
fn as_root(options: &Options) -> Result<()> {
    println!("The demonstration makes network interfaces, so it goes on as root, by sudo.");
    let mut sudo = Command::new("sudo");
    sudo.arg("--").arg("env").arg(format!("CARGO_TARGET_DIR={}", support::target().display()));
    sudo.arg(std::env::current_exe()?).args(["demo", "--built"]).args(options.here.then_some("--here"));
    let status = sudo.status().context("cannot start sudo; run `cargo xtask demo` as root")?;
    if !status.success() {
        bail!("sudo ended with {status}; run `cargo xtask demo` as root");
    }
    Ok(())
}

struct Show {
    host: Host,
    colour: bool,
    here: bool,
}

impl Show {
    fn all(&self) -> Result<()> {
        self.where_we_are()?;
        // Other people's programs and mounts come and go on a real host.
        let others: &[&str] = if self.here { &["processes", "mounts"] } else { &[] };
        let before = Census::take(&self.host)?.without(others);
        self.grants()?;
        self.plan()?;
        self.refusal()?;
        self.inside()?;
        self.talk()?;
        self.nothing_left(&before)
    }

    fn where_we_are(&self) -> Result<()> {
        self.title("The host");
        if self.here {
            self.say("This is your machine itself. What the container needs of it is removed at the end.");
        } else {
            self.say("A network and mount namespace to throw away plays the host: your own network is not");
            self.say("touched. These are its interfaces:");
            self.typed("ip -brief address");
            self.block(&self.host.shell("ip -brief address")?);
        }
        Ok(())
    }

    fn grants(&self) -> Result<()> {
        self.title("What the operator grants");
        self.say("The container is decided by a WebAssembly script that nobody has to trust: it can do");
        self.say("nothing but ask, and gets what this file grants.");
        let file = support::scripts().join("tutorial/grants.toml");
        self.typed("cat scripts/tutorial/grants.toml");
        self.block(&fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?);
        Ok(())
    }

    fn plan(&self) -> Result<()> {
        self.title("What the script decides");
        self.say("`nshost plan` asks the script and does nothing. It needs no root.");
        let grants = support::scripts().join("tutorial/grants.toml");
        let plan =
            self.host.nshost()?.args(["plan", "--grants"]).arg(grants).arg(support::component("tutorial")?);
        self.typed("nshost plan --grants scripts/tutorial/grants.toml target/scripts/tutorial.wasm");
        let output = plan.run()?;
        self.block(output.expect(0)?);
        Ok(())
    }

    fn refusal(&self) -> Result<()> {
        self.title("Without the grants");
        self.say("Nothing happens, and the operator reads what is missing.");
        self.typed("nshost run target/scripts/tutorial.wasm -- true");
        let run = self.host.nshost()?.arg("run").arg(support::component("tutorial")?).args(["--", "true"]);
        let output = run.run()?;
        output.expect(122)?;
        self.block(&output.stderr);
        self.block("exit status 122");
        Ok(())
    }

    fn inside(&self) -> Result<()> {
        self.title("The container");
        self.say("Its hostname, its processes, its interfaces:");
        for (typed, words) in [
            ("hostname", &["hostname"][..]),
            ("ps -e", &["ps", "-e"]),
            ("ip -brief address", &["ip", "-brief", "address"]),
        ] {
            self.launched(typed);
            let output = self.tutorial()?.arg("--").args(words).run()?;
            self.block(output.expect(0)?);
        }
        self.say("A program that looks for itself finds that it is process 1:");
        self.launched("sh -c 'echo I am process $$'");
        let output = self.tutorial()?.args(["--", "sh", "-c", "echo I am process $$"]).run()?;
        self.block(output.expect(0)?);
        Ok(())
    }

    fn talk(&self) -> Result<()> {
        self.title("Host and container talk");
        self.say("As in the tutorial: the container listens, the host connects, both say something.");
        self.launched("nc -n -N -l 4242");
        let mut container = self.tutorial()?.args(["--", "nc", "-n", "-N", "-l", "4242"]).start()?;
        container.send("Bye...\n")?;
        container.close_stdin();
        self.typed("echo 'Hi !' | nc 169.254.1.2 4242          (on the host)");
        let ask = "i=0; while [ $i -lt 100 ]; do
            echo 'Hi !' | nc -n -w 5 169.254.1.2 4242 && exit 0
            i=$((i + 1)); sleep 0.05
        done; exit 1";
        let heard_on_host = self.host.shell(ask)?;
        let output: Output = container.finish(SOON)?;
        let heard_inside = output.expect(0)?;
        self.block(&format!("the container heard: {heard_inside}the host heard:      {heard_on_host}"));
        if heard_inside != "Hi !\n" || heard_on_host != "Bye...\n" {
            bail!("they did not understand each other");
        }
        Ok(())
    }

    fn nothing_left(&self, before: &Census) -> Result<()> {
        self.title("Afterwards");
        before.comes_back(&self.host, Duration::from_secs(3))?;
        self.say("Interfaces, addresses, routes, firewall, mounts, cgroups and network settings of the host");
        self.say("were looked at before and after: nothing is left, byte for byte.");
        if !self.here {
            self.typed("ip -brief address");
            self.block(&self.host.shell("ip -brief address")?);
        }
        self.say("");
        self.say(
            "Next: `cargo xtask demo --here` shows it on this machine itself, scripts/README.md has more",
        );
        self.say("scripts, and README.md tells how to write one.");
        Ok(())
    }

    /// The launcher with the tutorial's script and grants.
    fn tutorial(&self) -> Result<Nshost<'_>> {
        self.host.nshost()?.run_script("tutorial")
    }

    fn launched(&self, command: &str) {
        self.typed(&format!(
            "nshost run --grants scripts/tutorial/grants.toml target/scripts/tutorial.wasm -- {command}"
        ));
    }

    fn title(&self, text: &str) {
        println!("\n{}", self.ink("1;34", text));
        println!("{}", self.ink("34", &"─".repeat(text.chars().count())));
    }

    fn say(&self, text: &str) {
        println!("{text}");
    }

    fn typed(&self, command: &str) {
        println!("\n  {} {}", self.ink("2", "$"), self.ink("1", command));
    }

    fn block(&self, text: &str) {
        for line in text.lines() {
            println!("  {line}");
        }
    }

    fn ink(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}
