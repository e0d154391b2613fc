//! Root inside a container against the host's processes, keys, files and launcher.

use std::{process::Stdio, time::Duration};

use anyhow::Result;
use attacks::{SOON, World};
use nix::sys::signal::Signal;
use support::{Nshost, Output, Running, component, root_or_skip, wasi_component};

/// Every kind of container that has processes of its own: with a `/proc` and without, with a user namespace
/// and without. And whether the launcher is root.
const KINDS: [(&str, bool); 8] = [
    ("own=usual private proc", true),
    ("own=usual", true),
    ("own=all private proc", true),
    ("own=all", true),
    ("own=usual private proc", false),
    ("own=usual", false),
    ("own=all private proc", false),
    ("own=pid,mount,uts", false),
];

/// What an ordinary user becomes, and has.
const USER: &[&str] = &["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", "--"];

/// The launcher as root, or as an ordinary user with a home in the host's own `/run`.
fn launch(world: &World, as_root: bool, steps: &str, command: &[&str]) -> Result<Output> {
    let (nshost, under) = prepared(world, as_root, steps, command)?;
    support::run(nshost.under(&under), SOON)
}

fn prepared<'w>(
    world: &'w World,
    as_root: bool,
    steps: &str,
    command: &[&str],
) -> Result<(Nshost<'w>, Vec<&'static str>)> {
    if as_root {
        return Ok((world.asks(steps)?.arg("--").args(command), vec!["env"]));
    }
    world.host.shell(&format!(
        "test -d /run/home || mkdir -m 777 /run/home; install -m 644 {} /run/asks.wasm",
        wasi_component("asks")?.display()
    ))?;
    let nshost = world.host.nshost()?.readable_by_all()?.args(["run", "--allow-all", "/run/asks.wasm"]);
    let nshost = nshost.args(steps.split_whitespace()).arg("--").args(command);
    let nshost = nshost.variable("NSHOST_CACHE_DIR", "/run/home/cache").variable("HOME", "/run/home");
    Ok((nshost.variable("XDG_RUNTIME_DIR", "/run/home"), USER.to_vec()))
}

/// Looks for a word in every command line that any `/proc` tells, under whatever is mounted there.
const SEEK: &str = "
    for turn in 1 2 3 4; do
        for proc in /proc /run/chroot/proc \"$(printf '/run/an odd\\\\\\n\\twän/proc')\"; do
            cat \"$proc\"/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -o '43[2]1' && echo seen
            umount \"$proc\" 2>/dev/null
        done
    done
    echo looked";

#[test]
fn the_hosts_processes_are_not_beneath_proc() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    // Also where the host has mounted another one.
    world.host.shell(
        "for proc in /run/chroot/proc \"$(printf '/run/an odd\\\\\\n\\twän/proc')\"; do
            mkdir -p \"$proc\"; mount -t proc proc \"$proc\"; mount -t proc proc \"$proc\"
        done",
    )?;
    let _process = world.start("host", "exec sleep 4321")?;
    for (steps, as_root) in KINDS {
        let output = launch(&world, as_root, steps, &["sh", "-c", SEEK])?;
        assert_eq!(output.expect(0)?, "looked\n", "{steps}, root: {as_root}");
    }
    // In the host's own PID namespace it is there to be seen.
    let seek = SEEK.replace("umount", ": umount");
    let shared = launch(&world, true, "own=network,uts,ipc", &["sh", "-c", &seek])?;
    assert!(shared.expect(0)?.contains("seen"), "{}", shared.text());
    // And its own /proc works as it did.
    let own = world.asks("own=usual private proc")?.args(["--", "sh", "-c", "cat /proc/$$/comm"]).run()?;
    assert_eq!(own.expect(0)?, "sh\n");
    Ok(())
}

