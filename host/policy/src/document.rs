//! The grants file as a whole: TOML in, rules that are well formed out.

use std::ops::Range;

use serde::Deserialize;

use crate::{
    address, directory,
    error::GrantsError,
    firewall,
    grants::Grants,
    limits, link, mount, namespace, nat, process, route,
    rule::Rule,
    share,
    text::{Digest, Number, Table, Tables, Text},
    variable,
};

/// The largest file, in bytes.
const MAX_FILE: usize = 1 << 20;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Document {
    schema: Option<Number<1>>,
    script: Option<Text<Digest>>,
    #[serde(default)]
    namespace: Tables<namespace::Table>,
    #[serde(default)]
    share: Tables<share::Table>,
    #[serde(default)]
    link: Tables<link::Table>,
    #[serde(default)]
    address: Tables<address::Table>,
    #[serde(default)]
    route: Tables<route::Table>,
    #[serde(default)]
    masquerade: Tables<nat::MasqueradeTable>,
    #[serde(default)]
    forward: Tables<nat::ForwardTable>,
    #[serde(default)]
    exec: Tables<process::Table>,
    #[serde(default)]
    variable: Tables<variable::Table>,
    #[serde(default)]
    working_directory: Tables<directory::Table>,
    #[serde(default)]
    resolv_conf: Tables<mount::Table>,
    firewall: Option<Table<firewall::Table>>,
    limits: Option<Table<limits::Table>>,
}

/// Reads a file.
pub(crate) fn read(text: &str, file: &str) -> Result<Grants, GrantsError> {
    if text.len() > MAX_FILE {
        return Err(GrantsError::new("", file, None, "a grants file has at most 1 MiB"));
    }
    let document: Document = toml::from_str(text)
        .map_err(|error| GrantsError::new(text, file, error.span(), &in_words(error.message())))?;
    if document.schema.is_none() {
        return Err(GrantsError::new("", file, None, "the version is missing: begin with schema = 1"));
    }
    let place = Place { text, file, lines: line_starts(text) };
    Ok(Grants {
        file: Some(file.to_string()),
        script: document.script.map(|text| text.0.0),
        namespaces: place.rules(document.namespace)?,
        shares: place.rules(document.share)?,
        links: place.rules(document.link)?,
        addresses: place.rules(document.address)?,
        routes: place.rules(document.route)?,
        masquerades: place.rules(document.masquerade)?,
        forwards: place.rules(document.forward)?,
        execs: place.rules(document.exec)?,
        variables: place.rules(document.variable)?,
        directories: place.rules(document.working_directory)?,
        resolvers: place.rules(document.resolv_conf)?,
        pass: document.firewall.is_some_and(|table| table.0.pass),
        limits: document.limits.map(|table| table.0.into()).unwrap_or_default(),
    })
}

/// What the parser says, for people: which word was meant, and what there is.
fn in_words(message: &str) -> String {
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match (message.split_once(' ').map(|(first, _)| first), names.as_slice()) {
        (Some("unknown"), [typed, known @ ..]) if message.starts_with("unknown field") => {
            format!("there is no key or table `{typed}` here: {}", meant(typed, known))
        }
        (Some("unknown"), [typed, known @ ..]) => {
            format!("`{typed}` is none of what can be here: {}", meant(typed, known))
        }
        (Some("missing"), [name]) => format!("this table has no `{name}`, and needs it"),
        _ if message == "duplicate key" => "this stands here for the second time: keep one".to_string(),
        _ if message.ends_with(", expected 1") => {
            "this nshost knows grants of schema = 1, and no others".to_string()
        }
        _ => match message.split_once(", expected ") {
            Some((found, wanted)) => of_type(found, wanted).unwrap_or_else(|| message.to_string()),
            None => message.to_string(),
        },
    }
}

/// A value of another type, or out of its range.
fn of_type(found: &str, wanted: &str) -> Option<String> {
    let wanted = if wanted == "a boolean" { "true or false" } else { wanted };
    if let Some(value) = found.strip_prefix("invalid value: ") {
        return Some(format!("{value} cannot be here: wanted is {wanted}"));
    }
    Some(match found.strip_prefix("invalid type: ")? {
        "map" if wanted.starts_with("tables") => format!("one pair of brackets for two: wanted are {wanted}"),
        "map" => format!("a table cannot be here: wanted is {wanted}"),
        "sequence" if wanted == "a table with keys" => format!(
            "a list, or a name in two pairs of brackets, cannot be here: wanted is {wanted}, like [limits] and [firewall]"
        ),
        "sequence" => format!("a list cannot be here: wanted is {wanted}"),
        value => format!("{value} cannot be here: wanted is {wanted}"),
    })
}

/// The one of `known` that was meant, or all.
fn meant(typed: &str, known: &[&str]) -> String {
    match nearest(typed, known) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("there is {}", known.join(", ")),
    }
}

/// The one of `known` that is so near to what was typed that it may have been meant.
pub fn nearest<'a>(typed: &str, known: &[&'a str]) -> Option<&'a str> {
    let plain = |text: &str| text.to_ascii_lowercase().replace('_', "-");
    let (distance, name) = known.iter().map(|name| (distance(&plain(typed), name), *name)).min()?;
    (distance <= (name.len().div_ceil(3)).min(2)).then_some(name)
}

/// How many characters have to be changed, added, taken away or swapped with their neighbour (Damerau's). Of long words
/// nobody asks.
fn distance(one: &str, other: &str) -> usize {
    const LONG: usize = 32;
    let (one, other): (Vec<char>, Vec<char>) =
        (one.chars().take(LONG).collect(), other.chars().take(LONG).collect());
    let mut rows = vec![(0..=other.len()).collect::<Vec<usize>>()];
    for i in 1..=one.len() {
        let mut row = vec![i; other.len() + 1];
        for j in 1..=other.len() {
            let differs = usize::from(one[i - 1] != other[j - 1]);
            row[j] = (rows[i - 1][j - 1] + differs).min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                row[j] = row[j].min(rows[i - 2][j - 2] + 1);
            }
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

struct Place<'a> {
    text: &'a str,
    file: &'a str,
    lines: Vec<usize>,
}

impl Place<'_> {
    fn rules<T, Raw>(&self, tables: Tables<Raw>) -> Result<Vec<Rule<T>>, GrantsError>
    where
        Rule<T>: TryFrom<Raw, Error = String>,
    {
        let rule = |(span, table): (Range<usize>, Raw)| {
            let line = self.lines.partition_point(|start| *start <= span.start);
            match Rule::try_from(table) {
                Ok(rule) => Ok(Rule { line: u32::try_from(line).unwrap_or(0), ..rule }),
                Err(what) => Err(GrantsError::new(self.text, self.file, Some(span), &what)),
            }
        };
        tables.0.into_iter().map(rule).collect()
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    let after = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
    [0].into_iter().chain(after).collect()
}
