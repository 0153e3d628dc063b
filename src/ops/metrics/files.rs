//! What watches a fleet by its metrics: a Grafana dashboard, and Prometheus' alert rules. `takedown metrics` prints them.

/// The dashboard, as Grafana imports it.
pub const DASHBOARD: &str = include_str!("grafana.json");

/// Every metric, as a table; part of the documentation of [`metrics`](super), and held against what is exported.
pub const TABLE: &str = include_str!("table.md");

/// The alert rules, as `rule_files` of a Prometheus configuration names them.
pub const ALERTS: &str = include_str!("alerts.yml");
