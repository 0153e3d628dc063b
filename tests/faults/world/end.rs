//! How a world ends: what is missing is waited for as long as it is anywhere, everybody drains, and the evidence is
//! gathered.

use super::*;

/// Id of the outcome that marks the end of all others.
const THE_END: &str = "the-end";

/// Without an outcome for so long, a world is asked whether there is anything left that could have one.
const QUIET: Duration = Duration::from_secs(5);

impl World {
    /// Ends all faults, waits for what is missing, drains, and gathers the evidence.
    ///
    /// At the deadline, or once what is missing is nowhere, everybody is killed, and the evidence tells where the missing
    /// messages are. The directory holds the workers' logs.
    pub(crate) async fn end(self, deadline: Instant) -> (Evidence, TempDir) {
        self.set_faults(&[]);
        for post in &self.posts {
            post.broker.heal();
            post.gateway.heal();
            post.thaw();
        }
        let mut odd_ends = Vec::new();
        let is_in_time = self.finish(deadline, &mut odd_ends).await && self.drain(deadline, &mut odd_ends).await;
        for post in &self.posts {
            post.clear().await;
        }
        let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
        if !is_in_time {
            places = self.places().await;
        }
        let left = self.left().await;
        self.read_to_the_end().await;
        let mut book = self.reader.book();
        book.told.remove(THE_END);
        let letters = AmqpDeadLetters::connect(&self.settings, accounts()).await.unwrap();
        let letters = letters.list(&LetterFilter::default()).await.unwrap();
        if self.broker.is_none() {
            Topology::new(&self.settings, &accounts()).delete(&self.settings).await.unwrap();
        }
        let killed: u32 = self.posts.iter().map(Post::killed).sum();
        odd_ends.extend(self.posts.iter().flat_map(Post::odd_ends));
        let evidence = Evidence {
            mix: self.mix,
            odd: ODD.map(|(_, id, _, reason)| (id.to_owned(), reason)).into(),
            book,
            letters: letters.into_iter().map(|letter| letter.id).collect(),
            left,
            places,
            items: self.sandbox.items(),
            seen: self.sandbox.seen(),
            odd_ends,
            allowed: Allowed {
                attempts: ATTEMPTS,
                interruptions: self.interruptions.into_inner() + killed,
                in_flight: IN_FLIGHT * u32::try_from(self.posts.len() * accounts().len()).unwrap(),
            },
        };
        (evidence, self.dir)
    }

