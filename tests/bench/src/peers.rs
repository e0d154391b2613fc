//! What people use today, where it is installed.

use std::fs;

use anyhow::Result;

use crate::host::{self, Scratch};

/// A command that launches `true` in a container.
pub struct Peer {
    /// Its name in the table.
    pub name: &'static str,
    /// What it does of the tutorial's work.
    pub note: &'static str,
    /// The command.
    pub command: Vec<String>,
}

/// The tutorial's session, as one types it; with the NAT rules that it goes on with.
const SHELL: &str = "\
set -e
ip netns add bench
ip link add veth0 type veth peer name veth1
ip link set veth1 netns bench
ip netns exec bench ip link set lo up
ip netns exec bench ip link set veth1 up
ip netns exec bench ip addr add 169.254.1.2/30 dev veth1
ip link set veth0 up
ip addr add 169.254.1.1/30 dev veth0
iptables -t nat -A POSTROUTING -s 169.254.1.0/30 -j MASQUERADE
iptables -t nat -A PREROUTING -d 192.0.2.1/32 -p tcp --dport 80 -j DNAT --to-destination 169.254.1.2:80
ip netns exec bench /bin/true
iptables -t nat -D PREROUTING -d 192.0.2.1/32 -p tcp --dport 80 -j DNAT --to-destination 169.254.1.2:80
iptables -t nat -D POSTROUTING -s 169.254.1.0/30 -j MASQUERADE
ip netns del bench
";

/// All of them; the caller finds out which work here.
pub fn all(scratch: &Scratch) -> Result<Vec<Peer>> {
    let words = |line: &str| line.split_whitespace().map(str::to_string).collect::<Vec<_>>();
    let session = scratch.path().join("session.sh");
    fs::write(&session, SHELL)?;
    let bundle = scratch.path().join("bundle");
    fs::create_dir_all(&bundle)?;
    fs::write(bundle.join("config.json"), OCI_CONFIG.replace("ROOT", host::ROOT))?;
    let (bundle, state) = (bundle.display(), scratch.path().join("podman"));
    let (state, root) = (state.display(), host::ROOT);
    Ok(vec![
        Peer {
            name: "shell session",
            note: "ip netns, ip, iptables; with removal",
            command: words(&format!("sh {}", session.display())),
        },
        Peer {
            name: "unshare",
            note: "the namespaces alone, no network set up",
            command: words("unshare --uts --ipc --pid --fork --mount-proc --net /bin/true"),
        },
        Peer {
            name: "bwrap",
            note: "all namespaces, no network set up",
            command: words("bwrap --bind / / --dev /dev --proc /proc --unshare-all /bin/true"),
        },
        Peer {
            name: "crun",
            note: "no network set up",
            command: words(&format!("crun --cgroup-manager=disabled run --bundle {bundle} bench-crun")),
        },
        Peer {
            name: "runc",
            note: "no network set up",
            command: words(&format!("runc run --bundle {bundle} bench-runc")),
        },
        Peer {
            name: "podman",
            note: "no network set up",
            // Without limits of its own: raising them takes a right that not every root has.
            command: words(&format!(
                "podman --root {state} --runroot {state}/run --cgroup-manager=cgroupfs run --rm --network none \
                 --cgroups=disabled --ulimit nofile=1024:1024 --ulimit nproc=1000:1000 --rootfs {root} /bin/true"
            )),
        },
    ])
}

/// The tutorial's namespaces over the host's own files, nothing else.
const OCI_CONFIG: &str = r#"{
  "ociVersion": "1.0.2",
  "process": {
    "terminal": false,
    "user": { "uid": 0, "gid": 0 },
    "args": ["/bin/true"],
    "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
    "cwd": "/"
  },
  "root": { "path": "ROOT", "readonly": false },
  "hostname": "bench",
  "mounts": [{ "destination": "/proc", "type": "proc", "source": "proc" }],
  "linux": {
    "namespaces": [
      { "type": "pid" }, { "type": "network" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" }
    ]
  }
}
"#;
