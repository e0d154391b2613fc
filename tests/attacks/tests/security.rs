//! `host/SECURITY.md` against the suite, both ways: a promise is held by tests that are there, and no attack
//! is left out of it.

use std::{
    collections::BTreeSet,
    fs,
    net::Ipv6Addr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

const SECURITY: &str = include_str!("../../../host/SECURITY.md");

/// A test as it is named there: a crate, the file's path below its `tests`, a function.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    of: String,
    file: PathBuf,
    function: String,
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All that is written in backquotes with `::` in it and is no address; one that is not of three words or more
/// is a mistake.
fn named(text: &str) -> Result<Vec<Named>> {
    let quoted = text.split('`').skip(1).step_by(2).filter(|word| word.contains("::"));
    let quoted = quoted.filter(|word| word.parse::<Ipv6Addr>().is_err());
    let named = |word: &str| {
        let words: Vec<&str> = word.split("::").collect();
        let [of, file @ .., function] = &words[..] else { return None };
        let file = (!file.is_empty()).then(|| file.iter().collect::<PathBuf>().with_extension("rs"))?;
        Some(Named { of: of.to_string(), file, function: function.to_string() })
    };
    quoted.map(|word| named(word).with_context(|| format!("{word}: crate::file::test"))).collect()
}

fn text_of(named: &Named) -> Option<String> {
    let crates = ["tests", "host"].map(|room| repository().join(room).join(&named.of));
    crates.iter().find_map(|of| fs::read_to_string(of.join("tests").join(&named.file)).ok())
}

/// The functions of a file that are tests.
fn tests(text: &str) -> impl Iterator<Item = &str> {
    let after = text.split("#[test]").skip(1);
    after.filter_map(|rest| rest.split_once("fn ")?.1.split_once('(')).map(|(name, _)| name)
}

#[test]
fn every_test_that_holds_a_promise_is_there() -> Result<()> {
    let named = named(SECURITY)?;
    assert!(named.len() > 50, "only {}", named.len());
    let missing: Vec<_> = named
        .iter()
        .filter(|named| !text_of(named).is_some_and(|text| text.contains(&format!("fn {}(", named.function))))
        .collect();
    assert!(missing.is_empty(), "named in host/SECURITY.md and nowhere to be found: {missing:#?}");
    Ok(())
}

#[test]
fn every_attack_is_told_of() -> Result<()> {
    let told: BTreeSet<_> = named(SECURITY)?.into_iter().collect();
    let mut untold = Vec::new();
    for entry in fs::read_dir(repository().join("tests/attacks/tests"))? {
        let path = entry?.path();
        let file = PathBuf::from(path.file_name().context("a name")?);
        // What the attacks rest on, and this.
        if ["world.rs", "security.rs"].iter().any(|other| file.ends_with(other)) {
            continue;
        }
        let text = fs::read_to_string(&path)?;
        let found: Vec<_> = tests(&text)
            .map(|name| Named { of: "attacks".into(), file: file.clone(), function: name.into() })
            .collect();
        assert!(!found.is_empty(), "{} has no tests", file.display());
        untold.extend(found.into_iter().filter(|test| !told.contains(test)));
    }
    assert!(untold.is_empty(), "attacks that host/SECURITY.md does not name: {untold:#?}");
    Ok(())
}

/// The control: names that are none, and attacks that nobody tells of, are found.
#[test]
fn a_name_that_is_none_is_found() -> Result<()> {
    let wrong = named(
        "a `attacks::links::nobody_does_that` and `policy::rules::a_refusal_says_what_would_allow_it`",
    )?;
    let there =
        |named: &Named| text_of(named).is_some_and(|text| text.contains(&format!("fn {}(", named.function)));
    assert_eq!(wrong.iter().map(there).collect::<Vec<_>>(), [false, true]);
    assert!(named("`links::only_two`").is_err() && named("on `::`, by `attacks`")?.is_empty());
    let file = "#[test]\nfn one() {}\nfn none() {}\n#[test]\n#[ignore]\nfn two(x: u8) {}\n";
    assert_eq!(tests(file).collect::<Vec<_>>(), ["one", "two"]);
    Ok(())
}
