//! What several tests need: a directory of their own, and permits.
#![allow(dead_code, reason = "not every test needs all of it")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use nshost_ledger::{Claim, ContainerName, Error, Host, Ledger, NetworkNamespaceId, Origin, Receipt};
use nshost_plan::{
    Address, AddressFact, Around, Facts, Forward, Inside, Interface, InterfaceId, Link, Namespace, Plan,
    PortRange, Protocol, Step,
};
use nshost_policy::{Grants, Permit, check};

/// A directory that vanishes with this value.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Scratch {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("nshost-ledger-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Scratch(path)
    }

    /// Where the ledger lies; not made yet.
    pub fn state(&self) -> PathBuf {
        self.0.join("state")
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The names of the entries.
    pub fn entries(&self) -> Vec<String> {
        names(&self.state().join("containers"))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn names(directory: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = fs::read_dir(directory).unwrap().map(name).collect();
    names.sort();
    names
}

/// What a container wants.
#[derive(Debug, Clone, Default)]
pub struct Want {
    pub name: Option<&'static str>,
    /// Host ends.
    pub links: Vec<&'static str>,
    /// Addresses of the first link: host end, container end.
    pub addresses: Option<(&'static str, &'static str)>,
    /// Protocol, host address, ports, to the container's address.
    pub forward: Option<(Protocol, Option<&'static str>, u16, u16)>,
}

impl Want {
    pub fn origin(&self) -> Origin {
        Origin { name: self.name.map(|name| name.parse::<ContainerName>().unwrap()), ..Origin::default() }
    }

    pub fn permit(&self) -> Permit {
        let host_address = self.forward.and_then(|(_, address, _, _)| address);
        let fact =
            |address| AddressFact { link: "eth0".into(), cidr: format!("{address}/32").parse().unwrap() };
        let facts = Facts { addresses: host_address.into_iter().map(fact).collect(), ..Facts::default() };
        check(self.plan(), &Grants::open(), &facts).outcome.unwrap()
    }

    pub fn plan(&self) -> Plan {
        let mut plan = Plan::default();
        plan.push(Inside::Namespace(Namespace::Network).of_first()).unwrap();
        for (index, host) in self.links.iter().enumerate() {
            let link = |name: String| name.try_into().unwrap();
            let veth = Link::from_host(link(host.to_string()), link(format!("eth{index}")));
            plan.push(Step::Around(Around::Link(veth))).unwrap();
        }
        if let Some((host, container)) = self.addresses {
            for (id, cidr) in [(0, host), (1, container)] {
                plan.push(Step::Around(Around::Address(Address {
                    interface: Interface::Made(InterfaceId(id)),
                    cidr: cidr.parse().unwrap(),
                })))
                .unwrap();
            }
            if let Some((protocol, host_address, first, last)) = self.forward {
                let host_address = host_address.map(|address| address.parse().unwrap());
                let to = container.split('/').next().unwrap().parse().unwrap();
                let ports = PortRange::new(first, last).unwrap();
                plan.push(Step::Around(Around::Forward(Forward {
                    protocol,
                    host_address,
                    ports,
                    to,
                    to_port: 80,
                })))
                .unwrap();
            }
        }
        plan
    }
}

/// A host that need not exist.
pub fn host(boot: &str, inode: u64) -> Host {
    Host { boot: boot.into(), network: NetworkNamespaceId::Cookie(inode) }
}

/// A ledger on the usual one of them.
pub fn ledger(scratch: &Scratch) -> Ledger {
    Ledger::open(&scratch.state(), host("boot", 1)).unwrap()
}

pub fn commit(ledger: &Ledger, want: &Want) -> Result<Receipt, Error> {
    commit_claim(ledger, ledger.claim()?, want)
}

pub fn commit_claim(ledger: &Ledger, claim: Claim, want: &Want) -> Result<Receipt, Error> {
    let lock = ledger.lock()?;
    ledger.commit(&lock, claim, want.permit(), want.origin())
}