/// Looks, after taking away what may lie above, and in single files of a procfs.
const DIG: &str = "
    for place in /run/above/deep /run/above /run/closed/proc /proc/sys /proc/uptime /run/command /proc; do
        cat /run/command /run/closed/proc/[0-9]*/cmdline /run/above/deep/proc/[0-9]*/cmdline 2>/dev/null |
            tr '\\0' ' ' | grep -o '43[2]1' && echo seen
        umount \"$place\" 2>/dev/null
    done
    echo looked";

/// Where a procfs is hidden, partly shown, or closed to whoever launches.
#[test]
fn a_procfs_that_is_hidden_or_bound_in_parts_is_found() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    let _process = world.start("host", "exec sleep 4321")?;
    world.host.shell(
        "mkdir -p /run/above/deep/proc /run/closed/proc; mount -t proc proc /run/above/deep/proc
        chmod 700 /run/closed; mount -t proc proc /run/closed/proc
        touch /run/command; mount --bind /proc/$(pgrep -fx 'sleep 4321')/cmdline /run/command
        mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys; mount --bind /proc/uptime /proc/uptime",
    )?;
    let shared = "own=network,uts,ipc";
    let reads = launch(&world, true, shared, &["sh", "-c", &DIG.replace("umount", ": umount")])?;
    assert!(reads.expect(0)?.contains("seen"), "{}", reads.text());
    for (steps, as_root) in KINDS {
        let output = launch(&world, as_root, steps, &["sh", "-c", DIG])?;
        assert_eq!(output.expect(0)?, "looked\n", "{steps}, root: {as_root}");
    }
    world.host.shell("mount -t tmpfs tmpfs /run/above")?;
    for (steps, as_root) in KINDS {
        let output = launch(&world, as_root, steps, &["sh", "-c", DIG])?;
        if as_root && !steps.contains("own=all") {
            assert!(
                output.code() != 0 && output.stderr.contains("beneath another mount"),
                "{}",
                output.text()
            );
        } else {
            assert_eq!(output.expect(0)?, "looked\n", "{steps}, root: {as_root}");
        }
    }
    Ok(())
}

/// What the host mounts while the container runs.
#[test]
fn a_procfs_that_is_mounted_later_does_not_appear() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    world.host.shell("mkdir -p /run/later; mount --make-rshared /")?;
    let look = "echo ready; read line; test -d /run/later/self && echo seen; echo looked";
    let kinds = KINDS.into_iter().chain([("own=mount,uts", true), ("own=user,mount,uts", false)]);
    for (steps, as_root) in kinds {
        let (nshost, under) = prepared(&world, as_root, steps, &["sh", "-c", look])?;
        let mut command = nshost.under(&under);
        command.stdin(Stdio::piped());
        let mut running = Running::start(command)?;
        running.wait_for("ready\n", SOON)?;
        world.host.shell("mount -t proc proc /run/later")?;
        running.send("\n")?;
        let output = running.finish(SOON)?;
        // The control: with the host's own processes it has the host's mounts too.
        let shares = steps.ends_with("mount,uts") && !steps.contains("pid");
        let expected = if shares { "ready\nseen\nlooked\n" } else { "ready\nlooked\n" };
        assert_eq!(output.expect(0)?, expected, "{steps}, root: {as_root}");
        world.host.shell("umount /run/later")?;
    }
    Ok(())
}

/// Writes into its own memory and into that of every process that is called as the launcher is.
const WRITE: &str = "
import os, re
def write(pid):
    for line in open(f'/proc/{pid}/maps'):
        span = re.match(r'([0-9a-f]+)-[0-9a-f]+ rw', line)
        if span:
            with open(f'/proc/{pid}/mem', 'r+b', 0) as memory:
                at = int(span[1], 16)
                memory.seek(at); byte = memory.read(1); memory.seek(at); memory.write(byte)
            return
write('self'); print('its own')
for pid in filter(str.isdigit, os.listdir('/proc')):
    try:
        if open(f'/proc/{pid}/comm').read() == 'nshost\\n':
            print('found')
            write(pid); print('written')
            os.stat(f'/proc/{pid}/root/proc'); print('entered')
    except PermissionError:
        pass
";

