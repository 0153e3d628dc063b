//! Connections to the broker, and the schedule of reconnecting.
