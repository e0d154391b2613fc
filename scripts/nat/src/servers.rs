//! The container's name servers: the host's, as far as the way out leads to them.

use std::net::IpAddr;

use nshost_sdk::prelude::*;

use crate::{Way, options::Options};

/// As many as a resolver asks.
const MOST: usize = 3;
/// Quad9's: for a host whose own cannot be asked.
const PUBLIC: [&str; 2] = ["9.9.9.9", "149.112.112.112"];

/// Those that the operator names, else the host's, else public ones. Which is told, and which is left out.
pub fn of(options: &Options, ways: &[Way]) -> Vec<String> {
    if !options.dns.is_empty() {
        return options.dns.clone();
    }
    let mut reached = Vec::new();
    for server in facts::name_servers() {
        match hindrance(&server, ways) {
            None => reached.push(server.address.to_string()),
            Some(why) => info!("the host's name server {} is left out: {why}", server.address),
        }
    }
    reached.truncate(MOST);
    if reached.is_empty() {
        let public = PUBLIC.map(String::from);
        warn!(
            "no name server of the host's can be asked from the container, so that it asks {} (public, of Quad9); \
             dns=ADDRESS names another",
            public.join(" and ")
        );
        return public.to_vec();
    }
    reached
}

/// What stands between the container and a name server.
fn hindrance(server: &facts::NameServer, ways: &[Way]) -> Option<String> {
    let (family, name) = match server.address {
        IpAddr::V4(_) => (Ipv4, "IPv4"),
        IpAddr::V6(_) => (Ipv6, "IPv6"),
    };
    let Some(way) = ways.iter().find(|way| way.family == family) else {
        return Some(format!("the container has no {name}"));
    };
    match &server.link {
        Some(link) if *link != way.out => {
            Some(format!("the host reaches it by {link}, and the container's way out is {}", way.out))
        }
        _ => None,
    }
}
