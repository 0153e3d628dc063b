//! Connections that wait for another call.
//!
//! Promise: one that the gateway has closed is not used again, as far as this machine knows, and none is kept for longer
//! than it is of use.

use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use hyper::Uri;
use hyper::http::uri::{Authority, Scheme};
use tokio::time::{Instant, sleep_until};

use crate::gateway::http::connection::{Broken, Connection};
use crate::gateway::http::connector::Connector;

/// Idle connections are closed by us after this time, before the usual 60 s of servers and load balancers: a request
/// written into a connection that the other side is closing is an ambiguous attempt.
const IDLE: Duration = Duration::from_secs(20);

/// The idle connections, and what makes new ones.
pub(super) struct Pool {
    connector: Connector,
    hosts: Mutex<Hosts>,
}

/// A few at most, so that looking through them is quickest. As long as there are any, somebody sweeps.
#[derive(Default)]
struct Hosts(Vec<Host>);

struct Host {
    scheme: Scheme,
    authority: Authority,
    /// The one used last is at the end.
    idle: Vec<Idle>,
}

struct Idle {
    connection: Box<Connection>,
    until: Instant,
}

impl Pool {
    pub(super) fn new(connector: Connector) -> Arc<Self> {
        Arc::new(Self { connector, hosts: Mutex::default() })
    }

    /// Makes a new connection to the host of an address.
    pub(super) async fn connect(&self, to: &Uri) -> Result<Box<Connection>, Broken> {
        Connection::establish(&self.connector, to.clone()).await
    }

    /// Takes the connection to the host of an address that was used last.
    pub(super) fn take(&self, to: &Uri) -> Option<Box<Connection>> {
        let now = Instant::now();
        loop {
            let mut idle = self.lock().find(to)?.idle.pop()?;
            if now < idle.until && idle.connection.is_open() {
                return Some(idle.connection);
            }
        }
    }

    /// Keeps a connection for the next call to the host of an address.
    pub(super) fn put(self: &Arc<Self>, to: &Uri, mut connection: Box<Connection>) {
        let (true, Some(scheme), Some(authority)) = (connection.is_open(), to.scheme(), to.authority()) else { return };
        let until = Instant::now() + IDLE;
        let mut hosts = self.lock();
        let is_swept = !hosts.0.is_empty();
        let idle = Idle { connection, until };
        match hosts.find(to) {
            Some(host) => host.idle.push(idle),
            None => hosts.0.push(Host { scheme: scheme.clone(), authority: authority.clone(), idle: vec![idle] }),
        }
        drop(hosts);
        if !is_swept {
            tokio::spawn(sweep(Arc::downgrade(self), until));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Hosts> {
        self.hosts.lock().expect("invariant: nobody panics holding it")
    }
}

impl Hosts {
    fn find(&mut self, of: &Uri) -> Option<&mut Host> {
        let is_it = |host: &&mut Host| of.scheme() == Some(&host.scheme) && of.authority() == Some(&host.authority);
        self.0.iter_mut().find(is_it)
    }

    /// Takes out what nobody has used for too long; returns when to look again, if anything is left.
    fn expire(&mut self, now: Instant) -> (Vec<Idle>, Option<Instant>) {
        let expired = self.0.iter_mut().flat_map(|host| {
            let count = host.idle.partition_point(|idle| idle.until <= now);
            host.idle.drain(..count)
        });
        let expired = expired.collect();
        self.0.retain(|host| !host.idle.is_empty());
        let next = self.0.iter().filter_map(|host| host.idle.first()).map(|idle| idle.until).min();
        (expired, next)
    }
}

/// Closes connections when their time is up, until there are none.
async fn sweep(pool: Weak<Pool>, first: Instant) {
    let mut next = Some(first);
    while let Some(time) = next {
        sleep_until(time).await;
        let Some(pool) = pool.upgrade() else { return };
        let expired;
        (expired, next) = pool.lock().expire(Instant::now());
        drop(expired);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;
    use crate::gateway::http::connector::Trust;

    #[tokio::test]
    async fn what_nobody_uses_is_closed_by_itself_and_no_sooner() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = Uri::try_from(format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let pool = Pool::new(Connector::new(Trust::Nobody, IDLE).unwrap());
        let mut peers = Vec::new();
        for _ in 0..2 {
            let connection = pool.connect(&to).await.unwrap();
            peers.push(listener.accept().await.unwrap().0);
            pool.put(&to, connection);
        }
        tokio::time::pause();
        tokio::time::advance(IDLE / 2).await;
        let used = pool.take(&to).expect("ten seconds are no age");
        pool.put(&to, used);
        for peer in &mut peers {
            // Time passes by itself as long as there is nothing else to do.
            assert_eq!(peer.read_u8().await.map_err(|error| error.kind()), Err(std::io::ErrorKind::UnexpectedEof));
        }
        assert!(pool.take(&to).is_none());
        assert!(pool.lock().0.is_empty());
    }

    #[tokio::test]
    async fn a_host_is_its_scheme_name_and_port() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let pool = Pool::new(Connector::new(Trust::Nobody, IDLE).unwrap());
        let uri = |text: &str| Uri::try_from(text.replace("PORT", &port.to_string())).unwrap();
        let to = uri("http://localhost:PORT/a?b=c");
        pool.put(&to, Connection::establish(&pool.connector, uri("http://127.0.0.1:PORT/")).await.unwrap());
        for other in ["https://localhost:PORT/a?b=c", "http://127.0.0.1:PORT/a?b=c", "http://localhost:1/a?b=c"] {
            assert!(pool.take(&uri(other)).is_none(), "{other}");
        }
        assert!(pool.take(&uri("http://LOCALHOST:PORT/")).is_some());
    }
}
