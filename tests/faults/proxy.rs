//! A TCP proxy on loopback that does to its connections what networks do, when it is told to.
//!
//! What lasts is a [`Mode`], until [`Proxy::heal`]; what strikes once meets the connections open at that moment. Promise:
//! without an order, and after healing, every byte and every end passes as it came.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

/// Bytes taken from a peer at once.
const CHUNK: usize = 16 * 1024;

/// How often a throttled connection lets something pass.
const TICK: Duration = Duration::from_millis(50);

/// What the proxy does to everything that passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Nothing.
    Pass,
    /// Each chunk comes this much later.
    Delay(Duration),
    /// So many bytes a second pass each way of a connection.
    Throttle(usize),
    /// Connections are accepted and nothing passes, no end either; what was sent passes after healing.
    BlackHole,
}

/// One way through the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the one who connected to the one behind the proxy.
    There,
    /// From the one behind the proxy to the one who connected.
    Back,
}

/// Which connections an order is for, by their numbers as they were accepted.
///
/// A worker has two to its broker, one to consume and one to publish: every other one is one of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// All.
    All,
    /// The first, the third and so on.
    Odd,
    /// The second, the fourth and so on.
    Even,
}

/// What was ordered so far: the mode of now, and how often what strikes once did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Orders {
    mode: Mode,
    cuts: u32,
    halvings: u32,
    closings_there: u32,
    closings_back: u32,
}

impl Orders {
    fn closings(&self, way: Way) -> u32 {
        match way {
            Way::There => self.closings_there,
            Way::Back => self.closings_back,
        }
    }
}

/// A running proxy; dropped, it and its connections are gone.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    /// For the odd connections, and for the even ones.
    orders: [watch::Sender<Orders>; 2],
    server: JoinHandle<()>,
}

impl Proxy {
    /// Starts on a free port, before something that listens, or will.
    pub(crate) async fn start(behind: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let first = Orders { mode: Mode::Pass, cuts: 0, halvings: 0, closings_there: 0, closings_back: 0 };
        let orders = [(); 2].map(|()| watch::Sender::new(first));
        let given = [orders[0].subscribe(), orders[1].subscribe()];
        let server = tokio::spawn(serve(listener, behind, given));
        Self { address, orders, server }
    }

    /// Returns the address to connect to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Treats everything that passes on some connections so, on later ones too, until told otherwise.
    pub(crate) fn set(&self, which: Which, mode: Mode) {
        self.order(which, |orders| orders.mode = mode);
    }

    /// Lets everything pass again.
    pub(crate) fn heal(&self) {
        self.set(Which::All, Mode::Pass);
    }

    /// Resets connections, both ways.
    pub(crate) fn cut(&self, which: Which) {
        self.order(which, |orders| orders.cuts += 1);
    }

    /// Of what passes next on each connection, either way, passes the first half; then the connection is closed.
    pub(crate) fn halve(&self, which: Which) {
        self.order(which, |orders| orders.halvings += 1);
    }

    /// Ends one way of connections in order; what is sent that way later is lost, the other way stays open.
    pub(crate) fn half_close(&self, which: Which, way: Way) {
        self.order(which, |orders| match way {
            Way::There => orders.closings_there += 1,
            Way::Back => orders.closings_back += 1,
        });
    }

