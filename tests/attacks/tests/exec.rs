//! What a script may execute: other names of a program, other files at its path, other arguments.

use std::{thread, time::Duration};

use anyhow::Result;
use attacks::{SOON, World};
use support::{Output, Running, Scratch, root_or_skip};

const APART: &str = "own=usual private proc";

const EVIL: &str = "
    mkdir -p /run/evil
    printf '#!/bin/sh\\necho EVIL\\n' > /run/evil/ls
    cp /usr/bin/perl /run/evil/copy
    ln -s /usr/bin/perl /run/evil/link
    ln -s /usr/bin /run/evil/bin
    chmod +x /run/evil/*
";

fn chosen(world: &World, scratch: &Scratch, grants: &str, steps: &str) -> Result<Output> {
    world.asks_granted(scratch, grants, &format!("{APART} {steps}"))?.run()
}

/// A denial of a program is no protection, so it is not one that anybody is promised.
#[test]
fn a_denied_program_has_no_other_names() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (world, scratch) = (World::new()?, Scratch::new()?);
    world.host.shell(EVIL)?;
    let denied = "[[exec]]\npath = '*'\n[[exec]]\npath = '/usr/bin/perl'\ndeny = true\n";
    let loader = world.host.shell("ls /lib64/ld-linux*.so* /lib/ld-linux*.so* 2>/dev/null | head -1")?;
    let mut ran = Vec::new();
    for spelling in [
        "/usr/bin/perl",
        "/run/evil/link",
        "/run/evil/copy",
        "/run/evil/bin/perl",
        "/proc/self/root/usr/bin/perl",
        "/proc/1/root/usr/bin/perl",
        "//usr//bin/./perl",
        "perl",
        "/usr/bin/env,perl",
        &format!("{},/usr/bin/perl", loader.trim()),
    ] {
        let output = chosen(&world, &scratch, denied, &format!("command={spelling},-e,print\"EVIL\""))?;
        if output.stdout.contains("EVIL") {
            ran.push(spelling.to_string());
        }
    }
    assert!(ran.is_empty(), "denied, and yet run: {ran:?}");
    let illusion = chosen(&world, &scratch, "[[exec]]\npath = '/usr/bin/perl'\ndeny = true\n", "")?;
    assert!(illusion.stderr.contains("deny = true would be an illusion"), "{}", illusion.text());
    illusion.expect(125)?;
    // Granted, it runs, under this name alone.
    let granted = "[[exec]]\npath = '/usr/bin/perl'\narguments = ['-e', 'print\"GOOD\"']\n";
    let run =
        |spelling: &str| chosen(&world, &scratch, granted, &format!("command={spelling},-e,print\"GOOD\""));
    assert_eq!(run("/usr/bin/perl")?.expect(0)?, "GOOD");
    assert_eq!(run("perl")?.expect(0)?, "GOOD", "its bare name is looked for on the host");
    for spelling in ["/run/evil/link", "/proc/self/root/usr/bin/perl", "//usr/bin/perl", "/run/evil/copy"] {
        run(spelling)?.expect(122)?;
    }
    Ok(())
}

#[test]
fn a_bare_name_is_not_looked_for_where_the_script_wants() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (world, scratch) = (World::new()?, Scratch::new()?);
    world.host.shell(EVIL)?;
    let bare = "[[exec]]\npath = 'ls'\n";
    let attacked = chosen(&world, &scratch, bare, "variable=PATH,/run/evil command=ls")?;
    assert!(!attacked.stdout.contains("EVIL"), "{}", attacked.text());
    attacked.expect(125)?;
    assert!(attacked.stderr.contains("write its absolute path, like /usr/bin/ls"), "{}", attacked.text());
    // With a file granted, the bare name is that file, whatever PATH is.
    let file = "[[exec]]\npath = '/usr/bin/ls'\narguments = ['/run']\n[[variable]]\nname = 'PATH'\n";
    let listed = chosen(&world, &scratch, file, "variable=PATH,/run/evil command=ls,/run")?;
    assert!(listed.expect(0)?.contains("evil"), "{}", listed.text());
    // What is found before it is another file, which nobody granted.
    let other = World::new()?;
    other.host.shell("mount -t tmpfs tmpfs /usr/local/bin; cp /usr/bin/env /usr/local/bin/ls")?;
    let found = chosen(&other, &scratch, file, "command=ls,/run")?;
    found.expect(122)?;
    assert!(found.stderr.contains("path = \"/usr/local/bin/ls\""), "{}", found.text());
    // The plan shows what will be executed.
    let shown = world.host.nshost()?.args(["plan", "--allow-all"]).arg(support::wasi_component("asks")?);
    let shown = shown.args(["own=usual", "command=ls"]).run()?;
    assert!(shown.expect(0)?.contains("command \"/usr/bin/ls\""), "{}", shown.text());
    Ok(())
}

#[test]
fn a_directory_of_programs_is_no_grant() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (world, scratch) = (World::new()?, Scratch::new()?);
    let enters = "command=/usr/bin/nsenter,--version";
    let attacked = chosen(&world, &scratch, "[[exec]]\npath = '/usr/bin/*'\n", enters)?;
    assert!(!attacked.stdout.contains("util-linux"), "{}", attacked.text());
    attacked.expect(125)?;
    let granted = "[[exec]]\npath = '/usr/bin/nsenter'\narguments = ['--version']\n";
    assert!(chosen(&world, &scratch, granted, enters)?.expect(0)?.contains("util-linux"));
    Ok(())
}

#[test]
fn a_program_is_granted_with_its_arguments() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (world, scratch) = (World::new()?, Scratch::new()?);
    let env = "[[exec]]\npath = '/usr/bin/env'\n";
    let attacked = chosen(&world, &scratch, env, "command=/usr/bin/env,perl,-e,print\"EVIL\"")?;
    assert!(!attacked.stdout.contains("EVIL"), "{}", attacked.text());
    attacked.expect(122)?;
    assert!(attacked.stderr.contains("arguments = [\"perl\", \"-e\""), "{}", attacked.text());
    assert!(chosen(&world, &scratch, env, "command=/usr/bin/env")?.expect(0)?.contains("HOME=/"));
    let any = format!("{env}arguments = 'any'\n");
    let output = chosen(&world, &scratch, &any, "command=/usr/bin/env,perl,-e,print\"GOOD\"")?;
    assert_eq!(output.expect(0)?, "GOOD");
    Ok(())
}

/// Between the check and the exec, when the child makes its session, somebody puts another file at the granted path.
#[test]
fn another_file_at_the_granted_path_is_not_executed() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (world, scratch) = (World::new()?, Scratch::new()?);
    world.host.shell(EVIL)?;
    world.host.shell("cp /usr/bin/echo /run/tool; cp /usr/bin/env /run/evil/tool")?;
    let file = scratch.file("exec.toml", "schema = 1\n[[exec]]\npath = '/run/tool'\n")?;
    let steps = format!("{APART} command=/run/tool");
    let nshost = || {
        let words = world.host.nshost()?.args(["run", "--grants"]).arg(&file);
        anyhow::Ok(words.arg(support::wasi_component("asks")?).args(steps.split_whitespace()))
    };
    assert_eq!(nshost()?.run()?.expect(0)?, "\n", "echo, compiled and remembered");
    let slowly =
        ["strace", "-f", "-qq", "--trace=setsid", "--inject=setsid:delay_enter=2s", "--output=/dev/null"];
    let unchanged = Running::start(nshost()?.under(&slowly))?;
    assert_eq!(unchanged.finish(SOON)?.expect(0)?, "\n", "slowly");
    let attacked = Running::start(nshost()?.under(&slowly))?;
    thread::sleep(Duration::from_millis(1000));
    world.host.shell("mv /run/evil/tool /run/tool")?;
    let attacked = attacked.finish(SOON)?;
    assert!(!attacked.stdout.contains("HOME="), "{}", attacked.text());
    attacked.expect(126)?;
    assert!(attacked.stderr.contains("another file is at this path"), "{}", attacked.text());
    Ok(())
}

/// A file system gives the inode of a file that is gone to the next one.
#[test]
fn another_file_does_not_get_the_inode_of_the_granted() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (world, scratch) = (World::new()?, Scratch::new()?);
    let tool = scratch.path().join("tool").to_string_lossy().into_owned();
    world.host.shell(&format!("cp /usr/bin/echo {tool}"))?;
    let file = scratch.file("exec.toml", format!("schema = 1\n[[exec]]\npath = '{tool}'\n"))?;
    let nshost = world.host.nshost()?.args(["run", "--grants"]).arg(&file);
    let nshost = nshost.arg(support::wasi_component("asks")?).args(APART.split_whitespace());
    let nshost = nshost.arg(format!("command={tool}"));
    let slowly =
        ["strace", "-f", "-qq", "--trace=setsid", "--inject=setsid:delay_enter=2s", "--output=/dev/null"];
    let attacked = Running::start(nshost.under(&slowly))?;
    thread::sleep(Duration::from_millis(1000));
    world.host.shell(&format!("rm {tool}; cp /usr/bin/env {tool}"))?;
    let attacked = attacked.finish(SOON)?;
    assert!(!attacked.stdout.contains("HOME="), "{}", attacked.text());
    attacked.expect(126)?;
    Ok(())
}

#[test]
fn a_path_by_links_of_proc_is_not_followed() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (world, scratch) = (World::new()?, Scratch::new()?);
    for path in ["/proc/self/root/usr/bin/env", "/proc/1/root/usr/bin/env", "/proc/self/exe"] {
        let output =
            chosen(&world, &scratch, &format!("[[exec]]\npath = '{path}'\n"), &format!("command={path}"))?;
        assert!(!output.stdout.contains("HOME="), "{}", output.text());
        assert!(output.stderr.contains("links of /proc"), "{}", output.text());
        output.expect(126)?;
    }
    Ok(())
}

#[test]
fn a_script_with_an_interpreter_is_the_granted_file() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (world, scratch) = (World::new()?, Scratch::new()?);
    world.host.shell("printf '#!/bin/sh\\necho \"GOOD $*\"\\n' > /run/tool; chmod +x /run/tool")?;
    let granted = "[[exec]]\npath = '/run/tool'\narguments = ['a']\n";
    for init in [&[][..], &["--init"]] {
        let file = scratch.file("exec.toml", format!("schema = 1\n{granted}"))?;
        let words = world.host.nshost()?.arg("run").args(init).arg("--grants").arg(file);
        let words = words.arg(support::wasi_component("asks")?).args(APART.split_whitespace());
        assert_eq!(words.arg("command=/run/tool,a").run()?.expect(0)?, "GOOD a\n", "{init:?}");
    }
    // Where its interpreter could not read it, it is not run by its name instead.
    let bare = World::new()?;
    bare.host.shell(
        "mount -t tmpfs tmpfs /dev; mknod -m 666 /dev/null c 1 3
        printf '#!/bin/sh\\necho GOOD\\n' > /run/tool; chmod +x /run/tool",
    )?;
    let unreadable = chosen(&bare, &scratch, granted, "command=/run/tool,a")?;
    unreadable.expect(126)?;
    assert!(unreadable.stderr.contains("is read by /dev/fd"), "{}", unreadable.text());
    // What is not there, and what cannot be executed.
    let missing = "[[exec]]\npath = '/run/missing'\n";
    chosen(&world, &scratch, missing, "command=/run/missing")?.expect(127)?;
    world.host.shell("chmod -x /run/tool")?;
    chosen(&world, &scratch, granted, "command=/run/tool,a")?.expect(126)?;
    Ok(())
}
