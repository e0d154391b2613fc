//! Grants files: where they are wrong, what comes back, and what hostile ones can do.

mod common;

use std::time::Instant;

use nshost_plan::{Limits, codec};
use nshost_policy::Grants;
use proptest::{collection::vec, prelude::*, sample::select};

/// Text after `schema = 1`, from line 2 on, and how the message begins and goes on.
const WRONG: &[(&str, &str)] = &[
    ("foo = 1", "2:1: there is no key or table `foo` here: there is schema, script, namespace, share"),
    (
        "[[link]]\nkind = 'bridge'\nhost-name = 'a'",
        "3:8: `bridge` is none of what can be here: there is veth",
    ),
    ("[[link]]\nkind = 'veth'", "2:1: this table has no `host-name`, and needs it"),
    ("[[link]]\nkind = 'veth'\nhost-name = 've*th'", "4:13: \"ve*th\" cannot be an interface's name"),
    ("[[link]]\nkind = 'veth'\nhost-name = ''", "4:13: \"\" cannot be an interface's name"),
    ("[[link]]\nkind = 'veth'\nhost-name = 'lo'", "4:13: \"lo\" is a name that no link"),
    ("[[link]]\nkind = 'veth'\nhost-name = '1234567890123456*'", "4:13: \"1234567890123456*\" cannot"),
    (
        "[[link]]\nkind = 'veth'\nhost-name = 'a'\nmax = 0",
        "5:7: integer `0` cannot be here: wanted is a whole number from 1 to 64",
    ),
    (
        "[[link]]\nkind = 'veth'\nhost-name = 'a'\nmax = 1\ndeny = true",
        "2:1: max says nothing where deny = true",
    ),
    (
        "[[link]]\nkind = 'veth'\nhostname = 'a'",
        "4:1: there is no key or table `hostname` here: did you mean `host-name`?",
    ),
    (
        "[link]\nkind = 'veth'\nhost-name = 'a'",
        "2:1: one pair of brackets for two: wanted are tables, each under its name in two brackets",
    ),
    (
        "\n\n[[address]]\nrange = '10.0.0.1/24'",
        "5:9: 10.0.0.1/24 is an address in a network; write 10.0.0.0/24",
    ),
    ("[[address]]\nrange = '10.0.0.0/33'", "3:9: \"10.0.0.0/33\" is not a network like"),
    ("[[address]]\nrange = '10.0.0.0'", "3:9: \"10.0.0.0\" is not a network like"),
    ("[[address]]\nrange = 10", "3:9: integer `10` cannot be here: wanted is a string: a network like"),
    (
        "[[address]]\nrange = '10.0.0.0/8'\nside = 'outside'",
        "4:8: `outside` is none of what can be here: there is host, container",
    ),
    ("[[route]]\nto = '0.0.0.0/0'", "2:1: this table has no `side`, and needs it"),
    ("[[namespace]]\nkinds = ['user', 'pdi']", "3:18: \"pdi\" is no kind of namespace; write user, pid"),
    ("[[namespace]]\nkinds = []", "2:1: kinds names no namespace"),
    ("[[share]]\nkinds = ['pid', 'pdi']", "3:17: \"pdi\" is no kind of namespace; write pid, mount,"),
    ("[[share]]\nkinds = []", "2:1: kinds names no namespace"),
    (
        "[[share]]\nkinds = ['user']",
        "3:10: sharing the host's user namespace takes no grant; write pid, mount,",
    ),
    (
        "[[share]]\nkinds = ['pid', 'cgroup']",
        "3:17: sharing the host's cgroup namespace takes no grant; write",
    ),
    ("[[share]]\nkinds = ['time']\ndeny = true", "3:10: sharing the host's time namespace takes no grant"),
    ("[[share]]\ndeny = true", "2:1: this table has no `kinds`, and needs it"),
    ("[[forward]]\nprotocol = 'tcp'\nports = '0'", "4:9: \"0\" is not a port or first-last"),
    ("[[forward]]\nprotocol = 'tcp'\nports = '9-8'", "4:9: \"9-8\" is not a port or first-last"),
    (
        "[[forward]]\nprotocol = 'tcp'\nports = 80",
        "4:9: integer `80` cannot be here: wanted is a string: a port",
    ),
    (
        "[[forward]]\nprotocol = 'sctp'\nports = '80'",
        "3:12: `sctp` is none of what can be here: there is tcp, udp",
    ),
    (
        "[[forward]]\nprotocol = 'tcp'\nports = '80'\nhost-address = 'x'",
        "5:16: \"x\" is not an IP address, or * for any",
    ),
    ("[[masquerade]]\nsource = '10.0.0.0/8'", "2:1: this table has no `out`, and needs it"),
    ("[[exec]]\npath = '/bin/ba*'", "3:8: a table grants one program: name each"),
    ("[[exec]]\npath = '/usr/bin/*'", "3:8: a table grants one program: name each"),
    ("[[exec]]\npath = 'bin/*'", "3:8: a table grants one program: name each"),
    ("[[exec]]\npath = '*x'", "3:8: a * stands at the end"),
    ("[[exec]]\npath = '\\x'", "3:8: after a \\ comes * or \\"),
    ("[[exec]]\npath = ''", "3:8: a path begins with /"),
    ("[[exec]]\npath = 'bin/sh'", "3:8: a path begins with /"),
    ("[[exec]]\npath = '/a/../b'", "3:8: a path begins with /, has at most 4095 bytes, no NUL and no .."),
    ("[[exec]]\npath = 'ls'", "3:8: \"ls\" could be any file of that name: write its absolute path, like"),
    ("[[exec]]\npath = '*'", "2:1: path = \"*\" is every program"),
    ("[[exec]]\npath = '*'\narguments = ['x']", "2:1: path = \"*\" is every program"),
    ("[[exec]]\npath = '/a'\narguments = 'all'", "4:13: \"all\" is neither a list of arguments nor \"any\""),
    ("[[exec]]\npath = '/a'\narguments = [1]", "4:14: integer `1` cannot be here: wanted is a string"),
    ("[[exec]]\npath = '/a'\narguments = [\"\\u0000\"]", "4:"),
    (
        "[[exec]]\npath = '/usr/bin/perl'\ndeny = true",
        "2:1: deny = true would be an illusion here: a program has other names (links, /proc/self/root, env,",
    ),
    ("[[exec]]\npath = '/a'\ndeny = 1", "4:8: integer `1` cannot be here: wanted is true or false"),
    ("[[variable]]\nname = '1A'", "3:8: \"1A\" cannot be a variable's name"),
    ("[[variable]]\nname = 'A*B'", "3:8: \"A*B\" cannot be a variable's name"),
    ("[[variable]]\nname = ''", "3:8: \"\" cannot be a variable's name"),
    ("[[variable]]\nname = 'A'\nvalue = 'x'\ndeny = true", "2:1: value says nothing where deny = true"),
    ("[[variable]]\nname = 'A'\nvalue = \"\\u0000\"", "2:1: an argument has no NUL"),
    ("[[working-directory]]\npath = 'srv'", "3:8: a path begins with /"),
    ("[[working-directory]]\npath = '/srv*'", "3:8: before a * stands nothing, or a directory"),
    (
        "[[working-directory]]\npath = '/srv'\ndeny = true",
        "2:1: deny = true would be an illusion here: a directory",
    ),
    ("[[resolv-conf]]\nservers = []", "2:1: servers names no name server"),
    ("[[resolv-conf]]\nservers = ['dns.example']", "3:12: \"dns.example\" is not \"host\" for"),
    ("[[resolv-conf]]\nservers = ['10.0.0.1/8']", "3:12: 10.0.0.1/8 is an address in a network; write"),
    (
        "exec = [['/bin/sh', false]]",
        "2:9: a list, or a name in two pairs of brackets, cannot be here: wanted is a table with keys",
    ),
    (
        "limits = [1]",
        "2:10: a list, or a name in two pairs of brackets, cannot be here: wanted is a table with keys",
    ),
    ("exec = [1]", "2:9: integer `1` cannot be here: wanted is a table with keys"),
    (
        "[limits]\nwall-ms = 60001",
        "3:11: integer `60001` cannot be here: wanted is a whole number from 1 to 60000",
    ),
    ("[limits]\nsteps = -1", "3:9: integer `-1` cannot be here: wanted is a whole number from 1 to 4096"),
    (
        "[limits]\nsteps = 1.0",
        "3:9: floating point `1.0` cannot be here: wanted is a whole number from 1 to 4096",
    ),
    ("[firewall]\npass = 1", "3:8: integer `1` cannot be here: wanted is true or false"),
    ("[firewall]\nopen = true", "3:1: there is no key or table `open` here: there is pass"),
    (
        "[[firewall]]\npass = true",
        "2:1: a list, or a name in two pairs of brackets, cannot be here: wanted is a table with keys",
    ),
    ("[firewall]\n[firewall]", "3:2: this stands here for the second time"),
    (
        "[[limits]]\nsteps = 1",
        "2:1: a list, or a name in two pairs of brackets, cannot be here: wanted is a table with keys",
    ),
    ("[limits]\nsteps = 1\n[limits]\nlog-kib = 1", "4:2: this stands here for the second time"),
    ("script = 'sha256:12'", "2:10: a script is named by sha256: and 64 hexadecimal digits"),
    ("schema = 1", "2:1: this stands here for the second time"),
    ("[[exec]", "2:8: unclosed array table, expected `]`"),
    ("[[lnik]]", "2:3: there is no key or table `lnik` here: did you mean `link`?"),
    ("[[resolv_conf]]", "2:3: there is no key or table `resolv_conf` here: did you mean `resolv-conf`?"),
    (
        "[[link]]\nhost_name = 'x'",
        "3:1: there is no key or table `host_name` here: did you mean `host-name`?",
    ),
    ("[[forward]]\nprotocol = 'TCP'", "3:12: `TCP` is none of what can be here: did you mean `tcp`?"),
    ("[[x]]", "2:3: there is no key or table `x` here: there is schema, script, namespace,"),
    ("'\u{1b}[31m' = 1", "2:"),
    (
        "\"\\u001B[31m\\u202E\" = 1",
        "2:1: there is no key or table `\\u{1b}[31m\\u{202e}` here: there is schema, script,",
    ),
];