#[test]
fn the_launchers_memory_is_closed_to_what_it_launched() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    // In the host's PID namespace, where the launcher is to be seen.
    for (steps, as_root) in [("own=uts", false), ("own=user,uts", false), ("own=user,mount,uts", true)] {
        let output = launch(&world, as_root, steps, &["/usr/bin/python3", "-c", WRITE])?;
        assert!(output.expect(0)?.starts_with("its own\nfound\n"), "{steps}: {}", output.text());
        for harm in ["written", "entered"] {
            assert!(!output.stdout.contains(harm), "{steps}, root: {as_root}: {}", output.text());
        }
    }
    // Elsewhere it is not even seen, without a user namespace either.
    for (steps, as_root) in KINDS.into_iter().filter(|(steps, _)| steps.contains("proc")) {
        let script = format!("umount /proc; mount -t proc proc /proc\nexec python3 -c \"{WRITE}\"");
        let output = launch(&world, as_root, steps, &["sh", "-c", &script])?;
        assert!(!output.stdout.contains("found"), "{steps}, root: {as_root}: {}", output.text());
    }
    Ok(())
}

/// Reads the key from whatever session keyring there is.
const READ_KEY: &str = "
import ctypes
keyctl = lambda *a: ctypes.CDLL(None, use_errno=True).syscall(250, *a)
key = keyctl(10, -3, b'user', b'operators-secret', 0)
buffer = ctypes.create_string_buffer(100)
length = keyctl(11, key, buffer, 100) if key > 0 else -1
print(buffer.raw[:length] if length > 0 else 'no key')
";

/// Becomes an operator with a key in the session, and executes what follows.
const WITH_KEY: &str = "
import ctypes, os, sys
syscall = ctypes.CDLL(None, use_errno=True).syscall
assert syscall(250, 1, None) > 0
assert syscall(248, b'user', b'operators-secret', b'hunter2', 7, -3) > 0
os.execvp(sys.argv[1], sys.argv[1:])
";

#[test]
fn the_operators_keys_stay_with_the_operator() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    let under = ["python3", "-c", WITH_KEY];
    let control =
        world.host.run(under.iter().chain(&["/usr/bin/python3", "-c", READ_KEY]))?.expect(0)?.to_string();
    assert_eq!(control, "b'hunter2'\n");
    for (steps, as_root) in KINDS.into_iter().chain([("own=uts", true), ("own=uts", false)]) {
        let (nshost, user) = prepared(&world, as_root, steps, &["/usr/bin/python3", "-c", READ_KEY])?;
        let output = support::run(nshost.under(&[&user[..], &under].concat()), SOON)?;
        assert_eq!(output.expect(0)?, "no key\n", "{steps}, root: {as_root}");
    }
    Ok(())
}

/// A user has room for 200 keys, and the kernel frees those of ended sessions some time later.
#[test]
fn many_launches_of_one_user_have_keyrings_enough() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    for number in 0..300 {
        launch(&world, false, "own=uts", &["true"])
            .and_then(|output| output.expect(0).map(drop))
            .map_err(|error| error.context(format!("launch {number}")))?;
    }
    Ok(())
}

#[test]
fn a_former_containers_files_are_nobodys() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    world.host.shell("mkdir -m 1777 /run/shared")?;
    let run = |script: &str| {
        let all = "own=all private proc";
        world.asks(all)?.args(["--", "sh", "-uc", script]).run()
    };
    let leave = "
        umask 077; echo secret > /run/shared/file; cat /run/shared/file
        cp /usr/bin/id /run/shared/id; chmod 4755 /run/shared/id; read -r _ first _ < /proc/self/uid_map; echo $first";
    let left = run(leave)?.expect(0)?.to_string();
    // Its own it can read; and on the host the file is what it is: set-user-id.
    let (read, first) = left.trim().split_once('\n').unwrap_or_default();
    assert_eq!(read, "secret");
    let as_user = world.host.run(USER.iter().chain(&["/run/shared/id", "-u"]))?;
    assert_eq!(as_user.expect(0)?.trim(), first, "the control: it has its owner's rights");
    for _ in 0..20 {
        let next = run("cat /run/shared/file; /run/shared/id -u; stat -c %u /run/shared/id")?;
        assert!(!next.stdout.contains("secret"), "{}", next.text());
        assert!(next.stderr.contains("Permission denied"), "{}", next.text());
        // Nobody's, and executed with the rights of who executes it.
        assert_eq!(next.stdout, "0\n65534\n", "{}", next.text());
    }
    Ok(())
}

