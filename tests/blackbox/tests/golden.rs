//! Every mistake that we could think of, and what is said to whoever makes it: what is wrong, where, and what to do.
//! `golden/messages.txt` has them all, to be read by people; `cargo xtask bless` writes it anew.

use std::{cell::RefCell, fs, path::PathBuf};

use anyhow::{Context, Result};
use blackbox::SOON;
use nix::sys::signal::Signal;
use support::{Host, Nshost, Output, Running, component, root_or_skip, wasi_component};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/messages.txt");

/// Where the operator is, in the host.
const HERE: &str = "/run/here";

/// One mistake.
struct Case {
    name: &'static str,
    /// What is arranged before, in the host: a shell script.
    before: &'static str,
    /// What is typed after `nshost`, as a shell takes it.
    typed: &'static str,
    /// Whether an ordinary user types it.
    by_user: bool,
}

/// By root.
const fn case(name: &'static str, typed: &'static str) -> Case {
    Case { name, before: "", typed, by_user: false }
}

/// By root, after something else.
const fn after(before: &'static str, name: &'static str, typed: &'static str) -> Case {
    Case { name, before, typed, by_user: false }
}

/// By an ordinary user, after something else.
const fn user(before: &'static str, name: &'static str, typed: &'static str) -> Case {
    Case { name, before, typed, by_user: true }
}

const WHAT_IS_NO_SCRIPT: &[Case] = &[
    case("a script that is not there", "run --allow-all tutoral.wasm"),
    case("a script in a directory that is not there", "run --allow-all scrips/tutorial.wasm"),
    case("a directory for a script", "run --allow-all ."),
    after("mkfifo pipe", "a pipe for a script", "run --allow-all pipe"),
    after(": > empty.wasm", "an empty file", "run --allow-all empty.wasm"),
    after("echo some text > text.wasm", "a text", "run --allow-all text.wasm"),
    after("printf '\\0asm\\1\\0\\0\\0' > core.wasm", "a core module", "run --allow-all core.wasm"),
    after(
        "printf '\\0asm\\143\\0\\1\\0' > new.wasm",
        "an unknown version of WebAssembly",
        "run --allow-all new.wasm",
    ),
    after("head -c 5000 tutorial.wasm > cut.wasm", "half a script", "run --allow-all cut.wasm"),
    after("echo '(component)' > script.wat", "WebAssembly's text", "run --allow-all script.wat"),
    case("a program for a script", "run --allow-all /bin/true"),
    after("gzip < tutorial.wasm > tutorial.gz", "a compressed script", "run --allow-all tutorial.gz"),
    after("echo 'use nshost_sdk::prelude::*;' > lib.rs", "a script's source", "run --allow-all lib.rs"),
    after(
        "printf '#!/bin/sh\\n' > setup.sh",
        "a shell script for a setup script",
        "run --allow-all setup.sh",
    ),
    after("truncate -s 65M large.wasm", "a script that is too large", "run --allow-all large.wasm"),
    case("a grants file for a script", "run grants.toml"),
    case("a component without setup", "run --allow-all nothing.wasm"),
    case("a program with a main", "run --allow-all program.wasm"),
    case("a component for something else", "run --allow-all other.wasm"),
    case("a setup of another type", "run --allow-all othertype.wasm"),
    case("a script for a contract that is to come", "run --allow-all future.wasm"),
    case("an import that the host does not have", "run --allow-all import.wasm"),
    user("chmod 600 secret.wasm", "a script that this user may not read", "run --allow-all secret.wasm"),
    case("inspect of what is no script", "inspect grants.toml"),
    case("inspect of a core module", "inspect core.wasm"),
    case("inspect of a component without setup", "inspect nothing.wasm"),
];