#[test]
fn a_wrong_file_is_refused_where_it_is_wrong() {
    for (text, expected) in WRONG {
        let text = format!("schema = 1\n{text}\n");
        let error = Grants::parse(&text, "grants.toml").expect_err(&text).to_string();
        assert!(error.starts_with(&format!("grants.toml:{expected}")), "{text}\n{error}\n{expected}");
        assert!(!error.contains(['\n', '\u{1b}', '\u{202e}']) && error.chars().count() < 700, "{error}");
    }
    let error = |text: &str| Grants::parse(text, "g").unwrap_err().to_string();
    assert_eq!(error(""), "g:1:1: the version is missing: begin with schema = 1");
    assert_eq!(error("schema = 2"), "g:1:10: this nshost knows grants of schema = 1, and no others");
    assert_eq!(error("schema = 1\r\n\"é\" = 1, x"), "g:2:8: unexpected key or value, expected newline, `#`");
}

#[test]
fn a_file_with_everything_comes_back() {
    let text = format!(
        r#"schema = 1
script = "sha256:{}"

[[namespace]]
kinds = ["pid", "time"]

[[share]]
kinds = ["mount", "ipc"]

[[share]]
kinds = ["network"]
deny = true

[[link]]
kind = "veth"
host-name = "veth*"
container-name = "eth0"
max = 2

[[address]]
range = "fd00::/64"
side = "container"

[[address]]
range = "10.9.0.0/16"

[[route]]
side = "host"
to = "0.0.0.0/0"
deny = true

[[masquerade]]
source = "169.254.1.0/30"
out = "eth0"

[[forward]]
protocol = "udp"
host-address = "192.0.2.1"
ports = "8000-8010"

[[exec]]
path = "/usr/bin/env"
arguments = ["-i", "\"", "\\"]

[[exec]]
path = "*"
arguments = "any"

[[variable]]
name = "LC_*"

[[variable]]
name = "LANG"
value = "C"

[[variable]]
name = "LD_*"
deny = true

[[working-directory]]
path = "/srv/*"

[[resolv-conf]]
servers = ["host", "9.9.9.9", "10.0.0.0/8"]

[firewall]
pass = true

[limits]
wall-ms = 1
memory-mib = 1024
table-elements = 2
instances = 3
host-calls = 4
copied-kib = 65536
steps = 5
log-kib = 1024
compile-ms = 600000
compile-memory-mib = 6
"#,
        "0aF".repeat(64).get(..64).unwrap()
    );
    let grants = Grants::parse(&text, "all.toml").unwrap();
    assert_eq!(grants.to_toml(), text.replace("0aF", "0af").replace("F", "f"));
    assert_eq!(grants.file(), Some("all.toml"));
    assert!(grants.passes_firewalls());
    assert_eq!(grants.script().map(|digest| digest[..3].to_vec()), Some(vec![0x0a, 0xf0, 0xaf]));
    let limits = grants.limits();
    assert_eq!((limits.wall_ms, limits.memory_bytes, limits.steps), (1, 1 << 30, 5));
    assert_eq!((limits.copied_bytes, limits.log_bytes), (Limits::MAX.copied_bytes, Limits::MAX.log_bytes));
    assert_eq!((limits.compile_ms, limits.compile_memory_bytes), (Limits::MAX.compile_ms, 6 << 20));
    assert_eq!((limits.table_elements, limits.instances, limits.host_calls), (2, 3, 4));
}

