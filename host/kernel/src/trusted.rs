//! Whom the host asks, besides those that it sends by: name servers and DHCP servers.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    net::IpAddr,
    path::{Path, PathBuf},
};

use nix::{
    fcntl::{OFlag, open},
    sys::stat::Mode,
};

/// Where resolvers read their servers: the C library, and systemd's own behind 127.0.0.53.
const RESOLVERS: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];
/// Where DHCP clients write what they were given: systemd-networkd, dhclient, NetworkManager.
const LEASES: [&str; 3] = ["/run/systemd/netif/leases", "/var/lib/dhcp", "/var/lib/NetworkManager"];
/// As much of a file as is read, in bytes; what was given last stands at the end.
const MAX: u64 = 64 << 10;

/// Their addresses, so far as the host has written them down; the loopback's are no container's anyway.
pub(crate) fn servers() -> Vec<IpAddr> {
    let leases = LEASES.iter().filter_map(|directory| fs::read_dir(directory).ok()).flatten().flatten();
    let files = RESOLVERS.iter().map(PathBuf::from).map(|file| (file, name_servers as fn(&str) -> _));
    let all = files.chain(leases.map(|lease| (lease.path(), dhcp_servers as fn(&str) -> _)));
    let mut servers: Vec<IpAddr> =
        all.flat_map(|(file, read)| text(&file).map_or_else(Vec::new, |t| read(&t))).collect();
    servers.retain(|server| !server.is_loopback());
    servers.sort();
    servers.dedup();
    servers
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
fn dhcp_servers(text: &str) -> Vec<IpAddr> {
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
    fn servers_of_leases() {
        let networkd = "# This is private data.\nADDRESS=192.0.2.7\nSERVER_ADDRESS=192.0.2.1\n";
        let dhclient = "lease {\n  fixed-address 192.0.2.7;\n  option dhcp-server-identifier 192.0.2.2;\n}\n";
        assert_eq!(dhcp_servers(networkd), addresses(&["192.0.2.1"]));
        assert_eq!(dhcp_servers(dhclient), addresses(&["192.0.2.2"]));
        assert_eq!(dhcp_servers("SERVER_ADDRESS=\n"), addresses(&[]));
    }

    #[test]
    fn what_was_given_last_is_read_of_long_leases() {
        let path = std::env::temp_dir().join(format!("nshost-lease-{}", std::process::id()));
        let lease = |server: &str| format!("lease {{\n  option dhcp-server-identifier {server};\n}}\n");
        let long = lease("192.0.2.1").repeat(2 * MAX as usize / 40) + &lease("192.0.2.2");
        assert!(long.len() as u64 > MAX);
        fs::write(&path, long).unwrap();
        let servers = text(&path).map(|text| dhcp_servers(&text));
        fs::remove_file(&path).unwrap();
        assert!(servers.unwrap().ends_with(&addresses(&["192.0.2.1", "192.0.2.2"])));
    }
}