const GRANTS: &[Case] = &[
    case("script and grants swapped", "run --grants tutorial.wasm grants.toml -- true"),
    case("grants that are not there", "run --grants missing.toml tutorial.wasm"),
    case("a directory for grants", "run --grants . tutorial.wasm"),
    after(
        "printf 'schema = 1\\n\\377\\n' > bytes.toml",
        "grants that are no text",
        "run --grants bytes.toml tutorial.wasm",
    ),
    after("truncate -s 2M zeros.toml", "grants that are too large", "run --grants zeros.toml tutorial.wasm"),
    user(
        "chmod 600 secret.toml",
        "grants that this user may not read",
        "run --grants secret.toml tutorial.wasm",
    ),
    after(": > g.toml", "no schema", "run --grants g.toml tutorial.wasm"),
    after("echo schema = 2 > g.toml", "another schema", "run --grants g.toml tutorial.wasm"),
    after(
        "printf 'schema = 1\\nscript = \"tutorial.wasm\"\\n' > g.toml",
        "no digest",
        "run --grants g.toml tutorial.wasm",
    ),
    after(
        "printf 'schema = 1\\n[[adress]]\\nrange = \"10.0.0.0/8\"\\n' > g.toml",
        "a table misspelt",
        "run --grants g.toml tutorial.wasm",
    ),
    after(
        "printf 'schema = 1\\n[[link]]\\nkind = \"veth\"\\nhost_name = \"veth0\"\\n' > g.toml",
        "a key misspelt",
        "run --grants g.toml tutorial.wasm",
    ),
    after(
        "printf 'schema = 1\\n[[link]]\\nkind = \"veth\"\\ncolour = 1\\n' > g.toml",
        "a key that there is not",
        "run --grants g.toml tutorial.wasm",
    ),
    after(
        "printf 'schema = 1\\n[[link]]\\nkind = \"bridge\"\\n' > g.toml",
        "a kind that there is not",
        "run --grants g.toml tutorial.wasm",
    ),
    after(
        "printf 'schema = 1\\n[link]\\nkind = \"veth\"\\n' > g.toml",
        "one bracket for two",
        "run --grants g.toml tutorial.wasm",
    ),
    after(
        "printf 'schema = 1\\n[[limits]]\\nsteps = 3\\n' > g.toml",
        "two brackets for one",
        "run --grants g.toml tutorial.wasm",
    ),
    after(
        "printf 'schema = 1\\n[[masquerade]]\\nsource = \"10.0.0.0/8\"\\n' > g.toml",
        "a key forgotten",
        "run --grants g.toml tutorial.wasm",
    ),
    after(
        "printf 'schema = 1\\n[limits]\\nsteps = 3\\nsteps = 4\\n' > g.toml",
        "a key twice",
        "run --grants g.toml tutorial.wasm",
    ),
    after(
        "printf 'schema = 1\\n[[forward]]\\nprotocol = \"tcp\"\\nports = 80\\n' > g.toml",
        "a number for a string",
        "run --grants g.toml tutorial.wasm",
    ),
    after(
        "printf 'schema = 1\\n[[forward]]\\nprotocol = \"tcp\"\\nports = \"80-70\"\\n' > g.toml",
        "ports from behind",
        "run --grants g.toml tutorial.wasm",
    ),
    after(
        "printf 'schema = 1\\n[firewall]\\npass = \"yes\"\\n' > g.toml",
        "a string for yes or no",
        "run --grants g.toml tutorial.wasm",
    ),
    after(
        "printf 'schema = 1\\n[[address]]\\nrange = \"10.0.0.1/8\"\\n' > g.toml",
        "a network with host bits",
        "run --grants g.toml tutorial.wasm",
    ),
    after(
        "printf 'schema = 1\\n[[address]]\\nrange = \"10.0.0.0/33\"\\n' > g.toml",
        "a prefix that is too long",
        "run --grants g.toml tutorial.wasm",
    ),
    after(
        "printf 'schema = 1\\n[[link]]\\nkind = \"veth\"\\nhost-name = \"a-very-long-name0\"\\n' > g.toml",
        "a name that is too long in grants",
        "run --grants g.toml tutorial.wasm",
    ),
    after(
        "printf 'schema = 1\\n[limits]\\nwall-ms = 999999\\n' > g.toml",
        "a limit that is too great",
        "run --grants g.toml tutorial.wasm",
    ),
    after(
        "printf 'schema = 1\\n[[exec]]\\npath = \"sh\"\\n' > g.toml",
        "a program without its path",
        "run --grants g.toml tutorial.wasm",
    ),
    after(
        "printf 'schema = 1\\n[[exec]]\\npath = \"/bin/sh\"\\ndeny = true\\n' > g.toml",
        "a denial that denies nothing",
        "run --grants g.toml tutorial.wasm",
    ),
    after(
        "printf 'schema = 1\\n[[link]]\\nkind = \"veth\\n' > g.toml",
        "a quote that is not closed",
        "run --grants g.toml tutorial.wasm",
    ),
    after(
        "printf 'schema = 1\\nscript = \"sha256:%064d\"\\n' 7 > g.toml",
        "grants for another script",
        "run --grants g.toml tutorial.wasm",
    ),
    case("no grants", "run isolated.wasm"),
    after(
        "echo schema = 1 > g.toml",
        "grants that lack something",
        "run --grants g.toml asks.wasm own=usual veth=a,b -- true",
    ),
    after(
        "printf 'schema = 1\\n[[link]]\\nkind = \"veth\"\\nhost-name = \"veth*\"\\ndeny = true\\n' > g.toml",
        "what is denied",
        "run --grants g.toml asks.wasm own=usual veth=veth0,b -- true",
    ),
    after(
        "printf 'schema = 1\\n[limits]\\nsteps = 3\\n' > g.toml",
        "too many steps",
        "run --grants g.toml asks.wasm own=usual -- true",
    ),
];

