//! A script without any grant, and what the operator has typed: whoever sets variables, the directory or the
//! name servers of a command has a part of its rights.

use anyhow::Result;
use attacks::World;
use support::{Scratch, root_or_skip};

/// Namespaces of its own, so that nothing needs a grant but what is asked for besides.
const APART: &str = "own=usual private proc";

/// What the script's author left on the host, in a directory that anybody could write.
const EVIL: &str = "
    mkdir -p /run/evil/home
    echo 'echo EVIL' > /run/evil/env
    printf 'all:\\n\\t@echo EVIL\\n' > /run/evil/Makefile
    printf '#!/bin/sh\\necho EVIL\\n' > /run/evil/ls
    printf '[alias]\\n\\tst = !echo EVIL\\n' > /run/evil/home/.gitconfig
    chmod +x /run/evil/ls
";

struct Attack {
    steps: &'static str,
    typed: &'static [&'static str],
    grant: &'static str,
    /// What shows that the script had its way.
    shows: &'static str,
}

const ATTACKS: &[Attack] = &[
    Attack {
        steps: "variable=BASH_ENV,/run/evil/env",
        typed: &["bash", "-c", "true"],
        grant: "[[variable]]\nname = 'BASH_ENV'\nvalue = '/run/evil/env'\n",
        shows: "EVIL",
    },
    Attack {
        steps: "variable=PATH,/run/evil",
        typed: &["/bin/sh", "-c", "ls"],
        grant: "[[variable]]\nname = 'PATH'\n",
        shows: "EVIL",
    },
    Attack {
        steps: "variable=LD_DEBUG,help",
        typed: &["ls", "/"],
        grant: "[[variable]]\nname = 'LD_*'\n",
        shows: "LD_DEBUG",
    },
    Attack {
        steps: "variable=HOME,/run/evil/home",
        typed: &["git", "st"],
        grant: "[[variable]]\nname = '*'\n",
        shows: "EVIL",
    },
    Attack {
        steps: "directory=/run/evil",
        typed: &["make"],
        grant: "[[working-directory]]\npath = '/run/*'\n",
        shows: "EVIL",
    },
    Attack {
        steps: "resolv=203.0.113.66",
        typed: &["cat", "/etc/resolv.conf"],
        grant: "[[resolv-conf]]\nservers = ['203.0.113.0/24']\n",
        shows: "203.0.113.66",
    },
];

#[test]
fn a_script_without_grants_does_not_change_what_was_typed() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (world, scratch) = (World::new()?, Scratch::new()?);
    world.host.shell(EVIL)?;
    for Attack { steps, typed, grant, shows } in ATTACKS {
        let run = |grants: &str, steps: &str| {
            world.asks_granted(&scratch, grants, steps)?.arg("--").args(*typed).run()
        };
        let attacked = run("", &format!("{APART} {steps}"))?;
        assert!(!attacked.text().contains(shows) || attacked.code() == 122, "{steps}: {}", attacked.text());
        assert!(!attacked.stdout.contains(shows), "{steps}: {}", attacked.text());
        attacked.expect(122)?;
        let table = grant.lines().next().unwrap_or_default();
        assert!(attacked.stderr.contains(table), "{steps}: no {table} in {}", attacked.text());
        // The operator may want exactly that.
        let granted = run(grant, &format!("{APART} {steps}"))?;
        assert!(granted.stdout.contains(shows), "{steps}: {}", granted.text());
        // And what is typed runs, if nobody changes it.
        let alone = run("", APART)?;
        assert!(!alone.stdout.contains(shows) && alone.code() != 122, "{steps}: {}", alone.text());
    }
    Ok(())
}

#[test]
fn a_typed_program_is_not_looked_for_where_the_script_wants() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let world = World::new()?;
    world.host.shell(EVIL)?;
    // With every grant: the script may set PATH for what the command starts, not for the command itself.
    let output = world.asks(&format!("{APART} variable=PATH,/run/evil"))?.args(["--", "ls", "/run"]).run()?;
    assert!(!output.stdout.contains("EVIL"), "{}", output.text());
    assert!(output.expect(0)?.contains("evil"), "{}", output.text());
    let inner = world.asks(&format!("{APART} variable=PATH,/run/evil"))?;
    assert_eq!(inner.args(["--", "sh", "-c", "ls /run"]).run()?.expect(0)?, "EVIL\n");
    // Nor where it begins.
    let here = world.asks(&format!("{APART} directory=/run/evil variable=PATH,."))?;
    assert!(!here.args(["--", "ls"]).run()?.text().contains("EVIL\n"));
    Ok(())
}

#[test]
fn a_working_directory_is_the_one_that_was_granted() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (world, scratch) = (World::new()?, Scratch::new()?);
    world.host.shell("mkdir -p /run/granted/own /run/other; ln -s /run/other /run/granted/link")?;
    let starts_in = |path: &str| {
        let steps = format!("{APART} directory={path}");
        world
            .asks_granted(&scratch, "[[working-directory]]\npath = '/run/granted/*'\n", &steps)?
            .args(["--", "sh", "-c", "pwd -P"])
            .run()
    };
    assert_eq!(starts_in("/run/granted/own")?.expect(0)?, "/run/granted/own\n");
    assert_eq!(starts_in("/run//granted/./own/")?.expect(0)?, "/run/granted/own\n");
    let led = starts_in("/run/granted/link")?;
    assert_eq!(led.stdout, "", "{}", led.text());
    assert!(led.stderr.contains("a link leads elsewhere"), "{}", led.text());
    for path in ["/run/other", "/run/granted", "/proc/self/cwd"] {
        starts_in(path)?.expect(122)?;
    }
    Ok(())
}
