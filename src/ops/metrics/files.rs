//! What watches a fleet by its metrics: a Grafana dashboard, and Prometheus' alert rules. `takedown metrics` prints them.

/// The dashboard, as Grafana imports it.
pub const DASHBOARD: &str = include_str!("grafana.json");

/// The alert rules, as `rule_files` of a Prometheus configuration names them.
pub const ALERTS: &str = include_str!("alerts.yml");