const PLANS: &[Case] = &[
    case("no way out", "run --allow-all nat.wasm -- true"),
    case("a port that there is not", "run --allow-all nat.wasm 99999 -- true"),
    case("a name server that is none", "run --allow-all nat.wasm dns=localhost -- true"),
    case("an argument that means nothing", "run --allow-all nat.wasm port=80 -- true"),
    case("a command without the --", "run --allow-all tutorial.wasm ls"),
    case("a name asked for twice", "run --allow-all asks.wasm own=network veth=a,b veth=a,c"),
    case(
        "an address asked for twice",
        "run --allow-all asks.wasm own=network veth=a,b host=10.9.0.1/24 inside=10.9.0.1/24",
    ),
    case("a namespace asked for twice", "run --allow-all asks.wasm own=uts,uts"),
    case(
        "an interface name that is too long",
        "run --allow-all asks.wasm own=network veth=a-very-long-name0,b",
    ),
    case("an address without prefix", "run --allow-all asks.wasm own=network veth=a,b host=10.9.0.1"),
    case("a network's own address", "run --allow-all asks.wasm own=network veth=a,b host=10.9.0.0/24"),
    case(
        "networks that overlap",
        "run --allow-all asks.wasm own=network veth=a,b host=10.9.0.1/24 veth=c,d host=10.9.0.2/16",
    ),
    case(
        "a route by a hop that is nowhere",
        "run --allow-all asks.wasm own=network veth=a,b inside=10.9.0.2/24 route-inside=0.0.0.0/0,10.8.0.1",
    ),
    case(
        "NAT for an address that nobody has",
        "run --allow-all asks.wasm own=network masquerade=10.9.0.2,eth0",
    ),
    case("a link without its namespace", "run --allow-all asks.wasm veth=a,b"),
    case("/proc without private mounts", "run --allow-all asks.wasm own=pid,mount proc"),
    case("a hostname that is none", "run --allow-all asks.wasm own=uts hostname="),
    case("a path that is relative", "run --allow-all asks.wasm directory=srv"),
    case(
        "a way out that there is not",
        "run --allow-all asks.wasm own=network veth=a,b inside=10.9.0.2/24 masquerade=10.9.0.2,wlan0",
    ),
    case("a network of the host's", "run --allow-all asks.wasm own=network veth=a,b host=198.51.100.77/24"),
    case("a name of the host's", "run --allow-all asks.wasm own=network veth=lan,b"),
    case("a panic", "run --allow-all --fresh chatty.wasm panic"),
    case("an index that is out of bounds", "run --allow-all chatty.wasm index"),
    case("a number that is none", "run --allow-all chatty.wasm parse 12ab"),
    case("a script's own lines", "run --allow-all chatty.wasm lines"),
    case("a script that does not say why", "run --allow-all chatty.wasm silent"),
    case("a script that exits", "run --allow-all chatty.wasm exit"),
    case("a crash: unreachable", "run --allow-all crash-unreachable.wasm"),
    case("a crash: recursion without end", "run --allow-all crash-stack.wasm"),
    case("a crash: memory", "run --allow-all crash-memory.wasm"),
    case("a crash: division by zero", "run --allow-all crash-division.wasm"),
    case("a crash: overflow", "run --allow-all crash-overflow.wasm"),
    case("a crash: a function pointer", "run --allow-all crash-pointer.wasm"),
    case("a crash: a handle of its own making", "run --allow-all crash-handle.wasm"),
    case("a crash: a result out of its memory", "run --allow-all crash-result.wasm"),
    case("a crash: a result that is none", "run --allow-all crash-variant.wasm"),
    case("a crash: a float", "run --allow-all crash-float.wasm"),
    case("a budget: wall time", "run --allow-all budget-time.wasm"),
    case("a budget: memory", "run --allow-all budget-memory.wasm"),
    case("a budget: host calls", "run --allow-all budget-calls.wasm"),
    case("a budget: log", "run --allow-all budget-log.wasm"),
    case("a budget: copied bytes", "run --allow-all budget-copied.wasm"),
    case("a budget: table elements", "run --allow-all budget-table.wasm"),
    case("a budget: instances", "run --allow-all budget-instances.wasm"),
    case("a budget: steps", "run --allow-all budget-steps.wasm"),
    after(
        "printf 'schema = 1\\n[limits]\\ncompile-memory-mib = 1\\n' > g.toml",
        "a budget: compile memory",
        "run --grants g.toml --fresh isolated.wasm -- true",
    ),
    after(
        "printf 'schema = 1\\n[limits]\\ncompile-ms = 1\\n' > g.toml",
        "a budget: compile time",
        "run --grants g.toml --fresh isolated.wasm -- true",
    ),
    case("no plan of such a script either", "plan crash-division.wasm"),
];

