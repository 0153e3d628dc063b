//! Three RabbitMQ nodes that are one cluster: one port mapper, one cookie, a directory and ports for each.
//!
//! They know each other by their configuration and start together. A node that finds itself in the minority pauses, as
//! rabbitmq.com/docs/partitions recommends for three nodes and more.

use std::fmt::Write as _;
use std::thread;

use crate::support::broker::{Broker, CONFIGURATION, Place, free_ports, unique_name};

/// A running cluster; gone when the test process is gone.
pub(crate) struct Cluster {
    /// Its nodes.
    pub(crate) nodes: [Broker; 3],
}

impl Cluster {
    /// Starts the nodes, with settings in the Erlang terms of `advanced.config`, and waits until each answers.
    pub(crate) fn start_with(advanced: &str) -> Self {
        let mut last = String::new();
        for _ in 0..3 {
            match Self::try_start(advanced) {
                Ok(cluster) => return cluster,
                Err(problem) => last = problem,
            }
        }
        panic!("no cluster of RabbitMQ nodes could be started: {last}");
    }

    fn try_start(advanced: &str) -> Result<Self, String> {
        let [epmd, ports @ ..] = free_ports::<7>();
        let names = [(); 3].map(|()| unique_name());
        let mut configuration = format!(
            "{CONFIGURATION}cluster_partition_handling = pause_minority\n\
             cluster_formation.peer_discovery_backend = classic_config\n"
        );
        for (number, name) in names.iter().enumerate() {
            writeln!(configuration, "cluster_formation.classic_config.nodes.{} = {name}@localhost", number + 1)
                .unwrap();
        }
        let cookie = format!("COOKIE{}", names[0].to_uppercase().replace('-', ""));
        let mut nodes = Vec::new();
        for (name, ports) in names.into_iter().zip(ports.chunks(2)) {
            let place = Place { name, ports: [epmd, ports[0], ports[1]], cookie: Some(cookie.clone()) };
            nodes.push(Broker::set_up(place, &configuration, advanced)?);
        }
        thread::scope(|scope| {
            let launches: Vec<_> = nodes.iter_mut().map(|node| scope.spawn(|| node.launch())).collect();
            launches.into_iter().try_for_each(|launch| launch.join().unwrap())
        })?;
        let nodes = nodes.try_into().unwrap_or_else(|_| unreachable!("there are three names"));
        Ok(Self { nodes })
    }

    /// Returns the nodes' addresses, with the default user and virtual host.
    pub(crate) fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Broker::url).collect()
    }
}
