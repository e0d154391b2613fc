//! Names that may be used, and text that may be shown.

mod common;

use nshost_plan::{AbsolutePath, LinkName, Topology, UtsName, Variable, show};
use proptest::prelude::*;

/// What a terminal could take for more than a character to draw.
fn acts(c: char) -> bool {
    let bidirectional = matches!(c as u32, 0x61c | 0x200e | 0x200f | 0x202a..=0x202e | 0x2066..=0x2069);
    c != '\t' && (c.is_control() || bidirectional || c == '\u{2028}' || c == '\u{2029}')
}

fn text() -> impl Strategy<Value = String> {
    let nasty = prop::sample::select(vec![
        '\u{1b}', '\0', '\r', '\n', '\u{7f}', '\u{9b}', '\u{202e}', '\u{61c}', '"', '\\', '/', '.',
    ]);
    proptest::collection::vec(prop_oneof![nasty, any::<char>()], 0..120).prop_map(String::from_iter)
}

#[test]
fn every_character_is_made_safe() {
    for c in '\0'..=char::MAX {
        let (line, quoted) = (show::log_line(&c.to_string()), show::quote(&c.to_string()));
        assert!(!line.chars().any(acts), "log_line of U+{:04X} is {line:?}", c as u32);
        assert!(!quoted.chars().any(|c| acts(c) || c == '\t'), "quote of U+{:04X} is {quoted:?}", c as u32);
        let inner = &quoted[1..quoted.len() - 1];
        assert!(!inner.contains('"') || inner == "\\\"");
    }
}

#[test]
fn a_paragraph_keeps_its_lines_and_has_an_end() {
    assert_eq!(show::paragraph("one\n  two\r\n\nthree\n\n"), "one\n  two\n\nthree");
    assert_eq!(show::paragraph(""), "");
    let lines = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>().join("\n");
    assert_eq!(show::paragraph(&lines(show::MOST_LINES)), lines(show::MOST_LINES));
    let cut = show::paragraph(&lines(100_000));
    assert_eq!(cut, format!("{}\n…", lines(show::MOST_LINES - 1)));
    assert_eq!(show::paragraph(&"x".repeat(show::LONGEST_LINE)), "x".repeat(show::LONGEST_LINE));
    assert_eq!(show::paragraph(&"é".repeat(9999)), format!("{}…", "é".repeat(show::LONGEST_LINE - 1)));
    // What stands for other characters counts as it is shown.
    assert_eq!(show::paragraph(&"\x1b".repeat(9999)).chars().count(), show::LONGEST_LINE);
}

proptest! {
    #![proptest_config(common::config(256))]

    #[test]
    fn shown_text_does_nothing(text in text()) {
        prop_assert!(!show::log_line(&text).chars().any(acts));
        let quoted = show::quote(&text);
        prop_assert!(!quoted.chars().any(acts));
        prop_assert!(quoted.starts_with('"') && quoted.ends_with('"'));
        let paragraph = show::paragraph(&text);
        prop_assert!(!paragraph.chars().any(|c| acts(c) && c != '\n'));
        prop_assert!(paragraph.lines().count() <= show::MOST_LINES);
        prop_assert!(paragraph.lines().all(|line| line.chars().count() <= show::LONGEST_LINE));
        // 80 characters, each at most \u{10ffff}, two quotes and a mark that it goes on.
        prop_assert!(quoted.chars().count() <= 80 * 10 + 3);
    }

    #[test]
    fn a_shown_plan_is_one_line_a_step(plan in common::plan()) {
        let shown = show::plan(&plan);
        prop_assert_eq!(shown.lines().count(), plan.steps().len());
        let wide = Topology::of(&plan).text(usize::MAX);
        let drawn = wide.clone() + &Topology::of(&plan).text(0);
        prop_assert!(!shown.chars().chain(drawn.chars()).any(|c| acts(c) && c != '\n'));
        prop_assert!(plan.interfaces().all(|(_, end)| drawn.contains(end.name.as_str())));
        // An interface's name, or an address of 43 characters, with its indent.
        prop_assert!(Topology::of(&plan).text(60).lines().all(|line| line.chars().count() <= 60));
        prop_assert_eq!(wide.is_empty(), plan.links().count() == 0);
        for step in plan.steps() {
            // An interface that the plan does not name would be shown as a question mark.
            let unknown = show::step(&plan, step).contains('?');
            let asked = format!("{:?}", step).contains('?');
            prop_assert!(asked || !unknown);
        }
    }

    #[test]
    fn link_names_are_safe_everywhere(name in prop_oneof![text(), "[a-z.%@ -]{0,17}"]) {
        if let Ok(name) = LinkName::try_from(name) {
            let name = name.as_str();
            prop_assert!((1..=15).contains(&name.len()));
            prop_assert!(name.bytes().all(|b| b.is_ascii_graphic() && !b"/%@:\"'\\*".contains(&b)));
            prop_assert!(![".", "..", "lo", "all", "default"].contains(&name));
        }
    }

    #[test]
    fn paths_variables_and_hostnames_are_what_system_calls_take(text in text()) {
        if let Ok(path) = AbsolutePath::try_from(format!("/{text}")) {
            prop_assert!(!path.as_str().contains('\0') && !path.as_str().split('/').any(|part| part == ".."));
        }
        if let Ok(name) = UtsName::try_from(text.clone()) {
            prop_assert!(name.as_str().len() <= 64 && !name.as_str().chars().any(acts));
        }
        if let Ok(variable) = Variable::new(text.clone(), text) {
            prop_assert!(!variable.name().contains(['=', '\0']) && !variable.value().contains('\0'));
        }
    }
}

#[test]
fn names_at_the_edge() {
    for good in ["a", "veth0", "A-b_c.9", "-", "...", "123456789012345"] {
        assert!(LinkName::try_from(good.to_string()).is_ok(), "{good}");
    }
    for bad in
        ["", ".", "..", "lo", "all", "default", "a/b", "a b", "a\0", "1234567890123456", "veth%d", "é", "a:1"]
    {
        assert!(LinkName::try_from(bad.to_string()).is_err(), "{bad}");
    }
    for bad in ["", "1A", "A=B", "A B", "A\0"] {
        assert!(Variable::new(bad.to_string(), String::new()).is_err(), "{bad}");
    }
    for bad in ["", "a", "./a", "/..", "/a/../b", "/a\0"] {
        assert!(AbsolutePath::try_from(bad.to_string()).is_err(), "{bad}");
    }
    assert!(AbsolutePath::try_from("/a..b/...".to_string()).is_ok());
}