/// While `web` runs, which has `veth0`, its network, and a port.
const TAKEN: &[Case] = &[
    case("a link's name that another container has", "run --allow-all tutorial.wasm -- true"),
    case("the same, as a plan", "plan --allow-all tutorial.wasm"),
    case(
        "a network that another container has",
        "run --allow-all asks.wasm own=network veth=x,y host=169.254.1.5/24 -- true",
    ),
    case(
        "an address that another container has",
        "run --allow-all asks.wasm own=network veth=x,y inside=169.254.1.2/32 -- true",
    ),
    case(
        "a port that another container has",
        "run --allow-all asks.wasm own=network veth=x,y host=10.9.0.1/24 inside=10.9.0.2/24 tcp=8080,10.9.0.2,80 -- true",
    ),
    case(
        "a port on which the host listens",
        "run --allow-all asks.wasm own=network veth=x,y host=10.9.0.1/24 inside=10.9.0.2/24 tcp=7777,10.9.0.2,80 -- true",
    ),
    case(
        "a container's name that another has",
        "run --name web --allow-all asks.wasm own=all private proc -- true",
    ),
    case(
        "a way out by another container",
        "run --allow-all asks.wasm own=network veth=x,y inside=10.9.0.2/24 masquerade=10.9.0.2,veth0 -- true",
    ),
];