#[test]
fn the_readme_shows_what_can_be_read() {
    let readme = include_str!("../../../README.md");
    let shown = readme.split("```toml\n").find(|block| block.starts_with("schema = 1")).unwrap();
    let shown = shown.split("```").next().unwrap().replace("sha256:…", &format!("sha256:{}", "0".repeat(64)));
    let grants = Grants::parse(&shown, "README.md").unwrap_or_else(|error| panic!("{error}"));
    let kinds = grants.to_toml().matches("[[").count();
    assert_eq!(kinds, shown.matches("\n[[").count());
}

#[test]
fn nothing_said_is_the_usual() {
    let grants = Grants::parse("schema = 1", "g").unwrap();
    assert_eq!(grants, Grants::none());
    assert_eq!(grants.limits(), Limits::DEFAULT);
    assert_eq!(Grants::open().limits(), Limits::DEFAULT);
    assert_eq!(grants.to_toml(), "schema = 1\n");
    assert!(!grants.passes_firewalls() && !Grants::open().passes_firewalls());
    let none = Grants::parse("schema = 1\n[firewall]\npass = false", "g").unwrap();
    assert_eq!(none, grants);
    let pass = Grants::parse("schema = 1\n[firewall]\npass = true", "g").unwrap();
    assert!(pass != grants && grants.and(pass).passes_firewalls());
    assert_eq!(Grants::none().for_script([7; 32]).script(), Some([7; 32]));
}

