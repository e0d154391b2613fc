//! What changes what runs: commands that a script chooses, variables, where it starts, name servers.

use nshost_plan::{
    AbsolutePath, Argument, Command, Facts, Inside, NameServer, Namespace, Plan, ResolvConf, Step, Variable,
    show,
};
use nshost_policy::{Grants, Refusal, RefusalKind, check, check_step, suggest};

fn command(words: &[&str]) -> Step {
    Inside::Command(Command::parse(words.iter().map(ToString::to_string)).unwrap()).of_first()
}

fn variable(name: &str, value: &str) -> Step {
    Inside::Variable(Variable::new(name.to_string(), value.to_string()).unwrap()).of_first()
}

fn directory(path: &str) -> Step {
    Inside::WorkingDirectory(AbsolutePath::try_from(path.to_string()).unwrap()).of_first()
}

/// Apart from the plan's own: it wants namespaces before it.
fn resolver(servers: &[&str]) -> Step {
    let servers: Vec<_> = servers.iter().map(|server| server.parse().unwrap()).collect();
    Inside::ResolvConf(ResolvConf::try_from(servers).unwrap()).of_first()
}

fn grants(tables: &str) -> Grants {
    Grants::parse(&format!("schema = 1\n{tables}"), "grants.toml").unwrap()
}

fn ask(step: &Step, tables: &str) -> Result<(), Refusal> {
    check_step(&Plan::default(), step, &grants(tables), &Facts::default()).map(drop)
}

fn allows(step: &Step, tables: &str) -> bool {
    ask(step, tables).is_ok()
}

fn exec(path: &str, arguments: &str) -> String {
    format!("[[exec]]\npath = '{path}'\n{arguments}\n")
}

#[test]
fn a_program_by_its_path_and_its_arguments() {
    for (words, path, arguments) in [
        (&["/bin/sh"][..], "/bin/sh", ""),
        (&["/bin/sh"], "/bin/sh", "arguments = []"),
        (&["/bin/sh", "-c", "id"], "/bin/sh", "arguments = ['-c', 'id']"),
        (&["/bin/sh", "-c", "id"], "/bin/sh", "arguments = 'any'"),
        (&["/bin/*"], "/bin/\\*", ""),
        (&["/bin/a\\b"], "/bin/a\\\\b", ""),
        (&["/any/thing", "at", "all"], "*", "arguments = 'any'"),
        // A bare name has not been found yet: it could be this one.
        (&["sh"], "/usr/local/bin/sh", ""),
    ] {
        assert!(allows(&command(words), &exec(path, arguments)), "{words:?} {path}");
        assert!(!allows(&command(words), ""));
    }
    for (words, path, arguments) in [
        (&["/bin/sh", "-c", "id"][..], "/bin/sh", ""),
        (&["/bin/sh", "-c"], "/bin/sh", "arguments = ['-c', 'id']"),
        (&["/bin/sh", "-c", "id", ""], "/bin/sh", "arguments = ['-c', 'id']"),
        (&["/bin/sh", "id", "-c"], "/bin/sh", "arguments = ['-c', 'id']"),
        (&["/bin/sh"], "/bin/sh", "arguments = ['']"),
        // Other names of what may be the same file.
        (&["//bin/sh"], "/bin/sh", "arguments = 'any'"),
        (&["/bin/./sh"], "/bin/sh", "arguments = 'any'"),
        (&["/usr/bin/sh"], "/bin/sh", "arguments = 'any'"),
        (&["/proc/self/root/bin/sh"], "/bin/sh", "arguments = 'any'"),
        (&["/usr/bin/env", "/bin/sh"], "/bin/sh", "arguments = 'any'"),
        (&["sh"], "/opt/sh", "arguments = 'any'"),
        (&["sh"], "/usr/bin/bash", "arguments = 'any'"),
    ] {
        let refusal = ask(&command(words), &exec(path, arguments)).unwrap_err();
        assert_eq!(refusal.kind, RefusalKind::Denied, "{words:?} {path}");
    }
}

#[test]
fn a_program_that_nobody_can_name_is_no_matter_of_grants() {
    for program in ["./sh", "a/b", "/a/../b", "../sh", "..", "bin/", &"x".repeat(256)] {
        let refusal = ask(&command(&[program]), &exec("*", "arguments = 'any'")).unwrap_err();
        assert_eq!(refusal.kind, RefusalKind::Unsupported, "{program}");
        assert!(refusal.hint.contains("absolute path"), "{}", refusal.hint);
    }
}

