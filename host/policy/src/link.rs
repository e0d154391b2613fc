//! Which links a container may have.

use nshost_plan::{Around, Facts, Link, LinkName, Plan, Step};
use serde::{Deserialize, Serialize};

use crate::{
    check::Hurdle,
    pattern::NamePattern,
    rule::{Noun, Rule, quoted},
    text::{Number, Text},
};

/// Veth pairs by the names of their ends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct LinkRule {
    pub host: NamePattern,
    pub container: NamePattern,
    /// How many links of one container may match this rule; none: as many as a plan can have.
    pub max: Option<u32>,
}

/// `[[link]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Table {
    #[serde(rename = "kind")]
    _kind: Kind,
    host_name: Text<NamePattern>,
    container_name: Option<Text<NamePattern>>,
    max: Option<Number<{ Plan::MAX_LINKS as u32 }>>,
    #[serde(default)]
    deny: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Veth,
}

impl TryFrom<Table> for Rule<LinkRule> {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        let container = table.container_name.map_or_else(NamePattern::any, |text| text.0);
        if table.max.is_some() && table.deny {
            return Err("max says nothing where deny = true; leave it out".to_string());
        }
        let what = LinkRule { host: table.host_name.0, container, max: table.max.map(|max| max.0) };
        Ok(Rule { what, deny: table.deny, line: 0 })
    }
}

/// A link, after the steps that were asked for before it.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub link: &'a Link,
    pub before: &'a [Step],
}

/// The names of its ends: the host's first.
fn names(link: &Link) -> [&LinkName; 2] {
    link.host_first().map(|(_, end)| &end.name)
}

impl LinkRule {
    /// A table is for links of its kind alone.
    fn matches(&self, link: &Link) -> bool {
        let [host, container] = names(link);
        match link {
            Link::Veth(_) => self.host.matches(host) && self.container.matches(container),
        }
    }

    fn has_room(&self, before: &[Step]) -> bool {
        let Some(max) = self.max else { return true };
        let mine = before
            .iter()
            .filter(|step| matches!(step, Step::Around(Around::Link(link)) if self.matches(link)));
        mine.count() < max as usize
    }
}

impl Noun for LinkRule {
    const SECTION: &'static str = "link";
    type Asked<'a> = Asked<'a>;

    fn allows(&self, asked: Asked<'_>) -> bool {
        self.matches(asked.link) && self.has_room(asked.before)
    }

    fn touches(&self, asked: Asked<'_>) -> bool {
        self.matches(asked.link)
    }

    fn least(asked: Asked<'_>) -> Self {
        let [host, container] = names(asked.link).map(NamePattern::literal);
        match asked.link {
            Link::Veth(_) => LinkRule { host, container, max: None },
        }
    }

    fn covers(&self, other: &Self) -> bool {
        self.host.covers(&other.host) && self.container.covers(&other.container) && self.max.is_none()
    }

    fn join(&self, _next: &Self) -> Option<Self> {
        None
    }

    fn keys(&self) -> Vec<(&'static str, String)> {
        let mut keys = vec![("kind", quoted("veth")), ("host-name", quoted(&self.host.text()))];
        if self.container != NamePattern::any() {
            keys.push(("container-name", quoted(&self.container.text())));
        }
        keys.extend(self.max.map(|max| ("max", max.to_string())));
        keys
    }

    fn why_not(rules: &[Rule<Self>], asked: Asked<'_>, file: Option<&str>) -> String {
        match rules.iter().find(|rule| !rule.deny && rule.what.matches(asked.link)) {
            Some(rule) => format!("{} allows no more than that", rule.name(file)),
            None => "no [[link]] table allows it".to_string(),
        }
    }
}

/// The host end's name must be free on the host.
pub(crate) fn hurdle(link: &Link, facts: &Facts) -> Option<Hurdle> {
    let host = &link.ends().iter().find(|end| end.at.is_host())?.name;
    let whose = if facts.taken.links.contains(host) {
        "another container"
    } else if facts.links.iter().any(|link| link.name == host.as_str()) {
        "the host"
    } else {
        return None;
    };
    let hint = "choose another, with the instance number in it, say";
    Some(Hurdle::conflict(format!("{whose} has an interface named {host}; {hint}")))
}
