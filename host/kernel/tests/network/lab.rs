//! Disposable hosts: network namespaces that end with the test, and traffic between them.

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
    time::Duration,
};

use nix::sched::{CloneFlags, setns, unshare};
use nshost_kernel::{
    Socket,
    network::{self, Held, host},
    probe::facts,
};
use nshost_ledger::{HostLock, Ledger, Mac, Origin, Others, Receipt, Record};
use nshost_plan::{Facts, Plan};
use nshost_policy::{Grants, check};

/// How long something may take that works, and for how long nothing may come of what is blocked.
const WORKS: Duration = Duration::from_secs(3);
const BLOCKED: Duration = Duration::from_millis(400);

/// Runs a test as a host of its own: in a thread with its own network and mount namespace.
pub fn on_host(test: impl FnOnce() + Send) {
    if !nix::unistd::geteuid().is_root() {
        assert!(std::env::var_os("NSHOST_CI").is_none(), "root is missing, and here no test may be left out");
        eprintln!("ignored, because it needs root");
        return;
    }
    let result = thread::scope(|scope| {
        let host = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("namespaces");
            sh("mount --make-rprivate / && ip link set lo up");
            test();
        });
        host.join()
    });
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

/// Runs a shell script in the namespaces of this thread; returns what it prints.
pub fn sh(script: &str) -> String {
    let (code, out, err) = try_sh(script);
    assert!(code == Some(0), "{script}: {code:?}\n{out}{err}");
    out
}

