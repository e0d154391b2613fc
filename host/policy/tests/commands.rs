//! Commands that a script chooses: what a path may look like, and what a denial has to think of.

use nshost_plan::{Argument, Command, Facts, Plan, Step};
use nshost_policy::{Grants, check_step};

fn command(words: &[&str]) -> Step {
    Step::Command(Command::parse(words.iter().map(ToString::to_string)).unwrap())
}

fn grants(tables: &str) -> Grants {
    Grants::parse(&format!("schema = 1\n{tables}"), "grants.toml").unwrap()
}

fn allows(command: &Step, tables: &str) -> bool {
    check_step(&Plan::default(), command, &grants(tables), &Facts::default()).is_ok()
}

#[test]
fn commands_by_path() {
    let runs = |program: &str, tables: &str| allows(&command(&[program, "-c"]), tables);
    let path = |path: &str| format!("[[exec]]\npath = '{path}'\n");
    for (program, pattern) in [
        ("/bin/sh", "/bin/sh"),
        ("//bin/./sh", "/bin/sh"),
        ("/bin/sh", "//bin//sh"),
        ("/usr/bin/x/y", "/usr/bin/*"),
        ("sh", "sh"),
        ("./sh", "./sh"),
        ("a/b", "./a/b"),
        ("anything", "*"),
        ("/a/../b", "*"),
        ("/a/../b", "/a/../b"),
        ("*", "\\*"),
        ("/bin/a\\b", "/bin/a\\\\b"),
    ] {
        assert!(runs(program, &path(pattern)), "{program} {pattern}");
        assert!(!runs(program, ""));
        assert!(!runs(program, &format!("{}{}deny = true\n", path("*"), path("*"))));
    }
    for (program, pattern) in [
        ("/bin/shx", "/bin/sh"),
        ("sh", "/bin/sh"),
        ("./sh", "sh"),
        ("bin/sh", "/bin/*"),
        ("/bin/../etc/x", "/bin/*"),
        ("/bin", "/bin/*"),
        ("/binx/y", "/bin/*"),
        ("x", "\\*"),
        ("/bin/../bin/sh", "/bin/sh"),
    ] {
        assert!(!runs(program, &path(pattern)), "{program} {pattern}");
    }
    // What could be the denied program is denied, whatever else is granted.
    for program in ["/bin/sh", "//bin/sh", "/x/../bin/sh", "sh", "./sh", "bin/sh"] {
        assert!(!runs(program, &format!("{}{}deny = true\n", path("*"), path("/bin/sh"))), "{program}");
        assert!(!runs(program, &format!("{}{}deny = true\n", path("*"), path("/bin/*"))), "{program}");
    }
    assert!(runs("/usr/bin/sh", &format!("{}{}deny = true\n", path("*"), path("/bin/sh"))));
}

#[test]
fn the_longest_command_can_be_granted() {
    let longest = command(&[&format!("a/{}", "x".repeat(4093))]);
    let hint = check_step(&Plan::default(), &longest, &Grants::none(), &Facts::default()).unwrap_err().hint;
    assert!(allows(&longest, &hint));
}

#[test]
fn the_operators_command_is_the_operators_own() {
    let words = ["/bin/sh", "-c", "id"];
    let typed: Vec<Argument> =
        words.iter().map(|word| Argument::try_from(word.to_string()).unwrap()).collect();
    let facts = Facts { command: typed, ..Facts::default() };
    let nothing = grants("[[exec]]\npath = '*'\ndeny = true\n");
    let verdict = check_step(&Plan::default(), &command(&words), &nothing, &facts).unwrap();
    assert_eq!(verdict.rule, "needs no grant: it is the operator's own command");
    assert!(check_step(&Plan::default(), &command(&["/bin/sh", "-c", "rm"]), &nothing, &facts).is_err());
}