const COMMANDS: &[Case] = &[
    after(
        "echo '#!/no/such/interpreter' > plugin; chmod 755 plugin",
        "a program beside the operator",
        "run --allow-all isolated.wasm -- ./plugin",
    ),
    case("a program that is nowhere", "run --allow-all isolated.wasm -- ./plugn"),
    case("a bare name of one beside the operator", "run --allow-all isolated.wasm -- plugin"),
    case("a bare name that is nowhere", "run --allow-all isolated.wasm -- gcc-99"),
    case("a path that is nowhere", "run --allow-all isolated.wasm -- /usr/bin/gcc-99"),
    case("an interpreter that is not there", "run --allow-all isolated.wasm -- /run/here/plugin"),
    after(
        "echo hello > notes; chmod 644 notes",
        "a file that is not executable",
        "run --allow-all isolated.wasm -- /run/here/notes",
    ),
    after(
        "echo hello > words; chmod 755 words",
        "a file that is no program",
        "run --allow-all isolated.wasm -- /run/here/words",
    ),
    case("an option behind the --", "run --allow-all isolated.wasm -- --name web"),
    case("a directory for a command", "run --allow-all isolated.wasm -- /etc"),
    case("no command", "run --allow-all nocommand.wasm"),
];

const LINES: &[Case] = &[
    case("a verb misspelt", "rnu tutorial.wasm"),
    case("no script", "run"),
    case("an option misspelt", "run --grnats grants.toml tutorial.wasm"),
    case("an option without its value", "run tutorial.wasm --grants"),
    case("everything granted, and a file of grants", "run --allow-all --grants grants.toml tutorial.wasm"),
    case("a name that none can have", "run --name a/b --allow-all tutorial.wasm"),
    case("a name without letters", "run --name '' --allow-all tutorial.wasm"),
    case("a script's name behind the --", "run -- tutorial.wasm"),
];

const PLACES: &[Case] = &[
    case(
        "an audit in a directory that is not there",
        "run --audit log/audit.json --allow-all isolated.wasm -- true",
    ),
    case("a directory for an audit", "run --audit . --allow-all isolated.wasm -- true"),
    after(
        "ln -s /etc/passwd link.json",
        "an audit that is a link",
        "run --audit link.json --allow-all isolated.wasm -- true",
    ),
    user(
        "",
        "an audit that this user may not write",
        "run --audit audit.json --allow-all isolated.wasm -- true",
    ),
    after(
        "mount -t tmpfs -o ro tmpfs /run/here/ro",
        "an audit that cannot be written",
        "run --audit ro/audit.json --allow-all isolated.wasm -- true",
    ),
];

/// With `NSHOST_STATE_DIR` somewhere else.
const STATE: &[(Case, &str)] = &[
    (
        after(
            "mkdir -m 777 /run/open; chmod 777 /run/open",
            "a state directory that others can write",
            "run --allow-all isolated.wasm -- true",
        ),
        "/run/open",
    ),
    (case("the same, to clean up", "gc"), "/run/open"),
    (
        after(
            "mkdir /run/theirs; chown 1000 /run/theirs",
            "a state directory of somebody else's",
            "run --allow-all isolated.wasm -- true",
        ),
        "/run/theirs",
    ),
    (
        after(": > /run/file", "a file for a state directory", "run --allow-all isolated.wasm -- true"),
        "/run/file",
    ),
    (case("a state directory in one that is not there", "run --allow-all isolated.wasm -- true"), "/run/a/b"),
    (
        user("", "a state directory that this user may not make", "run --allow-all isolated.wasm -- true"),
        "/run/mine",
    ),
];

