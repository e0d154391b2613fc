//! Whom the host asks, besides those that it sends by: name servers and DHCP servers.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    net::IpAddr,
    path::Path,
};

use nix::{
    fcntl::{OFlag, open},
    sys::stat::Mode,
};

/// Where the C library reads its servers.
const RESOLV_CONF: &str = "etc/resolv.conf";
/// Where a resolver on the host itself, of which alone `/etc/resolv.conf` may tell, has written down whom it asks:
/// systemd's (127.0.0.53), and what NetworkManager starts (127.0.1.1).
const BEHIND: [&str; 2] = ["run/systemd/resolve/resolv.conf", "run/NetworkManager/no-stub-resolv.conf"];
/// Where DHCP clients write what they were given: systemd-networkd, dhclient, NetworkManager.
const LEASES: [&str; 3] = ["/run/systemd/netif/leases", "/var/lib/dhcp", "/var/lib/NetworkManager"];
/// As much of a file as is read, in bytes; what was given last stands at the end.
const MAX: u64 = 64 << 10;

/// The name servers that the host asks.
pub(crate) struct Resolvers {
    told: Vec<IpAddr>,
    behind: Vec<IpAddr>,
}

impl Resolvers {
    /// From the files below `root`.
    pub(crate) fn read(root: &Path) -> Resolvers {
        let servers = |file: &str| text(&root.join(file)).map_or_else(Vec::new, |text| name_servers(&text));
        Resolvers { told: servers(RESOLV_CONF), behind: BEHIND.into_iter().flat_map(servers).collect() }
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = IpAddr> {
        self.told.iter().chain(&self.behind).copied()
    }

    /// Those that somebody else can ask too, in the host's order: not the loopback's, nor those whose address means
    /// something on one link only. What stands behind the host's own resolver is asked where the host names no
    /// other.
    pub(crate) fn to_hand_on(&self) -> impl Iterator<Item = IpAddr> {
        let anybodys = |server: &IpAddr| match server {
            IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_unspecified(),
            IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unspecified() && !v6.is_unicast_link_local(),
        };
        let mut servers: Vec<IpAddr> = self.told.iter().copied().filter(anybodys).collect();
        if servers.is_empty() {
            servers = self.behind.iter().copied().filter(anybodys).collect();
        }
        let mut seen = HashSet::new();
        servers.retain(|server| seen.insert(*server));
        servers.into_iter()
    }
}

/// The DHCP servers' addresses, so far as the host has written them down.
pub(crate) fn dhcp_servers() -> Vec<IpAddr> {
    let leases = LEASES.iter().filter_map(|directory| fs::read_dir(directory).ok()).flatten().flatten();
    leases.filter_map(|lease| text(&lease.path())).flat_map(|text| of_lease(&text)).collect()
}

/// What a file ends with. Not waited for if it is something else than a file.
fn text(file: &Path) -> Option<String> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let mut file = File::from(open(file, flags, Mode::empty()).ok()?);
    let length = file.metadata().ok()?.len();
    if length > MAX {
        file.seek(SeekFrom::Start(length - MAX)).ok()?;
    }
    let mut bytes = Vec::new();
    file.take(MAX).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// `resolv.conf(5)`.
fn name_servers(text: &str) -> Vec<IpAddr> {
    let servers = text.lines().filter_map(|line| line.trim_start().strip_prefix("nameserver"));
    // A link-local address has its interface behind a %.
    let address = |rest: &str| rest.trim().split(['%', ' ', '\t']).next().and_then(|word| word.parse().ok());
    servers.filter_map(address).collect()
}

/// `SERVER_ADDRESS=192.0.2.1` (systemd-networkd, NetworkManager) and `option dhcp-server-identifier
/// 192.0.2.1;` (`dhclient.leases(5)`).
fn of_lease(text: &str) -> Vec<IpAddr> {
    let address = |line: &str| {
        let line = line.trim();
        let server = line.strip_prefix("SERVER_ADDRESS=");
        let server = server.or_else(|| line.strip_prefix("option dhcp-server-identifier "));
        server?.trim_end_matches(';').trim().parse().ok()
    };
    text.lines().filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn name_servers_of_a_resolv_conf() {
        let text = "# nameserver 192.0.2.9\nsearch example.org\nnameserver 192.0.2.53\n nameserver\tfe80::1%eth0\n\
                    nameserver 2001:db8::53 # second\nnameserver nonsense\nnameserver\n";
        assert_eq!(name_servers(text), addresses(&["192.0.2.53", "fe80::1", "2001:db8::53"]));
    }

    #[test]
    fn what_stands_behind_the_hosts_own_resolver_is_handed_on() {
        let root = std::env::temp_dir().join(format!("nshost-resolvers-{}", std::process::id()));
        let handed_on = |told: &str, behind: &str| {
            for (file, text) in [(RESOLV_CONF, told), (BEHIND[0], behind)] {
                let file = root.join(file);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, text).unwrap();
            }
            Resolvers::read(&root).to_hand_on().collect::<Vec<_>>()
        };
        let stub = "nameserver 127.0.0.53\noptions edns0 trust-ad\n";
        let uplinks = "nameserver 192.0.2.53\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\n";
        let cases = [
            handed_on(stub, uplinks),
            handed_on("nameserver 198.51.100.1\nnameserver 127.0.0.1\n", uplinks),
            handed_on("", uplinks),
            handed_on("nameserver ::1\nnameserver 0.0.0.0\n", stub),
        ];
        let all: Vec<IpAddr> = Resolvers::read(&root).all().collect();
        fs::remove_dir_all(&root).unwrap();
        let [behind, named, nobody, none] = cases;
        assert_eq!(behind, addresses(&["192.0.2.53"]));
        assert_eq!(named, addresses(&["198.51.100.1"]));
        assert_eq!((nobody, none), (behind, addresses(&[])));
        assert_eq!(all, addresses(&["::1", "0.0.0.0", "127.0.0.53"]));
    }

    #[test]
    fn servers_of_leases() {
        let networkd = "# This is private data.\nADDRESS=192.0.2.7\nSERVER_ADDRESS=192.0.2.1\n";
        let dhclient = "lease {\n  fixed-address 192.0.2.7;\n  option dhcp-server-identifier 192.0.2.2;\n}\n";
        assert_eq!(of_lease(networkd), addresses(&["192.0.2.1"]));
        assert_eq!(of_lease(dhclient), addresses(&["192.0.2.2"]));
        assert_eq!(of_lease("SERVER_ADDRESS=\n"), addresses(&[]));
    }

    #[test]
    fn what_was_given_last_is_read_of_long_leases() {
        let path = std::env::temp_dir().join(format!("nshost-lease-{}", std::process::id()));
        let lease = |server: &str| format!("lease {{\n  option dhcp-server-identifier {server};\n}}\n");
        let long = lease("192.0.2.1").repeat(2 * MAX as usize / 40) + &lease("192.0.2.2");
        assert!(long.len() as u64 > MAX);
        fs::write(&path, long).unwrap();
        let servers = text(&path).map(|text| of_lease(&text));
        fs::remove_file(&path).unwrap();
        assert!(servers.unwrap().ends_with(&addresses(&["192.0.2.1", "192.0.2.2"])));
    }
}
