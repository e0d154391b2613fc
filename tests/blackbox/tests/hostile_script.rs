//! Scripts that nobody would want: each ends in a clear error with its exit code, in bounded time, and
//! the host is as it was. What a worker does about each budget is tested beside it; this is the way of
//! such a script through the launcher.

use std::time::{Duration, Instant};

use anyhow::Result;
use blackbox::{Scratch, TORN_DOWN};
use support::{Census, Host, Output, root_or_skip};

const FAILED: i32 = 120;
const BUDGET: i32 = 121;

/// A component whose core module has these fields; they define `$setup`. The fixture makes every
/// function of the contract callable.
fn component(fields: &str) -> Vec<u8> {
    let types = include_str!("../../../host/script/tests/fixtures/types.wat");
    let text = include_str!("../../../host/script/tests/fixtures/host.wat");
    wat::parse_str(text.replace("@TYPES@", types).replace("@MAIN@", fields))
        .expect("the fixture is well formed")
}

/// Runs it with every grant. It must end within `limit` and leave the host as it was.
fn run(host: &Host, fields: &str, limit: Duration) -> Result<Output> {
    let scratch = Scratch::new()?;
    let script = scratch.file("hostile.wasm", component(fields))?;
    let before = Census::take(host)?;
    let begin = Instant::now();
    let output =
        host.nshost()?.args(["run", "--allow-all"]).arg(&script).args(["--", "echo", "ran"]).run()?;
    assert!(begin.elapsed() < limit, "took {:?}: {}", begin.elapsed(), output.text());
    assert_eq!(output.stdout, "", "the command ran: {}", output.text());
    before.comes_back(host, TORN_DOWN)?;
    Ok(output)
}

#[test]
fn who_uses_up_a_budget_ends_with_its_name() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    for (body, told) in [
        ("(loop (br 0)) unreachable", "wall time"),
        ("(loop (br_if 0 (i32.ne (memory.grow (i32.const 64)) (i32.const -2)))) unreachable", "memory"),
        ("(loop (drop (call $facts.instance)) (br 0)) unreachable", "host calls"),
        ("(loop (call $log.info (i32.const 0) (i32.const 1000)) (br 0)) unreachable", "log"),
        ("(call $container.hostname (i32.const 0) (i32.const 100000000) (i32.const 16)) (i32.const 16)", ""),
        (
            "(loop (call $facts.addresses (i32.const 0) (i32.const 60000) (i32.const 16)) (br 0)) unreachable",
            "copied",
        ),
    ] {
        let output = run(&host, &format!("(func $setup (result i32) {body})"), Duration::from_secs(8))?;
        let expected = if told.is_empty() { FAILED } else { BUDGET };
        assert_eq!(output.code(), expected, "{body}: {}", output.text());
        assert!(output.stderr.contains(told), "{body}: {}", output.text());
    }
    Ok(())
}

#[test]
fn who_crashes_or_forges_a_handle_is_told_so() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    for fields in [
        "(func $setup (result i32) unreachable)",
        "(func $setup (result i32) (call $setup))",
        "(func $setup (result i32) (call $link.endpoint.up (i32.const 7) (i32.const 16)) (i32.const 16))",
        "(func $setup (result i32) (drop (call $link.veth.host (i32.const -1))) (i32.const 16))",
    ] {
        let output = run(&host, fields, Duration::from_secs(8))?;
        assert_eq!(output.code(), FAILED, "{fields}: {}", output.text());
        assert!(output.stderr.contains("crashed"), "{fields}: {}", output.text());
    }
    Ok(())
}

/// Text in a module's data, byte by byte.
fn data(text: &str) -> String {
    text.bytes().map(|byte| format!("\\{byte:02x}")).collect()
}

#[test]
fn what_is_no_name_address_or_path_is_named_and_refused() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let veth = "(call $link.veth.create (i32.const 1024) (i32.const LENGTH) (i32.const 2048) (i32.const 2) (i32.const 16))";
    let hostname = "(call $container.hostname (i32.const 1024) (i32.const LENGTH) (i32.const 16))";
    let directory = "(call $process.working-directory (i32.const 1024) (i32.const LENGTH) (i32.const 16))";
    let address = "(call $link.veth.create (i32.const 2048) (i32.const 2) (i32.const 2048) (i32.const 2) (i32.const 16))
        (call $address.add (call $link.veth.host (i32.load (i32.const 20))) (i32.const 1024) (i32.const LENGTH) (i32.const 16))";
    let long = "x".repeat(65);
    let cases = [
        (veth, "../../evil"),
        (veth, "a/b"),
        (veth, "sixteen-bytes-xx"),
        (veth, "a\0b"),
        (veth, "\u{1b}[2J"),
        (veth, "eth%d"),
        (veth, "all"),
        (veth, ""),
        (hostname, &long),
        (hostname, "a\nb"),
        (hostname, "\u{1b}]0;owned\u{7}"),
        (directory, "/a/../../etc"),
        (directory, "etc"),
        (directory, "/a\0b"),
        (address, "0.0.0.0/0"),
        (address, "10.0.0.1/1"),
        (address, "169.254.1.0/30"),
        (address, "127.0.0.2/8"),
        (address, "10.0.0.1/33"),
        (address, "10.0.0.1"),
        (address, "::/0"),
        (address, "nonsense"),
    ];
    for (call, text) in cases {
        let call = call.replace("LENGTH", &text.len().to_string());
        let fields = format!(
            r#"(data (i32.const 1024) "{}") (data (i32.const 2048) "v0")
            (func $setup (result i32)
                (call $container.unshare-network (i32.const 16)) (call $container.unshare-uts (i32.const 16))
                {call} (i32.const 16))"#,
            data(text)
        );
        let output = run(&host, &fields, Duration::from_secs(8))?;
        assert_eq!(output.code(), FAILED, "{text:?}: {}", output.text());
        assert!(output.stderr.contains("what cannot be"), "{text:?}: {}", output.text());
        assert!(!output.stderr.contains('\u{1b}') && !output.stderr.contains('\u{7}'), "{:?}", output.stderr);
    }
    Ok(())
}