#[test]
fn what_other_arguments_are_granted_is_told() {
    let plan = Plan::try_from(vec![command(&["/bin/sh", "-c", "id"])]).unwrap();
    let checked = check(plan, &grants(&exec("/bin/sh", "arguments = ['-l']")), &Facts::default());
    let rule =
        "grants.toml:2 [[exec]] path = \"/bin/sh\", arguments = [\"-l\"] allows it with other arguments";
    assert_eq!(checked.verdicts[0].rule, rule);
    assert_eq!(checked.verdicts[0].subject, "\"/bin/sh\" \"-c\" \"id\"");
}

#[test]
fn the_longest_command_can_be_granted() {
    let longest = command(&[&format!("/{}", "x/".repeat(2047)), &"\u{1b}".repeat(20_000)]);
    let bare = command(&[&"x".repeat(255), &"\\".repeat(32 << 10)]);
    for command in [longest, bare] {
        let hint =
            check_step(&Plan::default(), &command, &Grants::none(), &Facts::default()).unwrap_err().hint;
        assert!(allows(&command, &hint));
    }
}

#[test]
fn the_operators_command_is_the_operators_own() {
    let words = ["./a/../sh", "-c", "id"];
    let typed: Vec<Argument> =
        words.iter().map(|word| Argument::try_from(word.to_string()).unwrap()).collect();
    let facts = Facts { command: typed, ..Facts::default() };
    let verdict = check_step(&Plan::default(), &command(&words), &Grants::none(), &facts).unwrap();
    assert_eq!(verdict.rule, "needs no grant: it is the operator's own command");
    assert!(check_step(&Plan::default(), &command(&["./a/../sh", "-c"]), &Grants::open(), &facts).is_err());
}

#[test]
fn variables_by_name_and_value() {
    let (lang, preload) = (variable("LANG", "C"), variable("LD_PRELOAD", "/tmp/x.so"));
    let table = |keys: &str| format!("[[variable]]\n{keys}\n");
    assert!(!allows(&lang, ""));
    assert!(allows(&lang, &table("name = 'LANG'")) && allows(&lang, &table("name = 'LA*'")));
    assert!(allows(&lang, &table("name = 'LANG'\nvalue = 'C'")));
    assert!(!allows(&lang, &table("name = 'LANG'\nvalue = 'D'")));
    assert!(!allows(&lang, &table("name = 'LAN'")) && !allows(&lang, &table("name = 'lang'")));
    let all_but = format!("{}{}", table("name = '*'"), table("name = 'LD_*'\ndeny = true"));
    assert!(allows(&lang, &all_but));
    assert_eq!(ask(&preload, &all_but).unwrap_err().kind, RefusalKind::Forbidden);
    let refusal = ask(&preload, "").unwrap_err();
    assert_eq!(refusal.hint, "[[variable]]\nname = \"LD_PRELOAD\"\nvalue = \"/tmp/x.so\"");
    assert_eq!((refusal.capability, refusal.subject.as_str()), ("variable", "LD_PRELOAD=\"/tmp/x.so\""));
}

#[test]
fn working_directories_by_their_paths() {
    let table = |path: &str| format!("[[working-directory]]\npath = '{path}'\n");
    for (path, pattern) in [
        ("/srv", "/srv"),
        ("//srv/.", "/srv/"),
        ("/srv/a/b", "/srv/*"),
        ("/srv", "/*"),
        ("/", "*"),
        ("/", "/"),
    ] {
        assert!(allows(&directory(path), &table(pattern)), "{path} {pattern}");
        assert!(!allows(&directory(path), ""));
    }
    for (path, pattern) in [("/srv", "/srv/*"), ("/srvx", "/srv/*"), ("/srv/a", "/srv"), ("/", "/*")] {
        assert!(!allows(&directory(path), &table(pattern)), "{path} {pattern}");
    }
    let refusal = ask(&directory("/home//x/"), "").unwrap_err();
    assert_eq!(refusal.hint, "[[working-directory]]\npath = \"/home/x\"");
}