#[test]
fn every_mistake_is_told_with_what_to_do() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (mut text, mut wrong) = (String::new(), Vec::new());
    for (title, cases) in [
        ("What is no script", WHAT_IS_NO_SCRIPT),
        ("Grants", GRANTS),
        ("What scripts ask for, and how they end", PLANS),
        ("Commands", COMMANDS),
        ("Command lines", LINES),
        ("Audits", PLACES),
    ] {
        let desk = Desk::new()?;
        text += &section(title);
        for case in cases {
            text += &desk.told(case, None)?;
        }
        wrong.extend(desk.wrong.take());
    }
    let desk = Desk::new()?;
    text += &section("What somebody has");
    let _listener = desk.host.start(["nc", "-l", "-k", "7777"])?;
    // A plan that is remembered from when nobody had what it asks for.
    desk.nshost()?.args(["plan", &format!("{HERE}/tutorial.wasm")]).run()?.expect(0)?;
    let web = desk.web()?;
    for case in TAKEN {
        text += &desk.told(case, None)?;
    }
    web.signal(Signal::SIGKILL)?;
    web.finish(SOON)?;
    text += &desk.told(&case("a launcher that was killed", "plan --allow-all tutorial.wasm"), None)?;
    wrong.extend(desk.wrong.take());
    let desk = Desk::new()?;
    text += &section("Where things are written");
    for (case, state) in STATE {
        text += &desk.told(case, Some(state))?;
    }
    desk.host.shell("mount --bind /proc/sys /proc/sys; mount -o remount,ro,bind /proc/sys")?;
    text += &desk
        .told(&case("settings that cannot be written", "run --allow-all tutorial.wasm -- true"), None)?;
    desk.host.shell("umount /proc/sys; rm /run/programs/nshost-worker")?;
    text += &desk.told(&user("", "no worker", "run --allow-all isolated.wasm -- true"), None)?;

    wrong.extend(desk.wrong.take());
    if std::env::var_os("NSHOST_BLESS").is_some() {
        fs::write(FILE, &text).context("cannot write the golden messages")?;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let golden = fs::read_to_string(FILE).context("no golden messages")?;
    let difference = golden.split("\n\n").zip(text.split("\n\n")).find(|(old, new)| old != new);
    if let Some((old, new)) = difference {
        panic!("golden:\n{old}\n\nnow:\n{new}\n\n`cargo xtask bless` rewrites it");
    }
    assert_eq!(golden, text);
    Ok(())
}

fn section(title: &str) -> String {
    format!("\n\n{title}\n{}\n", "=".repeat(title.chars().count()))
}

/// A host with an operator's files.
struct Desk {
    host: Host,
    /// What is not as every message should be.
    wrong: RefCell<Vec<String>>,
}

impl Desk {
    fn new() -> Result<Desk> {
        let host = Host::new()?;
        host.shell(&format!("mkdir -m 755 {HERE} {HERE}/ro; mkdir -m 777 /run/home"))?;
        host.shell("ip link add lan type veth peer name lan-end; ip address add 198.51.100.1/24 dev lan; ip link set lan up")?;
        let desk = Desk { host, wrong: RefCell::default() };
        for name in ["tutorial", "nat", "isolated"] {
            desk.file(&format!("{name}.wasm"), fs::read(component(name)?)?)?;
        }
        for name in ["asks", "chatty"] {
            desk.file(&format!("{name}.wasm"), fs::read(wasi_component(name)?)?)?;
        }
        for (name, bytes) in components() {
            desk.file(&format!("{name}.wasm"), bytes)?;
        }
        let grants = fs::read(support::scripts().join("tutorial/grants.toml"))?;
        desk.file("secret.toml", &grants)?;
        desk.file("grants.toml", grants)?;
        desk.file("secret.wasm", "secret")?;
        desk.host.nshost()?.readable_by_all()?;
        Ok(desk)
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> Result<()> {
        fs::write(self.host.path(&format!("{HERE}/{name}")), bytes)
            .with_context(|| format!("cannot write {name}"))
    }

    /// A container that has what others want.
    fn web(&self) -> Result<Running> {
        let words = "own=usual private proc veth=veth0,veth1 host=169.254.1.1/30 inside=169.254.1.2/30 up \
                     tcp=8080,169.254.1.2,80";
        let script = format!("{HERE}/asks.wasm");
        let run = self.nshost()?.args(["run", "--name", "web", "--allow-all", &script]);
        let mut web =
            run.args(words.split_whitespace()).args(["--", "sh", "-c", "echo ready; read line"]).start()?;
        web.wait_for("ready", SOON)?;
        Ok(web)
    }

    /// With a cache of this host's own: what another build said of a script is not remembered.
    fn nshost(&self) -> Result<Nshost<'_>> {
        Ok(self.host.nshost()?.variable("NSHOST_CACHE_DIR", "/run/cache"))
    }

