//! `OpenMetrics` text as the text format of Prometheus that came before it (version 0.0.4).
//!
//! For what we export the two differ in a counter's family name (`OpenMetrics` leaves `_total` to its samples), in units
//! and in the mark of the end: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::collections::HashSet;

/// Rewrites a text.
pub(super) fn of(text: &str) -> String {
    let counters: HashSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let mut classic = String::with_capacity(text.len());
    for line in text.lines().filter(|line| !line.starts_with("# UNIT ") && *line != "# EOF") {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some(what), Some(name), Some(rest)) if counters.contains(name) => {
                classic.extend(["# ", what, " ", name, "_total ", rest]);
            }
            _ => classic.push_str(line),
        }
        classic.push('\n');
    }
    classic
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_called_as_its_samples_are() {
        let text = "# HELP x Things.\n# TYPE x counter\nx_total{a=\"# TYPE x\"} 1\n# HELP x_s Time.\n# TYPE x_s histogram\n\
                    # UNIT x_s seconds\nx_s_count 0\n# EOF\n";
        let classic = "# HELP x_total Things.\n# TYPE x_total counter\nx_total{a=\"# TYPE x\"} 1\n# HELP x_s Time.\n\
                       # TYPE x_s histogram\nx_s_count 0\n";
        assert_eq!(of(text), classic);
    }
}
