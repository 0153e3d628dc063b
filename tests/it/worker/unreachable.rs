//! A gateway nobody can connect to: nothing is sent, nothing is spent, and the account goes on once it is back.

use std::net::SocketAddr;
use std::time::Duration;

use takedown::domain::outcome::{Reason, Status};
use takedown::gateway::GatewayAccount;
use takedown::gateway::http::Endpoint;
use takedown::worker::event::WorkerEvent;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::told;
use crate::support::replica::{Bench, Replica, Tuning, account, goods, shop_item};

/// A port of loopback that leads to a gateway while it is open, and refuses while it is not.
struct Door {
    address: SocketAddr,
    gateway: SocketAddr,
    open: Option<JoinHandle<()>>,
}

impl Door {
    async fn shut(gateway: SocketAddr) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        Self { address, gateway, open: None }
    }

    async fn open(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.open = Some(tokio::spawn(lead(listener, self.gateway)));
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.open.iter().for_each(JoinHandle::abort);
    }
}

async fn lead(listener: TcpListener, gateway: SocketAddr) {
    let mut connections = JoinSet::new();
    loop {
        let (mut outside, _) = listener.accept().await.unwrap();
        connections.spawn(async move {
            let mut inside = TcpStream::connect(gateway).await?;
            copy_bidirectional(&mut outside, &mut inside).await
        });
    }
}

/// A replica whose account of mapi calls through the door.
fn behind(bench: &Bench, door: &Door) -> Replica {
    let mut tuning = Tuning::default();
    tuning.limits.hold.first_probe = Duration::from_millis(50);
    tuning.limits.hold.max_probe = Duration::from_millis(100);
    let replica = bench.start(tuning);
    let GatewayAccount::Mapi(mut desk) = bench.desk() else { unreachable!() };
    let path = desk.endpoint.url().path().to_owned();
    desk.endpoint = Endpoint::new(&format!("http://{}{path}", door.address)).unwrap();
    replica.context.accounts[&account("desk")].renew(GatewayAccount::Mapi(desk));
    replica
}

async fn refused(replica: &Replica, calls: usize) {
    let is_refused = |event: &&WorkerEvent| matches!(event, WorkerEvent::Called { verdict: "connect_failed", .. });
    let enough = |events: &[WorkerEvent]| (events.iter().filter(is_refused).count() >= calls).then_some(());
    replica.wait_for("so many refused connections", enough).await;
}

#[tokio::test]
async fn a_gateway_that_is_gone_for_a_night_spends_no_backlog() {
    let bench = Bench::new().await;
    let mut door = Door::shut(bench.sandbox.address()).await;
    let replica = behind(&bench, &door);
    let ids: Vec<_> = (0..5).map(|n| format!("g{n}")).collect();
    replica.enqueue(ids.iter().map(|id| goods(id))).await;
    // More than all their attempts.
    refused(&replica, 40).await;
    assert!(replica.context.accounts[&account("desk")].limits.is_held());
    replica.enqueue([shop_item("c1")]).await;
    assert_eq!(replica.outcome("c1").await.reason, Reason::TakenDown, "the other account goes on");
    door.open().await;
    for id in &ids {
        assert_eq!(told(&replica.outcome(id).await), (id.as_str(), Status::Success, Reason::TakenDown, 1));
    }
    assert_eq!(bench.sandbox.seen().len(), ids.len() + 1, "each was called for once");
    let events = replica.events();
    let is_why =
        |event: &WorkerEvent| matches!(event, WorkerEvent::Unreachable { cause, .. } if cause == "connect_failed");
    assert!(events.iter().filter(|event| is_why(event)).count() > 10, "each failed trial is told");
    let ends = |event: &&WorkerEvent| matches!(event, WorkerEvent::Reached { account } if account.as_str() == "desk");
    assert_eq!(events.iter().filter(ends).count(), 1);
    let spends = |event: &WorkerEvent| matches!(event, WorkerEvent::Retried { .. } | WorkerEvent::Held { .. });
    assert!(!events.iter().any(spends), "{events:#?}");
}

#[tokio::test]
async fn a_lone_item_waits_for_its_gateway_too() {
    let bench = Bench::new().await;
    let mut door = Door::shut(bench.sandbox.address()).await;
    let replica = behind(&bench, &door);
    replica.enqueue([goods("g1")]).await;
    refused(&replica, 10).await;
    door.open().await;
    assert_eq!(told(&replica.outcome("g1").await), ("g1", Status::Success, Reason::TakenDown, 1));
}
