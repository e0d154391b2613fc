//! Round trips of packets between two network namespaces, all by one thread.

use std::{
    fs::File,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use nix::sched::{CloneFlags, setns};

use super::place::{INET, PORT, Place};

/// Round trips that are timed together.
const TRIPS: usize = 50;
/// Flows that are timed together: connections are tracked for half a minute, and there are 4,536 ports.
const FLOWS: usize = 20;
/// A packet that has not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(2);
/// As much as a question to a name server.
const BYTES: usize = 64;

/// Who asks whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The host a container, by its link.
    ToContainer,
    /// The host the inet.
    Own,
    /// A container the inet.
    Out,
    /// The same, from another port each time.
    OutAnew,
    /// The inet a container.
    In,
    /// The same, from another port each time.
    InAnew,
}

/// One way on one host.
pub struct Wire {
    server: UdpSocket,
    client: Client,
    /// Whom the server has to see, and the least port.
    seen: (Ipv4Addr, u16),
    sent: u64,
}

enum Client {
    /// One flow.
    Same(UdpSocket),
    /// A flow for each round trip: from where to where.
    Anew { from: PathBuf, to: SocketAddr },
}

impl Wire {
    /// Opens both ends, and sees that packets pass.
    pub fn open(place: &Place, way: Way) -> Result<Wire> {
        let (host, inet) = (place.host_network(), place.inet_network());
        let container = place.container_network();
        let (from, at, port) = match way {
            Way::ToContainer => (&host, container, PORT),
            Way::Own => (&host, &inet, 0),
            Way::Out | Way::OutAnew => (container, &inet, 0),
            Way::In | Way::InAnew => (&inet, container, PORT),
        };
        let server = within(at, || socket(port))?;
        let port = server.local_addr()?.port();
        let to = match way {
            Way::ToContainer => (place.container, port),
            Way::Own | Way::Out | Way::OutAnew => (INET, port),
            Way::In | Way::InAnew => place.published,
        };
        let seen = match way {
            Way::ToContainer => (super::crowd::neighbour(place.container), 1),
            Way::Own => (super::place::HOST, 1),
            Way::Out | Way::OutAnew => place.seen,
            Way::In | Way::InAnew => (INET, 1),
        };
        let client = match way {
            Way::ToContainer | Way::Own | Way::Out | Way::In => {
                Client::Same(within(from, || connected(to.into()))?)
            }
            Way::OutAnew | Way::InAnew => Client::Anew { from: from.clone(), to: to.into() },
        };
        let mut wire = Wire { server, client, seen, sent: 0 };
        // Neighbours are asked for.
        wire.batch()?;
        Ok(wire)
    }

    /// What a round trip takes: the mean of some in a row.
    pub fn batch(&mut self) -> Result<Duration> {
        let Wire { server, client, seen, sent } = self;
        match client {
            Client::Same(client) => timed(TRIPS, |_| trip(client, server, *seen, sent)),
            Client::Anew { from, to } => {
                // All of a round's go to a port of its own: no flow is there twice.
                let to = *to;
                let clients = within(from, || (0..FLOWS).map(|_| connected(to)).collect::<Result<Vec<_>>>())?;
                timed(FLOWS, |number| trip(&clients[number], server, *seen, sent))
            }
        }
    }
}

fn timed(count: usize, mut once: impl FnMut(usize) -> Result<()>) -> Result<Duration> {
    let begin = Instant::now();
    for number in 0..count {
        once(number)?;
    }
    Ok(begin.elapsed() / count as u32)
}

/// There and back, with bytes that no other packet has.
fn trip(client: &UdpSocket, server: &UdpSocket, seen: (Ipv4Addr, u16), sent: &mut u64) -> Result<()> {
    *sent += 1;
    let mut question = [0x5a; BYTES];
    question[..8].copy_from_slice(&sent.to_le_bytes());
    let mut answer = question;
    answer[8..].fill(0xa5);
    let mut heard = [0; BYTES + 1];
    client.send(&question).context("cannot send")?;
    let (count, from) = server.recv_from(&mut heard).context("nothing arrived")?;
    if heard[..count] != question {
        bail!("something else arrived, from {from}");
    }
    if from.ip() != IpAddr::V4(seen.0) || from.port() < seen.1 {
        bail!("it came from {from}, not from {} with a port of {} or more", seen.0, seen.1);
    }
    server.send_to(&answer, from).context("cannot answer")?;
    let count = client.recv(&mut heard).context("no answer arrived")?;
    if heard[..count] != answer {
        bail!("another answer arrived");
    }
    Ok(())
}

fn socket(port: u16) -> Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).context("cannot bind")?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// It hears whom it is connected to, and nobody else.
fn connected(to: SocketAddr) -> Result<UdpSocket> {
    let socket = socket(0)?;
    socket.connect(to).context("cannot connect")?;
    Ok(socket)
}

/// Does it in that network namespace, by a thread that is nowhere else.
fn within<T: Send>(network: &Path, what: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let file = File::open(network).with_context(|| network.display().to_string())?;
    let inside = || {
        setns(file, CloneFlags::CLONE_NEWNET).context("cannot enter a network namespace")?;
        what()
    };
    thread::scope(|scope| scope.spawn(inside).join().map_err(|_| anyhow!("a thread panicked"))?)
}
