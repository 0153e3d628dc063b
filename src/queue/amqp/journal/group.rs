//! Claims that go into the journal together: one entry, one confirm.
//!
//! The first claim goes at once; those that come while an entry is on its way gather, and are the next one. Promise: what
//! fails an entry is told to everyone who waits for it, and to those who gathered behind it.

use std::sync::Arc;

use bytes::Bytes;

use crate::domain::cause::chain;
use crate::domain::outcome::FinalOutcome;
use crate::queue::QueueError;
use crate::queue::amqp::journal::index::Key;
use crate::queue::amqp::journal::{Journal, State};
use crate::queue::amqp::message::{self, short};
use crate::queue::amqp::stream;

/// `type` of an entry of many claims.
pub(super) const CLAIMS_TYPE: &str = "takedown.journal.claims.v1";

/// Most claims of an entry.
const MAX_CLAIMS: usize = 64;

/// An entry takes no further claim beyond this size, which bounds what a reader is handed ahead.
const MAX_BYTES: usize = 32 * 1024;

/// One claim on its way.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub(super) key: Key,
    /// The encoded outcome.
    pub(super) body: Bytes,
}

/// Claims on their way in one entry.
#[derive(Debug)]
pub(super) struct Group {
    /// The entry's `message_id`; no other has it.
    pub(super) id: String,
    pub(super) claims: Vec<Claim>,
}

/// Reads whose the claims of an entry are, one a line; JSON as it is written has no line break. Whether a line is an
/// outcome is for whoever needs it to find out: of most entries of other workers nobody ever does.
pub(super) fn lines(body: &[u8]) -> impl Iterator<Item = Result<(Key, &[u8]), serde_json::Error>> {
    body.split(|byte| *byte == b'\n').map(|line| {
        let (id, replays) = FinalOutcome::whose(line)?;
        Ok((Key::new(&id, replays), line))
    })
}

/// Finds the outcome of an item in an entry.
pub(super) fn find(body: &[u8], key: Key) -> Option<(FinalOutcome, Bytes)> {
    lines(body).flatten().filter(|(other, _)| *other == key).find_map(|(_, line)| {
        let outcome = FinalOutcome::decode(line).ok()?;
        Some((outcome, Bytes::copy_from_slice(line)))
    })
}

impl Group {
    fn new(claims: Vec<Claim>) -> Self {
        Self { id: stream::new_id(), claims }
    }

    fn encode(&self) -> Bytes {
        match &self.claims[..] {
            [only] => only.body.clone(),
            claims => claims.iter().map(|claim| &claim.body[..]).collect::<Vec<_>>().join(&b'\n').into(),
        }
    }
}

impl State {
    /// Takes what has gathered, and keeps it in mind until it is read back; returns the entry's id and body.
    fn next_group(&mut self) -> Option<(String, Bytes)> {
        let mut bytes = 0;
        let fits = |claim: &&Claim| {
            let fits = bytes < MAX_BYTES;
            bytes += claim.body.len();
            fits
        };
        let count = self.gathered.iter().take(MAX_CLAIMS).take_while(fits).count();
        if count == 0 {
            return None;
        }
        let group = Group::new(self.gathered.drain(..count).collect());
        let entry = (group.id.clone(), group.encode());
        self.sent.push(group);
        Some(entry)
    }

    /// Takes the claims of an entry of one's own.
    pub(super) fn take_sent(&mut self, id: &str) -> Option<Vec<Claim>> {
        let place = self.sent.iter().position(|group| group.id == id)?;
        Some(self.sent.swap_remove(place).claims)
    }

    /// Says whether anybody waits for an entry.
    fn is_awaited(&self, id: &str) -> bool {
        let claims = self.sent.iter().filter(|group| group.id == id).flat_map(|group| &group.claims);
        let mut senders = claims.filter_map(|claim| self.claims.get(&claim.key)).flatten();
        senders.any(|sender| !sender.is_closed())
    }

    /// Tells those who wait for an entry, and those who gathered behind it, what kept it out.
    fn fail(&mut self, id: &str, problem: &str) {
        let failed = self.take_sent(id).into_iter().flatten().chain(self.gathered.drain(..));
        let failed: Vec<Claim> = failed.collect();
        for sender in failed.iter().filter_map(|claim| self.claims.remove(&claim.key)).flatten() {
            // Whoever gave up waiting needs no telling.
            drop(sender.send(Err(problem.to_owned())));
        }
    }
}