    /// What is typed, what is said, and the exit code.
    fn told(&self, case: &Case, state: Option<&str>) -> Result<String> {
        let Case { name, before, typed, by_user } = *case;
        self.host.shell(&format!("cd {HERE}; {before}"))?;
        let typing = format!("cd {HERE}; exec \"$0\" {typed}");
        let nshost = self.nshost()?;
        let nshost = match state {
            Some(directory) => nshost.variable("NSHOST_STATE_DIR", directory),
            None => nshost,
        };
        let output = if by_user {
            let nshost = nshost.readable_by_all_already();
            let nshost = nshost.variable("HOME", "/run/home").variable("NSHOST_CACHE_DIR", "/run/home/cache");
            let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", &typing];
            support::run(nshost.under(&nobody), SOON)?
        } else {
            support::run(nshost.under(&["sh", "-c", &typing]), SOON)?
        };
        self.wrong.borrow_mut().extend(wrong(name, &output));
        let who = if by_user { '$' } else { '#' };
        let state = state.map_or(String::new(), |state| format!("NSHOST_STATE_DIR={state} "));
        Ok(format!(
            "\n--- {name}\n{who} {state}nshost {typed}\n{}{}[{}]\n",
            steady(&output.stdout),
            steady(&output.stderr),
            output.code()
        ))
    }
}

/// What holds for every one of them, and not for this one.
fn wrong(name: &str, output: &Output) -> Vec<String> {
    let ours = output.stderr.lines().filter(|line| line.starts_with("nshost: ")).count();
    let mut wrong = Vec::new();
    for (holds, what) in [
        (ours == 1 || output.code() == 0, "one line of ours"),
        (
            matches!(output.code(), 120..=127) || output.stdout.contains("not a setup script"),
            "a code of ours",
        ),
        (!output.stderr.chars().any(|c| c.is_control() && c != '\n'), "nothing that a terminal acts on"),
        (output.stderr.lines().all(|line| line.chars().count() <= 240), "short lines"),
    ] {
        wrong.extend((!holds).then(|| format!("{name}: not {what}: {}", output.text())));
    }
    for noise in [
        "os error",
        "RUST_BACKTRACE",
        "wasm trap",
        "wasm backtrace",
        "/rustc/",
        "Error {",
        "invalid type: map",
    ] {
        wrong.extend(output.stderr.contains(noise).then(|| format!("{name}: {noise}: {}", output.text())));
    }
    wrong
}

/// Without what is different each time: digests, ids, process ids, times.
fn steady(text: &str) -> String {
    let mut steady = String::new();
    for piece in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let word = piece.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let rest = &piece[word.len()..];
        let hex = word.bytes().all(|b| b.is_ascii_hexdigit());
        let number = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
        let counted =
            ["pid ", "kill ", "for ", ".rs:", "range ", ".."].iter().any(|before| steady.ends_with(before));
        match word.len() {
            64 if hex => steady.push_str("DIGEST"),
            32 if hex => steady.push_str("ID"),
            _ if number && counted => steady.push('N'),
            _ => steady.push_str(word),
        }
        steady.push_str(rest);
    }
    steady.replace("N seconds", "N second")
}

/// A component with every function of the contract, whose core module has these fields.
fn hosted(fields: &str) -> Vec<u8> {
    let types = include_str!("../../../host/script/tests/fixtures/types.wat");
    let text = include_str!("../../../host/script/tests/fixtures/host.wat");
    wat::parse_str(text.replace("@TYPES@", types).replace("@MAIN@", fields))
        .expect("the fixture is well formed")
}

fn setup(body: &str) -> Vec<u8> {
    hosted(&format!("(table 1 funcref) (type $f (func)) (func $setup (result i32) {body})"))
}

