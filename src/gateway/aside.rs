//! Where slow signatures are made: beside the threads that everybody else's calls and messages go over.
//!
//! A quick one is made on the spot, since handing it over and back would cost more than it delays others. Promise: a slow
//! one keeps no other call waiting for its thread, and no more of them are made at a time than the machine has cores.

use std::num::NonZero;
use std::sync::LazyLock;
use std::thread::available_parallelism;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;
use tokio::task::block_in_place;

use crate::signing::Effort;

/// Each slow signature at work has a thread.
static PLACES: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(available_parallelism().map_or(1, NonZero::get)));

/// Does work that takes as long as a signature of this effort.
///
/// # Cancel safety
/// Dropped while it waits for a place, it has done nothing.
pub(super) async fn run<T>(effort: Effort, work: impl FnOnce() -> T) -> T {
    match effort {
        Effort::Quick => work(),
        Effort::Slow => {
            let _place = PLACES.acquire().await.expect("invariant: nobody closes the places");
            match Handle::current().runtime_flavor() {
                RuntimeFlavor::MultiThread => block_in_place(work),
                // The one thread there is has no other to hand the rest over to.
                _ => work(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_slow_signature_leaves_its_thread_to_the_others() {
        let (others, heard) = channel();
        let slow = tokio::spawn(run(Effort::Slow, move || {
            // Nobody could send this, did it hold the only thread.
            tokio::spawn(async move { others.send(()) });
            heard.recv_timeout(Duration::from_secs(30))
        }));
        assert_eq!(slow.await.unwrap(), Ok(()));
    }

    #[tokio::test]
    async fn a_runtime_of_one_thread_makes_it_on_the_spot() {
        assert_eq!(run(Effort::Slow, || 1).await, 1);
    }
}