/// Its words at 1024 are handed back as what it returns, panics with, or says of itself.
#[test]
fn no_words_of_a_script_move_a_terminal_or_speak_for_us() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (host, scratch) = (Host::new()?, Scratch::new()?);
    let words = "one\r\nnshost: all is well\u{1b}]0;owned\u{7}\u{202e}";
    let length = words.len();
    let place = format!("(i32.const 1024) (i32.const {length})");
    let text = |at: u32| {
        format!(
            "(i32.store (i32.const {at}) (i32.const 1024)) (i32.store (i32.const {}) (i32.const {length}))",
            at + 4
        )
    };
    // A result at 16: an error's kind at 20, its texts from 24 on; where it was at 48.
    let fails = |kind: u32, texts: &[u32]| {
        let texts: String = texts.iter().map(|at| text(*at)).collect();
        format!(
            "(i32.store8 (i32.const 16) (i32.const 1)) (i32.store8 (i32.const 20) (i32.const {kind})) {texts}
             (i32.store8 (i32.const 48) (i32.const 1)) {} (i32.const 16)",
            text(52)
        )
    };
    let reason = format!("(i32.store8 (i32.const 24) (i32.const 1)) {}", fails(4, &[28]));
    for (body, code) in [
        (fails(0, &[24, 32, 40]), 122),
        (fails(1, &[24, 32, 40]), FAILED),
        (fails(2, &[24, 32, 40]), 125),
        (fails(3, &[24, 32, 40]), 125),
        (reason, FAILED),
        (format!("(call $log.panic {place} (i32.const 1) {place}) unreachable"), FAILED),
    ] {
        let fields =
            format!(r#"(data (i32.const 1024) "{}") (func $setup (result i32) {body})"#, data(words));
        let output = run(&host, &fields, Duration::from_secs(8))?;
        assert_eq!(output.code(), code, "{body}: {}", output.text());
        assert!(output.stderr.contains("owned"), "{body}: {}", output.text());
        let ours = output.stderr.lines().filter(|line| line.starts_with("nshost")).count();
        assert_eq!(ours, 1, "{body}: {}", output.text());
        assert!(!output.stderr.contains(['\u{1b}', '\u{7}', '\r', '\u{202e}']), "{:?}", output.stderr);
    }
    let module = format!(r#"(component (@custom "nshost:sdk" "{}"))"#, data(words));
    let script = scratch.file("sdk.wasm", wat::parse_str(module)?)?;
    let output = host.nshost()?.arg("inspect").arg(&script).run()?;
    let text = output.expect(0)?;
    assert!(text.contains("owned") && !text.contains(['\u{1b}', '\u{7}', '\r', '\u{202e}']), "{text:?}");
    assert!(!text.lines().any(|line| line.starts_with("nshost")), "{text}");
    Ok(())
}

#[test]
fn a_network_that_overlaps_the_hosts_is_taken() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let host = Host::new()?;
    let _internet = host.internet()?;
    let fields = r#"(data (i32.const 1024) "198.51.100.77/16") (data (i32.const 2048) "v0")
        (func $setup (result i32)
            (call $container.unshare-network (i32.const 16))
            (call $link.veth.create (i32.const 2048) (i32.const 2) (i32.const 2048) (i32.const 2) (i32.const 16))
            (call $address.add (call $link.veth.host (i32.load (i32.const 20))) (i32.const 1024) (i32.const 16) (i32.const 16))
            (i32.const 16))"#;
    let output = run(&host, fields, Duration::from_secs(8))?;
    assert_eq!(output.code(), 125, "{}", output.text());
    assert!(
        output.stderr.contains("taken") && output.stderr.contains("198.51.100.77/16"),
        "{}",
        output.text()
    );
    Ok(())
}