    /// Waits for every outcome, as long as there is something that could have one.
    async fn finish(&self, deadline: Instant, odd_ends: &mut Vec<String>) -> bool {
        loop {
            let told = self.told();
            if self.reach(self.accepted(), deadline.min(Instant::now() + QUIET)).await {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            if self.told() > told || !self.ready().await.is_empty() {
                continue;
            }
            // What is in hand is told by a drain, or given back by it; what a dead node was moving shows a little later.
            if !self.relieve(deadline, odd_ends).await {
                return false;
            }
            let until = Instant::now() + 2 * QUIET;
            while self.left().await.is_empty() {
                if self.told() == self.accepted() || Instant::now() >= until {
                    return self.told() == self.accepted();
                }
                sleep(PAUSE).await;
            }
            self.man();
        }
    }

    /// What a victim had told, but not acked, is on its way once more; a drain may give some of it back.
    async fn drain(&self, deadline: Instant, odd_ends: &mut Vec<String>) -> bool {
        loop {
            while !self.ready().await.is_empty() {
                if Instant::now() > deadline {
                    return false;
                }
                sleep(PAUSE).await;
            }
            if !self.relieve(deadline, odd_ends).await {
                return false;
            }
            if self.left().await.is_empty() {
                return true;
            }
            self.man();
        }
    }

    /// Has every worker drain; says whether all were through in time.
    async fn relieve(&self, deadline: Instant, odd_ends: &mut Vec<String>) -> bool {
        for post in &self.posts {
            let Ok(status) = timeout_at(deadline, post.relieve()).await else { return false };
            // One that was told before it could listen has nothing in hand yet.
            let is_well = |status: std::process::ExitStatus| {
                status.code() == Some(0) || std::os::unix::process::ExitStatusExt::signal(&status) == Some(15)
            };
            odd_ends.extend(status.filter(|status| !is_well(*status)).map(|status| format!("a drain: {status}")));
        }
        true
    }

    /// Names of the queues that are empty at the end.
    fn to_be_empty(&self) -> Vec<String> {
        let prefix = &self.settings.prefix;
        ["work.desk", "work.shops", "retry.200ms", "retry.1s", "unrouted"].map(|name| format!("{prefix}.{name}")).into()
    }

    /// Counts the messages ready in the queues that are empty at the end. What is in hand, or just being moved out of a
    /// rung, is not among them.
    async fn ready(&self) -> BTreeMap<String, u64> {
        let connection = self.connect().await;
        let channel = connection.create_channel().await.unwrap();
        let mut counts = BTreeMap::new();
        for name in self.to_be_empty() {
            let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
            let queue = channel.queue_declare(name.as_str().into(), options, FieldTable::default()).await.unwrap();
            counts.insert(name, u64::from(queue.message_count()));
        }
        connection.close(200, "counted".into()).await.unwrap();
        counts.retain(|_, count| *count > 0);
        counts
    }

    /// Counts all that is left in the queues that are empty at the end, of those that are not.
    async fn left(&self) -> BTreeMap<String, u64> {
        if self.broker.is_none() {
            return self.ready().await;
        }
        let told =
            self.with_broker(|broker| broker.control(&["list_queues", "--no-table-headers", "name", "messages"])).await;
        let names = self.to_be_empty();
        told.lines()
            .filter_map(|line| line.split_once('\t'))
            .filter(|(name, _)| names.iter().any(|known| known == name))
            .map(|(name, count)| (name.to_owned(), count.trim().parse().unwrap()))
            .filter(|(_, count)| *count > 0)
            .collect()
    }

    /// Finds in which queues the messages of each id are, dead letters included.
    async fn places(&self) -> BTreeMap<String, Vec<String>> {
        let connection = self.connect().await;
        let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let dead = ["dead.desk", "dead.shops"].map(|name| format!("{}.{name}", self.settings.prefix));
        for name in self.to_be_empty().into_iter().chain(dead) {
            let channel = connection.create_channel().await.unwrap();
            while let Some(message) = channel.basic_get(name.as_str().into(), BasicGetOptions::default()).await.unwrap()
            {
                let id = message.properties.message_id().as_ref().map(ToString::to_string).unwrap_or_default();
                places.entry(id).or_default().push(name.clone());
            }
            channel.close(200, "seen".into()).await.unwrap();
        }
        places
    }

    /// Nobody publishes any more: one last outcome marks the end.
    async fn read_to_the_end(&self) {
        let now = SystemTime::now();
        let last = FinalOutcome {
            id: THE_END.to_owned(),
            batch: None,
            account: "none".to_owned(),
            gateway: None,
            reason: Reason::BatchCancelled,
            gateway_code: None,
            gateway_message: None,
            attempts: 0,
            deferrals: 0,
            first_seen: now,
            finished_at: now,
            verified: false,
            item: ItemIds::default(),
            worker: "nobody".to_owned(),
            replays: 0,
        };
        let exchange = format!("{}.results", self.settings.prefix);
        let properties = lapin::BasicProperties::default().with_message_id(THE_END.into());
        broker::publish(&self.settings, &exchange, &last.routing_key(), &last.encode(), properties).await;
        let mut told = self.reader.ids();
        let is_read = told.wait_for(|_| self.reader.book().told.contains_key(THE_END));
        within("the last outcome", is_read).await.unwrap();
    }
}