#[test]
fn name_servers_by_their_addresses() {
    let table = |servers: &str| format!("[[resolv-conf]]\nservers = [{servers}]\n");
    let two = resolver(&["9.9.9.9", "fd00::53"]);
    assert!(allows(&two, &table("'9.9.9.9', 'fd00::53'")) && allows(&two, &table("'9.0.0.0/8', 'fd00::/8'")));
    assert!(!allows(&two, "") && !allows(&two, &table("'9.9.9.9'")));
    // All in one table: the file is one.
    assert!(!allows(&two, &format!("{}{}", table("'9.9.9.9'"), table("'fd00::53'"))));
    let but = format!("{}{}deny = true\n", table("'0.0.0.0/0', '::/0'"), table("'9.9.9.0/24'"));
    assert_eq!(ask(&two, &but).unwrap_err().kind, RefusalKind::Forbidden);
    assert!(allows(&resolver(&["fd00::53"]), &but));
    // Where an address leads counts, not how it is written.
    let mapped = resolver(&["::ffff:9.9.9.9"]);
    assert_eq!(ask(&mapped, &but).unwrap_err().kind, RefusalKind::Forbidden);
    assert!(allows(&mapped, &table("'9.9.9.9'")) && !allows(&mapped, &table("'::/0'")));
    let refusal = ask(&two, "").unwrap_err();
    assert_eq!(refusal.hint, "[[resolv-conf]]\nservers = [\"9.9.9.9\", \"fd00::53\"]");
}

#[test]
fn the_hosts_name_servers_by_one_word() {
    let server = |address: &str| NameServer { address: address.parse().unwrap(), link: None };
    let facts = Facts { name_servers: vec![server("9.9.9.9"), server("fd00::53")], ..Facts::default() };
    let elsewhere = Facts { name_servers: vec![server("192.0.2.1")], ..Facts::default() };
    let plan = |step: &Step| {
        let apart = [Namespace::Pid, Namespace::Mount, Namespace::Network, Namespace::Uts, Namespace::Ipc];
        let steps = apart
            .into_iter()
            .map(|it| Inside::Namespace(it).of_first())
            .chain([Inside::PrivatePropagation.of_first(), step.clone()]);
        Plan::try_from(steps.collect::<Vec<_>>()).unwrap()
    };
    let kind = |servers: &[&str], tables: &str, facts: &Facts| {
        let grants = Grants::parse(&format!("schema = 1\n{tables}"), "g").unwrap();
        let refused = check(plan(&resolver(servers)), &grants, facts).outcome.err()?;
        Some(refused.refusals[0].kind)
    };
    let host = "[[resolv-conf]]\nservers = ['host']\n";
    assert_eq!(kind(&["fd00::53", "9.9.9.9"], host, &facts), None);
    assert_eq!(kind(&["::ffff:9.9.9.9"], host, &facts), None, "it is reached by that address");
    for (servers, facts) in [(&["9.9.9.9", "9.9.9.10"], &facts), (&["9.9.9.9", "fd00::53"], &elsewhere)] {
        assert_eq!(kind(servers, host, facts), Some(RefusalKind::Denied));
    }
    let but_host = format!("[[resolv-conf]]\nservers = ['0.0.0.0/0', '::/0']\n{host}deny = true\n");
    assert_eq!(kind(&["192.0.2.1", "9.9.9.9"], &but_host, &facts), Some(RefusalKind::Forbidden));
    assert_eq!(kind(&["192.0.2.1"], &but_host, &facts), None);
    // Suggested by the word where all are the host's, and letter by letter where one is not.
    let suggested = |servers: &[&str]| suggest(&plan(&resolver(servers)), &facts).to_toml();
    assert_eq!(suggested(&["9.9.9.9"]), "schema = 1\n\n[[resolv-conf]]\nservers = [\"host\"]\n");
    assert!(suggested(&["9.9.9.9", "1.1.1.1"]).ends_with("servers = [\"1.1.1.1\", \"9.9.9.9\"]\n"));
}

#[test]
fn what_changes_a_command_is_suggested_letter_by_letter() {
    let apart = [Namespace::Pid, Namespace::Mount, Namespace::Network, Namespace::Uts, Namespace::Ipc];
    let mut steps: Vec<Step> = apart.into_iter().map(|it| Inside::Namespace(it).of_first()).collect();
    steps.extend([
        Inside::PrivatePropagation.of_first(),
        resolver(&["9.9.9.9"]),
        variable("LANG", "C.UTF-8"),
        directory("/srv"),
        command(&["/usr/bin/env", "-i", "a b"]),
    ]);
    let plan = Plan::try_from(steps).unwrap();
    let expected = r#"schema = 1

[[exec]]
path = "/usr/bin/env"
arguments = ["-i", "a b"]

[[variable]]
name = "LANG"
value = "C.UTF-8"

[[working-directory]]
path = "/srv"

[[resolv-conf]]
servers = ["9.9.9.9"]
"#;
    assert_eq!(suggest(&plan, &Facts::default()).to_toml(), expected);
    let read = Grants::parse(expected, "g").unwrap();
    assert!(check(plan.clone(), &read, &Facts::default()).outcome.is_ok(), "{}", show::plan(&plan));
}