#[test]
fn no_file_gives_rights_in_a_user_namespace() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    world.host.shell("mkdir -m 1777 /run/shared")?;
    let own = "cp /usr/bin/id /run/shared/own; chmod 4755 /run/shared/own; stat -c %A /run/shared/own;";
    let other = "setpriv --reuid 7 --clear-groups /run/shared/own -u";
    let try_all = format!("{own} {other}; mount -o remount,bind,suid /run; {other}");
    for (steps, uid) in [("own=all private proc", "7"), ("own=usual private proc", "0")] {
        let output = world.asks(steps)?.args(["--", "sh", "-uc", &try_all]).run()?;
        // Without a user namespace, in the control, it is the host's root's own, and works.
        assert_eq!(output.stdout, format!("-rwsr-xr-x\n{uid}\n{uid}\n"), "{steps}: {}", output.text());
        world.host.shell("rm /run/shared/own")?;
    }
    Ok(())
}

#[test]
fn a_plan_says_who_is_root_of_the_host() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    for (name, is) in [("tutorial", true), ("isolated", false)] {
        let plan = |option: &str| {
            world.host.nshost()?.args(["plan", option, "--allow-all"]).arg(component(name)?).run()
        };
        assert_eq!(plan("--fresh")?.expect(0)?.contains("root of the host: "), is, "{name}");
        let json: serde_json::Value = serde_json::from_str(plan("--json")?.expect(0)?)?;
        assert_eq!(json["root-of-the-host"], is, "{name}");
    }
    let inspected = world.host.nshost()?.arg("inspect").arg(component("tutorial")?).run()?;
    assert!(inspected.expect(0)?.contains("root of the host"), "{}", inspected.text());
    // And it is so: the host's root alone may make a device.
    for (steps, code) in [("own=usual", 0), ("own=all", 1)] {
        let make = "mknod /run/device c 1 3 && rm /run/device";
        let made = world.asks(steps)?.args(["--", "sh", "-c", make]).run()?;
        assert_eq!(made.code(), code, "{steps}: {}", made.text());
    }
    Ok(())
}

#[test]
fn a_working_directory_is_not_where_the_operator_stands() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    for own in ["uts", "mount", "pid", "usual private proc", "all private proc"] {
        for link in ["/proc/self/cwd", "/proc/self/root", "/proc/thread-self/cwd", "/proc/1/cwd"] {
            let output = world.asks(&format!("own={own} directory={link}"))?.args(["--", "pwd"]).run()?;
            assert_eq!(output.code(), 125, "{own}, {link}: {}", output.text());
            assert!(output.stderr.contains("change directory"), "{own}, {link}: {}", output.text());
        }
        let control = world.asks(&format!("own={own} directory=/usr/lib"))?.args(["--", "pwd"]).run()?;
        assert_eq!(control.expect(0)?, "/usr/lib\n", "{own}");
    }
    Ok(())
}

