//! What a takedown costs as a whole: a real broker or queue file, a gateway in another process, the worker's own binary.

fn main() {}