#[test]
fn a_hostile_file_costs_little() {
    let start = Instant::now();
    let fill = |unit: &str| format!("schema = 1\n{}", unit.repeat((1 << 18) / unit.len()));
    let nested = ["[", "{a=", "[[a]]\n[a.a]\n", "a.", "a=[", "\"", "'''", "\\", "#", "\n", "\u{feff}"];
    for unit in nested {
        assert!(Grants::parse(&fill(unit), "g").is_err() || ["#", "\n"].contains(&unit), "{unit:?}");
    }
    let tables = fill("[[exec]]\npath = '/a'\n");
    let grants = Grants::parse(&tables, "g").unwrap();
    assert!(
        Grants::parse(grants.to_toml().replace("\n\n", "\n").as_str(), "g")
            .is_ok_and(|again| again == grants)
    );
    assert!(Grants::parse(&format!("{tables}[[exec]]\npath = '/a*b'\n"), "g").unwrap_err().line > 10_000);
    let error = Grants::parse(&" ".repeat((1 << 20) + 1), "g").unwrap_err();
    assert_eq!(error.to_string(), "g:1:1: a grants file has at most 1 MiB");
    // Seconds in a debug build on a busy machine; what grows with the square would take hours.
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}

/// Pieces of grants files, in any order.
fn scraps() -> impl Strategy<Value = String> {
    let scrap = select(vec![
        "schema = 1",
        "\n",
        "[[link]]",
        "[[",
        "]]",
        "[limits]",
        "kind = \"veth\"",
        "host-name",
        " = ",
        "\"v*\"",
        "max = 1",
        "deny = true",
        "[[share]]",
        "kinds = ['pid', \"uts\"]",
        "[[address]]",
        "range = '10.0.0.0/8'",
        "side = 'host'",
        "[[route]]",
        "to = '::/0'",
        "[[exec]]",
        "path = ",
        "'*'",
        "'/a'",
        "arguments = 'any'",
        "arguments = ['']",
        "[[variable]]",
        "name = 'A*'",
        "value = ",
        "[[working-directory]]",
        "[[resolv-conf]]",
        "servers = ['::1', '10.0.0.0/8']",
        "\"\\\\*\"",
        "[[forward]]",
        "ports = '1-2'",
        "protocol = 'tcp'",
        "steps = 9",
        "'''",
        "\"\"\"",
        "\\",
        "{",
        "}",
        ",",
        "#",
        "\r",
        "\0",
        "\u{1b}",
        "é",
        "1e9",
        "0x7fffffffffffffff",
        "inf",
        "1979-05-27T07:32:00Z",
        ".",
    ]);
    vec(scrap, 0..24).prop_map(|scraps| scraps.concat())
}

