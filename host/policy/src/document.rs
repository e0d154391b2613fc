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
    let document: Document =
        toml::from_str(text).map_err(|error| GrantsError::new(text, file, error.span(), error.message()))?;
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