    fn order(&self, which: Which, change: impl Fn(&mut Orders)) {
        let meant = match which {
            Which::All => &self.orders[..],
            Which::Odd => &self.orders[..1],
            Which::Even => &self.orders[1..],
        };
        meant.iter().for_each(|orders| orders.send_modify(&change));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, behind: SocketAddr, orders: [watch::Receiver<Orders>; 2]) {
    let mut connections = JoinSet::new();
    let mut given = orders.iter().cycle();
    loop {
        tokio::select! {
            taken = listener.accept() => {
                let (near, _) = taken.expect("a test has descriptors left");
                let orders = given.next().expect("a cycle has no end").clone();
                connections.spawn(connection(near, behind, orders));
            }
            Some(ended) = connections.join_next() => ended.expect("a connection's task does not panic"),
        }
    }
}

/// How a connection ends otherwise than by an end from both sides.
enum Broken {
    /// A peer is gone, or the proxy cuts: both sides read a reset.
    Reset,
    /// The proxy closes: both sides read an end.
    Closed,
}

async fn connection(near: TcpStream, behind: SocketAddr, orders: watch::Receiver<Orders>) {
    let began = *orders.borrow();
    let Ok(far) = TcpStream::connect(behind).await else { return reset(&near) };
    for stream in [&near, &far] {
        stream.set_nodelay(true).expect("a socket of TCP");
    }
    let mut cut = orders.clone();
    let there = Pump { from: &near, to: &far, way: Way::There, began };
    let back = Pump { from: &far, to: &near, way: Way::Back, began };
    let ended = tokio::select! {
        biased;
        _ = cut.wait_for(|orders| orders.cuts != began.cuts) => Err(Broken::Reset),
        ended = async { tokio::try_join!(there.run(orders.clone()), back.run(orders)) } => ended.map(drop),
    };
    if let Err(Broken::Reset) = ended {
        reset(&near);
        reset(&far);
    }
}

/// With a zero linger time, closing sends RST instead of FIN.
fn reset(stream: &TcpStream) {
    stream.set_zero_linger().expect("a socket of TCP");
}

/// One way of one connection.
struct Pump<'a> {
    from: &'a TcpStream,
    to: &'a TcpStream,
    way: Way,
    began: Orders,
}

impl Pump<'_> {
    async fn run(&self, mut orders: watch::Receiver<Orders>) -> Result<(), Broken> {
        let mut buffer = vec![0; CHUNK];
        loop {
            let now = *orders.borrow_and_update();
            if now.closings(self.way) != self.began.closings(self.way) {
                self.end()?;
                // The sender is not told: what it sends from now on is lost.
                while read(self.from, &mut buffer).await.map_err(|_| Broken::Reset)? > 0 {}
                return Ok(());
            }
            let length = tokio::select! {
                biased;
                changed = orders.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return Err(Broken::Closed),
                },
                length = read(self.from, &mut buffer), if now.mode != Mode::BlackHole => length,
            };
            let chunk = match length {
                Ok(0) => return self.end(),
                Ok(length) => &buffer[..length],
                Err(_) => return Err(Broken::Reset),
            };
            if let Mode::Delay(time) = now.mode {
                sleep(time).await;
            }
            if now.halvings != self.began.halvings {
                self.forward(&chunk[..chunk.len() / 2], &orders).await?;
                return Err(Broken::Closed);
            }
            self.forward(chunk, &orders).await?;
        }
    }

    fn end(&self) -> Result<(), Broken> {
        SockRef::from(self.to).shutdown(Shutdown::Write).map_err(|_| Broken::Reset)
    }

    async fn forward(&self, mut rest: &[u8], orders: &watch::Receiver<Orders>) -> Result<(), Broken> {
        while !rest.is_empty() {
            let mode = orders.borrow().mode;
            let most = match mode {
                Mode::Throttle(rate) => {
                    sleep(TICK).await;
                    (rate / 20).max(1)
                }
                Mode::Pass | Mode::Delay(_) | Mode::BlackHole => rest.len(),
            };
            let (now, later) = rest.split_at(most.min(rest.len()));
            write(self.to, now).await.map_err(|_| Broken::Reset)?;
            rest = later;
        }
        Ok(())
    }
}

async fn read(from: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        from.readable().await?;
        match from.try_read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return done,
        }
    }
}

async fn write(to: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        to.writable().await?;
        match to.try_write(bytes) {
            Ok(length) => bytes = &bytes[length..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

mod tests;