/// The same for one that may fail.
#[expect(clippy::disallowed_methods, reason = "this is not the launcher")]
pub fn try_sh(script: &str) -> (Option<i32>, String, String) {
    let output = Command::new("sh").args(["-euc", script]).output().expect("sh");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A network namespace.
pub struct Net(OwnedFd);

impl Net {
    /// A new one; its `lo` is down.
    pub fn new() -> Net {
        let made = thread::scope(|scope| {
            let maker = scope.spawn(|| {
                unshare(CloneFlags::CLONE_NEWNET).expect("network namespace");
                // Addresses are there at once; not what is tested.
                fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0").expect("sysctl");
                File::open("/proc/thread-self/ns/net").expect("namespace")
            });
            maker.join()
        });
        Net(made.expect("thread").into())
    }

    /// The one that this thread is in.
    pub fn current() -> Net {
        Net(File::open("/proc/thread-self/ns/net").expect("namespace").into())
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// A path by which other programs find it.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }

    /// Does something inside.
    #[expect(clippy::disallowed_methods, reason = "the thread ends inside")]
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let visitor = scope.spawn(|| {
                setns(&self.0, CloneFlags::CLONE_NEWNET).expect("setns");
                work()
            });
            visitor.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    pub fn sh(&self, script: &str) -> String {
        self.inside(|| sh(script))
    }

    /// Calls a TCP server, which tells whom it sees. None if there is no answer.
    pub fn call(&self, to: &str) -> Option<IpAddr> {
        self.inside(|| call(to, WORKS))
    }

    /// Whether nothing answers a TCP call.
    pub fn is_blocked(&self, to: &str) -> bool {
        self.inside(|| call(to, BLOCKED)).is_none()
    }

    /// Whether a UDP server answers; from the given source if there is one.
    pub fn asks(&self, from: &str, to: &str) -> Option<IpAddr> {
        self.inside(|| {
            let socket = UdpSocket::bind(from).expect("UDP socket");
            socket.set_read_timeout(Some(BLOCKED)).expect("timeout");
            socket.send_to(b"who?", to).ok()?;
            let mut answer = [0; 64];
            let (length, _) = socket.recv_from(&mut answer).ok()?;
            std::str::from_utf8(&answer[..length]).ok()?.parse().ok()
        })
    }

    /// While `test` runs, TCP and UDP servers at `at` tell each caller which address they see.
    pub fn serving<T>(&self, at: &str, test: impl FnOnce() -> T) -> T {
        let at: SocketAddr = at.parse().expect("socket address");
        let (stop, ready) = (AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| self.inside(|| serve(at, &ready, &stop)));
            while !ready.load(Ordering::Acquire) {
                thread::sleep(Duration::from_millis(1));
            }
            // Also when the test fails, or the scope would wait for ever.
            let _stop = Stop(&stop);
            test()
        })
    }
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn call(to: &str, patience: Duration) -> Option<IpAddr> {
    let to: SocketAddr = to.parse().expect("socket address");
    let mut stream = TcpStream::connect_timeout(&to, patience).ok()?;
    stream.set_read_timeout(Some(patience)).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.parse().ok()
}

fn serve(at: SocketAddr, ready: &AtomicBool, stop: &AtomicBool) {
    let tcp = TcpListener::bind(at).unwrap_or_else(|error| panic!("listen at {at}: {error}"));
    let udp = UdpSocket::bind(at).expect("UDP socket");
    tcp.set_nonblocking(true).expect("nonblocking");
    udp.set_nonblocking(true).expect("nonblocking");
    ready.store(true, Ordering::Release);
    while !stop.load(Ordering::Acquire) {
        if let Ok((mut stream, peer)) = tcp.accept() {
            let _ = stream.write_all(peer.ip().to_canonical().to_string().as_bytes());
        }
        let mut question = [0; 16];
        if let Ok((_, peer)) = udp.recv_from(&mut question) {
            let _ = udp.send_to(peer.ip().to_canonical().to_string().as_bytes(), peer);
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// A ledger, and the containers in it.
pub struct Lab {
    ledger: Ledger,
    directory: PathBuf,
}

/// A container whose network was set up.
pub struct Container {
    pub receipt: Receipt,
    pub net: Net,
    pub held: Held,
}

impl Lab {
    pub fn new() -> Lab {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("nshost-kernel-{}-{number}", std::process::id()));
        let host = host::current(&Socket::route().expect("socket")).expect("host");
        Lab { ledger: Ledger::open(&directory, host).expect("ledger"), directory }
    }

    /// Everything up to the receipt.
    pub fn receipt(&self, plan: Plan) -> Receipt {
        self.receipt_skipping(plan, &[])
    }

    /// The same while containers that have ended still have links.
    pub fn receipt_skipping(&self, plan: Plan, gone: &[Mac]) -> Receipt {
        let claim = self.ledger.claim().expect("claim");
        let standing = self.ledger.standing().expect("standing");
        let host = facts::gather(&mut Socket::route().expect("socket"), gone).expect("facts");
        let facts = Facts {
            links: host.links,
            addresses: host.addresses,
            routes: host.routes,
            default_routes: host.default_routes,
            trusted: host.trusted,
            name_servers: host.name_servers,
            taken: standing.taken,
            ..Facts::default()
        };
        let permit =
            check(plan, &Grants::open(), &facts).outcome.unwrap_or_else(|refused| panic!("{refused:?}"));
        let lock = self.ledger.lock().expect("lock");
        self.ledger.commit(&lock, claim, permit, Origin::default()).expect("commit")
    }

    pub fn others(&self, record: &Record) -> Others {
        self.ledger.standing().expect("standing").others(&record.id)
    }

    /// A container with this network.
    pub fn launch(&self, plan: Plan) -> Container {
        let mut receipt = self.receipt(plan);
        let net = Net::new();
        let held = self.try_set_up(&mut receipt, &net).unwrap_or_else(|error| panic!("{error}"));
        Container { receipt, net, held }
    }

    pub fn try_set_up(&self, receipt: &mut Receipt, net: &Net) -> Result<Held, nshost_kernel::Error> {
        self.try_set_up_among(&self.others(receipt.record()), receipt, net)
    }

    pub fn try_set_up_among(
        &self,
        others: &Others,
        receipt: &mut Receipt,
        net: &Net,
    ) -> Result<Held, nshost_kernel::Error> {
        let lock = self.ledger.lock().expect("lock");
        network::set_up(receipt, &lock, &|| Ok(others.clone()), &mut Socket::route()?, net.fd())
    }

    /// Ends a container and removes what it was.
    pub fn end(&self, container: Container) {
        drop((container.net, container.held));
        self.undo(container.receipt);
    }

    /// Undoes what this or another process has made.
    pub fn undo(&self, receipt: Receipt) {
        let others = self.others(receipt.record());
        let lock = self.ledger.lock().expect("lock");
        let errors = network::take_down(receipt.record(), &lock, &others);
        assert!(errors.is_empty(), "{errors:?}");
        drop(lock);
        receipt.finish().expect("finish");
    }

    /// Ends a container as its launcher does. Nobody comes for the tables.
    pub fn let_go(&self, container: Container) -> Net {
        let Container { receipt, net, held } = container;
        let others = self.others(receipt.record());
        let lock = self.ledger.lock().expect("lock");
        let (owner, errors) = network::let_go(receipt.record(), &others, held);
        assert!(errors.is_empty(), "{errors:?}");
        let (tables, here) = (sh("nft list ruleset"), receipt.record().host);
        assert!(!tables.contains(&receipt.record().id), "{tables}");
        network::sweep_tables(owner, &lock, here, &others).expect("sweep");
        drop(lock);
        receipt.finish().expect("finish");
        net
    }

    pub fn lock(&self) -> HostLock {
        self.ledger.lock().expect("lock")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// All that a launch could leave behind in the host's network.
pub fn census() -> String {
    sh("nft list ruleset
        ip -d link | sed 's/ qlen [0-9]*//'
        ip address | sed 's/valid_lft .*//'
        ip route show table all
        ip -6 route show table all
        cd /proc/sys/net
        grep -r . ipv4/conf ipv6/conf ipv4/ip_forward 2>/dev/null | sort")
}

/// Fails with the lines that differ, unless the host is as it was.
pub fn assert_as_before(before: &str) {
    let mut after = census();
    // A link's end is seen by the kernel's own routes some time later.
    soon(|| {
        after = census();
        after == before
    });
    let lines = |text: &str, other: &str, mark: &str| -> String {
        text.lines()
            .filter(|line| !other.lines().any(|o| o == *line))
            .map(|line| format!("{mark} {line}\n"))
            .collect()
    };
    assert!(after == before, "not as before:\n{}{}", lines(before, &after, "-"), lines(&after, before, "+"));
}

/// Whether a condition comes true soon.
pub fn soon(mut condition: impl FnMut() -> bool) -> bool {
    (0..400).any(|_| {
        let met = condition();
        if !met {
            thread::sleep(Duration::from_millis(10));
        }
        met
    })
}
