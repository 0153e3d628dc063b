//! What can go wrong in a world, and how it is made to: workers, the broker, the ways between, the gateways.

use std::fmt;
use std::thread;
use std::time::Duration;

use tokio::time::sleep;

use crate::proxy::{Mode, Way, Which};
use crate::world::World;

/// Seconds a peer may be silent on a connection to the broker, roughly; twice the heartbeat.
const SILENCE: u64 = 4;

/// One thing that goes wrong, for a while or at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The worker of a post dies; another follows.
    Kill { post: usize },
    /// The same after a while in which its way to the broker was slow, so that much waits for a confirm or an ack.
    KillSlowed { post: usize, by: Duration },
    /// The worker of a post stands still for longer than the broker waits for a heartbeat, and then goes on.
    Freeze { post: usize, length: Duration },
    /// The broker is stopped in order, and started again.
    StopBroker { down: Duration },
    /// The broker dies, and is started again.
    KillBroker { down: Duration },
    /// The way between a worker and its broker or its gateways.
    Link { post: usize, side: Side, which: Which, trouble: Trouble },
    /// The gateways fail in another mixture from now on.
    Gateways { rates: Vec<String> },
}

/// Which way from a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Broker,
    Gateway,
}

/// What a network does to connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Resets all of them.
    Cut,
    /// Passes half of what comes next, then closes them.
    Halve,
    /// Ends them one way.
    HalfClose(Way),
    /// Is slow.
    Delay { by: Duration, length: Duration },
    /// Is narrow: bytes a second.
    Throttle { rate: usize, length: Duration },
    /// Swallows everything.
    BlackHole { length: Duration },
}

impl Fault {
    /// Returns the name it is counted under.
    pub(crate) fn kind(&self) -> String {
        match self {
            Self::Kill { .. } => "worker killed".into(),
            Self::KillSlowed { .. } => "worker killed on a slow link".into(),
            Self::Freeze { .. } => "worker frozen".into(),
            Self::StopBroker { .. } => "broker restarted".into(),
            Self::KillBroker { .. } => "broker killed".into(),
            Self::Link { side, trouble, .. } => format!("{side} link {}", trouble.word()),
            Self::Gateways { .. } => "gateway mixture".into(),
        }
    }

    /// Makes it happen; returns when it is over.
    pub(crate) async fn inject(&self, world: &World) {
        match self {
            Self::Kill { post } => world.posts[*post].kill(),
            Self::KillSlowed { post, by } => {
                let post = &world.posts[*post];
                post.broker.set(Which::All, Mode::Delay(*by));
                sleep(*by * 8).await;
                post.kill();
                post.broker.heal();
            }
            Self::Freeze { post, length } => {
                world.note_interruption();
                world.posts[*post].freeze();
                sleep(*length).await;
                world.posts[*post].thaw();
            }
            Self::StopBroker { down } => {
                let down = *down;
                world.note_interruption();
                world
                    .with_broker(move |broker| {
                        broker.stop();
                        thread::sleep(down);
                        broker.restart();
                    })
                    .await;
            }
            Self::KillBroker { down } => {
                let down = *down;
                world.note_interruption();
                world
                    .with_broker(move |broker| {
                        broker.kill9();
                        thread::sleep(down);
                        broker.restart();
                    })
                    .await;
            }
            Self::Link { post, side, which, trouble } => {
                if *side == Side::Broker {
                    (0..trouble.interruptions()).for_each(|_| world.note_interruption());
                }
                let post = &world.posts[*post];
                let proxy = match side {
                    Side::Broker => &post.broker,
                    Side::Gateway => &post.gateway,
                };
                let (mode, length) = match *trouble {
                    Trouble::Cut => return proxy.cut(*which),
                    Trouble::Halve => return proxy.halve(*which),
                    Trouble::HalfClose(way) => return proxy.half_close(*which, way),
                    Trouble::Delay { by, length } => (Mode::Delay(by), length),
                    Trouble::Throttle { rate, length } => (Mode::Throttle(rate), length),
                    Trouble::BlackHole { length } => (Mode::BlackHole, length),
                };
                proxy.set(*which, mode);
                sleep(length).await;
                proxy.heal();
            }
            Self::Gateways { rates } => world.set_faults(&rates.iter().map(String::as_str).collect::<Vec<_>>()),
        }
    }
}

impl Trouble {
    fn word(self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::Halve => "halved",
            Self::HalfClose(_) => "half-closed",
            Self::Delay { .. } => "delayed",
            Self::Throttle { .. } => "throttled",
            Self::BlackHole { .. } => "in a black hole",
        }
    }

    /// How often it can take deliveries out of a worker's hands: connections that come up again in a slow or narrow
    /// network may be given up again for their silence.
    fn interruptions(self) -> u64 {
        match self {
            Self::Cut | Self::Halve | Self::HalfClose(_) | Self::BlackHole { .. } => 1,
            Self::Delay { length, .. } | Self::Throttle { length, .. } => 1 + length.as_secs() / SILENCE,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Broker => "broker",
            Self::Gateway => "gateway",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind())?;
        match self {
            Self::Kill { post } => write!(f, ": worker-{}", post + 1),
            Self::KillSlowed { post, by } => write!(f, ": worker-{}, each chunk {by:?} late", post + 1),
            Self::Freeze { post, length } => write!(f, ": worker-{} for {length:?}", post + 1),
            Self::StopBroker { down } | Self::KillBroker { down } => write!(f, ", started again after {down:?}"),
            Self::Link { post, side: _, which, trouble } => {
                write!(f, ": worker-{}", post + 1)?;
                f.write_str(match which {
                    Which::All => "",
                    Which::Odd => ", odd connections",
                    Which::Even => ", even connections",
                })?;
                match trouble {
                    Trouble::Cut | Trouble::Halve => Ok(()),
                    Trouble::HalfClose(Way::There) => write!(f, ", from the worker"),
                    Trouble::HalfClose(Way::Back) => write!(f, ", to the worker"),
                    Trouble::Delay { by, length } => write!(f, " by {by:?} for {length:?}"),
                    Trouble::Throttle { rate, length } => write!(f, " to {rate} bytes a second for {length:?}"),
                    Trouble::BlackHole { length } => write!(f, " for {length:?}"),
                }
            }
            Self::Gateways { rates } => write!(f, ": {}", rates.join(" ")),
        }
    }
}
