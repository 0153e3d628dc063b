//! The ways in which replicas share an account's rate, and what each of them promises.

/// How replicas share an account's rate.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Sharing {
    /// Each may use this part of it, above 0 and at most 1, whoever else there is. Default: all of it.
    Static(f64),
    /// They agree by heartbeats; needs a broker, without one it is the whole.
    #[default]
    Fleet,
    /// One of them has the whole, the one the broker hands the messages to; the others stand by. Needs a broker,
    /// without one it is the whole.
    ///
    /// The one that is handed the messages tells the fleet so, and nobody else asks for a share; so the fleet's own
    /// rules hold at a fail-over too ([`fleet`](crate::limits::fleet)): the new one calls nobody before a lease (six
    /// heartbeats) has passed since it was first handed a message, and the old one, if it was merely stopped or cut
    /// off, nobody once it has not heard itself for a fence (two heartbeats). Beyond the rate goes at most one call that
    /// was admitted when the old one was stopped, and leaves when it wakes.
    Exclusive,
}

impl Sharing {
    /// Says whether replicas have to hear of each other.
    #[must_use]
    pub fn needs_fleet(self) -> bool {
        match self {
            Self::Fleet | Self::Exclusive => true,
            Self::Static(_) => false,
        }
    }
}
