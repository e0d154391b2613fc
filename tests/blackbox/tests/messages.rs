//! What somebody reads who does it for the first time: what is wrong, and what to do.

use anyhow::Result;
use blackbox::{Scratch, TORN_DOWN};
use support::{Census, Host, Output, component, root_or_skip};

/// The launcher's own lines: each of them is about something else that went wrong.
fn told(output: &Output) -> usize {
    output.stderr.lines().filter(|line| line.starts_with("nshost: ")).count()
}

#[test]
fn a_program_that_is_not_found_is_told_where_it_was_looked_for() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    host.shell("mkdir /run/here; printf '#!/no/such/interpreter\\n' > /run/here/program; chmod 755 /run/here/program")?;
    let script = component("tutorial")?;
    for (options, program, hint) in [
        (
            &["-w", "/"][..],
            "./program",
            "it is looked for in /, where the command starts; write its whole path, /run/here/program",
        ),
        (&[], "./program", "the interpreter in its first line"),
        (&[], "program", "write its whole path, /run/here/program"),
        (&[], "./missing", "write its whole path"),
        (&[], "missing", "is it installed"),
        (&[], "/run/here/program", "the interpreter in its first line"),
        (&[], "/run/here/missing", "nothing is at this path: is it installed?"),
    ] {
        let run = host.nshost()?.args(["run", "--allow-all"]).args(options).arg(&script);
        let run = run.args(["--", program]);
        let output = support::run(run.under(&["env", "--chdir=/run/here"]), blackbox::SOON)?;
        assert_eq!(output.code(), 127, "{program}: {}", output.text());
        assert!(output.stderr.contains(hint), "{program}: {}", output.text());
        assert_eq!(told(&output), 1, "{program}: {}", output.text());
    }
    Ok(())
}

#[test]
fn suggested_grants_are_for_that_script_alone() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (host, scratch) = (Host::new()?, Scratch::new()?);
    let (tutorial, isolated) = (component("tutorial")?, component("isolated")?);
    let digest = |script: &std::path::Path| -> Result<String> {
        let line = host.run(["sha256sum".as_ref(), script.as_os_str()])?.stdout;
        Ok(format!("script = \"sha256:{}\"", line.split(' ').next().unwrap_or_default()))
    };
    let suggested = host.nshost()?.args(["plan", "--suggest-grants"]).arg(&tutorial).run()?;
    let file = scratch.file("grants.toml", suggested.expect(0)?)?;
    let run = |script: &std::path::Path| {
        let run = host.nshost()?.args(["run", "--grants"]).arg(&file).arg(script);
        run.args(["--", "true"]).run()
    };
    run(&tutorial)?.expect(0)?;
    let refused = run(&isolated)?;
    assert_eq!(refused.code(), 122, "{}", refused.text());
    // Both are named as they stand in a grants file, so that one can take the other's place.
    for line in [digest(&tutorial)?, digest(&isolated)?] {
        assert!(refused.stderr.contains(&line), "no {line}: {}", refused.text());
    }
    std::fs::write(&file, suggested.stdout.replace(&digest(&tutorial)?, &digest(&isolated)?))?;
    run(&isolated)?.expect(0)?;
    // What a refusal prints is for that script too.
    let refused = host.nshost()?.arg("run").arg(&tutorial).args(["--", "true"]).run()?;
    assert_eq!(refused.code(), 122, "{}", refused.text());
    assert!(refused.stderr.contains(&digest(&tutorial)?), "{}", refused.text());
    Ok(())
}

#[test]
fn a_host_whose_settings_cannot_be_written_is_told_so_once() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let _internet = host.internet()?;
    host.shell("mount --bind /proc/sys /proc/sys; mount -o remount,ro,bind /proc/sys")?;
    let before = Census::take(&host)?;
    for script in ["tutorial", "nat"] {
        let output = host.nshost()?.run_script(script)?.args(["--", "true"]).run()?;
        assert_eq!(output.code(), 125, "{}", output.text());
        assert!(output.stderr.contains("give it a /proc/sys that can be written"), "{}", output.text());
        // What was never changed does not have to be put back.
        assert_eq!(told(&output), 1, "{}", output.text());
        before.comes_back(&host, TORN_DOWN)?;
    }
    // And as soon as they can be written, nothing is in the way.
    host.shell("umount /proc/sys")?;
    host.nshost()?.run_script("nat")?.args(["--", "true"]).run()?.expect(0)?;
    Ok(())
}

#[test]
fn a_state_directory_that_cannot_be_used_is_told_like_everything_else() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    host.shell("mkdir -m 777 /run/open; chmod 777 /run/open")?;
    for (state, message, hint) in [
        ("/run/open", "the state directory cannot be used: /run/open", "  chmod 700 /run/open"),
        ("/run/a/b", "failed: create /run/a/b", "  its parent directory"),
    ] {
        for verb in [&["gc"][..], &["run", "--allow-all"]] {
            let nshost = host.nshost()?.args(verb).variable("NSHOST_STATE_DIR", state);
            let nshost = if verb == ["gc"] { nshost } else { nshost.arg(component("tutorial")?) };
            let output = nshost.run()?;
            assert_eq!(output.code(), 125, "{}", output.text());
            let mut lines = output.stderr.lines();
            let first = lines.next().is_some_and(|line| line.starts_with(&format!("nshost: {message}")));
            assert!(first && lines.next().is_some_and(|line| line.starts_with(hint)), "{}", output.text());
        }
    }
    Ok(())
}