/// What no SDK makes.
fn components() -> Vec<(&'static str, Vec<u8>)> {
    let plain = |text: &str| wat::parse_str(text).expect("well formed");
    let exporting = |name: &str| {
        plain(&format!(
            r#"(component (core module $m (func (export "f"))) (core instance $i (instantiate $m))
                (func $f (canon lift (core func $i "f"))) (instance $e (export "run" (func $f)))
                (export "{name}" (instance $e)))"#
        ))
    };
    let importing =
        |name: &str| plain(&format!(r#"(component (import "{name}" (instance (export "f" (func)))))"#));
    let forever = |body: &str| setup(&format!("(loop {body} (br 0)) unreachable"));
    let instances = "(core instance (instantiate $empty))".repeat(65);
    vec![
        ("nothing", plain("(component)")),
        ("program", exporting("wasi:cli/run@0.2.3")),
        ("other", exporting("example:plugin/handler@1.0.0")),
        (
            "othertype",
            plain(
                r#"(component (core module $m (func (export "setup") (result i32) i32.const 0))
                    (core instance $i (instantiate $m))
                    (func (export "setup") (result u32) (canon lift (core func $i "setup"))))"#,
            ),
        ),
        ("future", importing("nshost:setup/container@0.2.0")),
        ("import", importing("example:host/files@1.0.0")),
        ("nocommand", setup("(i32.const 16)")),
        ("crash-unreachable", setup("unreachable")),
        ("crash-stack", setup("(call $setup)")),
        ("crash-memory", setup("(i32.load (i32.const -4))")),
        ("crash-division", setup("(i32.div_u (i32.const 1) (i32.const 0))")),
        ("crash-overflow", setup("(i32.div_s (i32.const 0x80000000) (i32.const -1))")),
        ("crash-pointer", setup("(call_indirect (type $f) (i32.const 0)) (i32.const 16)")),
        ("crash-handle", setup("(call $link.endpoint.up (i32.const 7) (i32.const 16)) (i32.const 16)")),
        ("crash-result", setup("(i32.const -4)")),
        ("crash-variant", setup("(i32.store (i32.const 16) (i32.const 77)) (i32.const 16)")),
        ("crash-float", setup("(i32.trunc_f32_s (f32.const nan))")),
        ("budget-time", forever("")),
        ("budget-memory", forever("(drop (memory.grow (i32.const 64)))")),
        ("budget-calls", forever("(drop (call $facts.instance))")),
        ("budget-log", forever("(call $log.info (i32.const 0) (i32.const 70000))")),
        ("budget-copied", forever("(call $facts.addresses (i32.const 0) (i32.const 60000) (i32.const 16))")),
        ("budget-table", setup("(drop (table.grow 0 (ref.null func) (i32.const 200000))) (i32.const 16)")),
        (
            "budget-instances",
            plain(&format!(
                r#"(component {} (core module $empty) {instances}
                    (core module $main (memory (export "memory") 1) (func (export "setup") (result i32) i32.const 16))
                    (core instance $main (instantiate $main))
                    (func (export "setup") (result (result (error $failure)))
                        (canon lift (core func $main "setup") (memory (core memory $main "memory")))))"#,
                include_str!("../../../host/script/tests/fixtures/types.wat")
            )),
        ),
        ("budget-steps", hosted(&steps())),
    ]
}

/// A variable for each number from `A0000` on, until there is no more room for steps.
fn steps() -> String {
    r#"(data (i32.const 1024) "A0000")
    (func $setup (result i32) (local $n i32)
        (loop
            (call $process.variable (i32.const 1024) (i32.const 5) (i32.const 1024) (i32.const 1) (i32.const 16))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (i32.store8 (i32.const 1028) (i32.add (i32.const 48) (i32.rem_u (local.get $n) (i32.const 10))))
            (i32.store8 (i32.const 1027)
                (i32.add (i32.const 48) (i32.rem_u (i32.div_u (local.get $n) (i32.const 10)) (i32.const 10))))
            (i32.store8 (i32.const 1026) (i32.add (i32.const 48) (i32.div_u (local.get $n) (i32.const 100))))
            (br 0))
        unreachable)"#
        .to_string()
}

/// The file is there, and is read from the directory that `cargo` knows.
#[test]
fn the_golden_file_has_more_than_fifty_mistakes() -> Result<()> {
    let text = fs::read_to_string(PathBuf::from(FILE))?;
    assert!(text.matches("\n--- ").count() > 50, "{}", text.matches("\n--- ").count());
    Ok(())
}