fn assert_comes_back(text: &str) {
    if let Ok(grants) = Grants::parse(text, "g") {
        let toml = grants.to_toml();
        let again = Grants::parse(&toml, "other").unwrap_or_else(|error| panic!("{error}\n{toml}"));
        assert_eq!(again, grants);
        assert_eq!(again.to_toml(), toml);
    }
}

proptest! {
    #![proptest_config(common::plans::config(1000))]

    #[test]
    fn grants_come_back(file in common::file()) {
        let grants = Grants::parse(&file.toml(), "g").unwrap();
        prop_assert_eq!(Grants::parse(&grants.to_toml(), "other"), Ok(grants.clone()));
        prop_assert_eq!(codec::decode::<Grants>("grants", &codec::encode(&grants)), Ok(grants.clone()));
        prop_assert_eq!(&Grants::none().and(grants.clone()), &grants);
    }

    #[test]
    fn any_text_is_read_or_refused(bytes in vec(any::<u8>(), 0..200), scraps in scraps()) {
        assert_comes_back(&String::from_utf8_lossy(&bytes));
        assert_comes_back(&scraps);
        assert_comes_back(&format!("schema = 1\n{scraps}"));
    }

    #[test]
    fn a_damaged_file_is_read_or_refused(file in common::file(), at in any::<prop::sample::Index>(), scrap in scraps()) {
        let mut text = file.toml();
        text.insert_str(at.index(text.len()), &scrap);
        assert_comes_back(&text);
    }
}