impl Journal {
    /// Writes claims until it is dropped.
    pub(in crate::queue::amqp) async fn write_claims(self: Arc<Self>) {
        loop {
            self.newcomers.notified().await;
            // Those who are about to claim do so first.
            tokio::task::yield_now().await;
            loop {
                let Some((id, body)) = self.lock().next_group() else { break };
                let properties = message::raw().with_type(short(CLAIMS_TYPE)).with_message_id(short(&id));
                match self.write(properties, &body, || self.lock().is_awaited(&id)).await {
                    Ok(()) => {}
                    // It was read back before its confirm was lost, or nobody waits any more.
                    Err(QueueError::Stale) => drop(self.lock().take_sent(&id)),
                    Err(QueueError::Publish { problem, .. }) => self.lock().fail(&id, &problem),
                    Err(error) => self.lock().fail(&id, &chain(&error)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::domain::outcome::Reason;
    use crate::domain::outcome::sample::sample;

    fn outcome(id: &str) -> FinalOutcome {
        let gateway_message = Some("two\nlines".into());
        FinalOutcome { id: id.into(), gateway_message, ..sample(Reason::TakenDown) }
    }

    fn claim(id: &str) -> Claim {
        let outcome = outcome(id);
        Claim { key: Key::new(&outcome.id, outcome.replays), body: outcome.encode().into() }
    }

    #[test]
    fn an_entry_gives_back_its_claims_in_their_order() {
        let group = Group::new(["t-1", "t-2", "t-3"].map(claim).into());
        let body = group.encode();
        let read: Vec<_> = lines(&body).map(Result::unwrap).collect();
        let sent: Vec<_> = group.claims.iter().map(|claim| (claim.key, &claim.body[..])).collect();
        assert_eq!(read, sent);
        assert_eq!(find(&body, Key::new("t-2", 0)), Some((outcome("t-2"), claim("t-2").body)));
        assert_eq!(find(&body, Key::new("t-4", 0)), None);
    }

    #[test]
    fn a_line_that_is_no_claim_is_no_harm_to_the_others() {
        let half = b"{\"id\":\"t-2\",\"replays\":0}";
        let body = [&claim("t-1").body[..], b"{}", b"", half, &claim("t-2").body].join(&b'\n');
        let read: Vec<_> = lines(&body).map(|line| line.map(|(key, _)| key).ok()).collect();
        let (one, two) = (Some(Key::new("t-1", 0)), Some(Key::new("t-2", 0)));
        assert_eq!(read, [one, None, None, two, two]);
        assert_eq!(find(&body, Key::new("t-2", 0)), Some((outcome("t-2"), claim("t-2").body)));
        assert_eq!(find(half, Key::new("t-2", 0)), None);
    }

    #[test]
    fn an_entry_is_bounded_by_count_and_by_size() {
        let mut state = State::default();
        let long = Claim { body: Bytes::from(vec![b'x'; MAX_BYTES]), ..claim("t-0") };
        state.gathered.extend([claim("t-1"), long.clone(), claim("t-2"), long]);
        state.gathered.extend((0..MAX_CLAIMS).map(|number| claim(&number.to_string())));
        while state.next_group().is_some() {}
        let counts: Vec<_> = state.sent.iter().map(|group| group.claims.len()).collect();
        assert_eq!(counts, [2, 2, MAX_CLAIMS]);
    }

    #[test]
    fn what_fails_an_entry_is_told_to_those_behind_it_too_and_to_no_other() {
        let mut state = State::default();
        let wait = |state: &mut State, id| {
            let (sender, told) = oneshot::channel();
            state.claims.entry(claim(id).key).or_default().push(sender);
            state.gathered.push_back(claim(id));
            told
        };
        let mut confirmed = wait(&mut state, "t-1");
        state.next_group();
        let mut sent = wait(&mut state, "t-2");
        let (id, _) = state.next_group().unwrap();
        let mut behind = wait(&mut state, "t-3");
        assert!(state.is_awaited(&id));
        state.fail(&id, "gone");
        let gone = Ok(Err("gone".to_owned()));
        assert_eq!((sent.try_recv(), behind.try_recv()), (gone.clone(), gone));
        assert_eq!(confirmed.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        assert!(state.gathered.is_empty() && !state.is_awaited(&id));
    }

    #[test]
    fn an_entry_on_its_way_outlives_a_doubt_while_somebody_waits_for_it() {
        let mut state = State::default();
        let mut sent = Vec::new();
        for id in ["t-1", "t-2"] {
            let (sender, told) = oneshot::channel();
            state.claims.entry(claim(id).key).or_default().push(sender);
            state.gathered.push_back(claim(id));
            sent.push((state.next_group().unwrap().0, told));
        }
        let (left, _) = sent.pop().unwrap();
        state.index.note(claim("t-3").key, 7);
        state.next = Some(8);
        state.begin_anew();
        assert!(state.is_awaited(&sent[0].0) && !state.is_awaited(&left));
        assert_eq!((state.sent.len(), state.next, state.index.len()), (1, None, 0));
    }

    #[test]
    fn what_is_no_outcome_is_told_to_nobody_and_claims_nothing() {
        let mut state = State::default();
        let (sender, mut told) = oneshot::channel();
        let ours = claim("t-1");
        state.claims.entry(ours.key).or_default().push(sender);
        state.take_line(ours.key, b"{\"id\":\"t-1\",\"replays\":0}", 1);
        assert_eq!(told.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        state.take_line(ours.key, &ours.body, 2);
        assert_eq!(told.try_recv(), Ok(Ok(ours.body)));
        assert_eq!(state.index.find(ours.key, Some(1)).map(|entry| entry.offset), Some(2));
    }
}