#[test]
fn no_directory_of_the_hosts_is_handed_over() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    let _process = world.start("host", "exec sleep 4321")?;
    // From an open directory on, a path leads through the host's mounts.
    let script = "
        for fd in 0 1 2 3 9; do
            cat /proc/self/fd/$fd/proc/[0-9]*/cmdline /proc/self/fd/$fd/[0-9]*/cmdline 2>/dev/null |
                tr '\\0' ' ' | grep -q '43[2]1' && echo seen
        done; echo end";
    for steps in ["own=usual private proc", "own=all private proc"] {
        let with = |redirection: &str| {
            let shell = format!("exec \"$@\" {redirection}");
            let nshost = world.asks(steps)?.args(["--", "sh", "-c", script]);
            support::run(nshost.under(&["sh", "-c", &shell, "sh"]), SOON)
        };
        for (redirection, is_standard) in
            [("</", true), ("</proc", true), ("2</", true), ("3</", false), ("9</", false)]
        {
            let output = with(redirection)?;
            assert!(!output.stdout.contains("seen"), "{steps} {redirection}: {}", output.text());
            assert_eq!(output.code(), if is_standard { 125 } else { 0 }, "{}", output.text());
        }
        assert!(with("</")?.stderr.contains("none of them may be a directory"), "{steps}");
        assert_eq!(with("</dev/null")?.expect(0)?, "end\n", "{steps}");
    }
    Ok(())
}

/// A terminal that hangs up, with a launcher as its session's leader; prints how that ended, the processor
/// time that it took, and what the command wrote in the end.
const HANG_UP: &str = "
import fcntl, os, pty, sys, termios
master, slave = pty.openpty()
child = os.fork()
if child == 0:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in 0, 1, 2: os.dup2(slave, fd)
    os.close(master); os.close(slave)
    os.execvp(sys.argv[1], sys.argv[1:])
os.close(slave)
seen = b''
while b'ready' not in seen: seen += os.read(master, 1000)
os.close(master)
_, status, used = os.wait4(child, 0)
print(os.waitstatus_to_exitcode(status), round(used.ru_utime + used.ru_stime, 1))
print(open('/run/ended').read())
";

#[test]
fn a_launcher_whose_terminal_has_hung_up_waits_quietly() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    // More is printed than any terminal holds while nobody reads; the command goes on all the same.
    let survives = "trap '' HUP; echo rea''dy; sleep 1
        head -c 300000 /dev/zero | tr '\\0' x; sleep 1; echo survived > /run/ended; exit 7";
    for options in [&[][..], &["--init"]] {
        let nshost = world.host.nshost()?.args(["run", "--allow-all"]).args(options);
        let nshost = nshost.arg(component("tutorial")?).args(["--", "sh", "-c", survives]);
        let output = support::run(nshost.under(&["/usr/bin/python3", "-c", HANG_UP]), SOON)?;
        let (ended, file) = output.expect(0)?.split_once('\n').unwrap_or_default();
        let (status, used) = ended.split_once(' ').unwrap_or_default();
        assert_eq!((status, file.trim()), ("7", "survived"), "{}", output.text());
        assert!(used.parse::<f32>()? < 0.5, "{used} s of the processor's time");
    }
    // One that does not handle the signal ends by it.
    let nshost = world.host.nshost()?.args(["run", "--allow-all"]).arg(component("tutorial")?);
    let nshost = nshost.args(["--", "sh", "-c", "echo old > /run/ended; echo rea''dy; sleep 100"]);
    let output = support::run(nshost.under(&["/usr/bin/python3", "-c", HANG_UP]), SOON)?;
    assert_eq!(output.expect(0)?.lines().next().and_then(|line| line.split(' ').next()), Some("129"));
    Ok(())
}

/// A killed launcher's container is gone when the next one starts, and keeps nobody from ids.
#[test]
fn ids_outlive_killed_launchers() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    let mut seen = std::collections::HashSet::new();
    for number in 0..12 {
        let script = "read -r _ first _ < /proc/self/uid_map; echo first $first ready; sleep 100";
        let running = world.container("own=all private proc", script)?;
        let text = running.stdout();
        let first = text.split_whitespace().nth(1).unwrap_or_default().to_string();
        assert!(first.parse::<u32>()? >= 0x7000_0000, "{text}");
        assert!(seen.insert(first), "{number}: ids came again: {text}");
        running.signal(Signal::SIGKILL)?;
        let _ = running.finish(Duration::from_secs(5));
    }
    world.host.nshost()?.arg("gc").run()?.expect(0)?;
    Ok(())
}
