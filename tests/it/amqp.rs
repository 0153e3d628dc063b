//! x
use crate::support::broker;
#[test]
fn starts() {
    let t = std::time::Instant::now();
    let url = broker::shared_url();
    eprintln!("{url} {:?}", t.elapsed());
    let mut b = broker::Broker::start();
    eprintln!("{:?}", t.elapsed());
    b.kill9();
    eprintln!("killed {:?}", t.elapsed());
    b.restart();
    eprintln!("{:?}", t.elapsed());
    b.stop();
    eprintln!("stopped {:?}", t.elapsed());
}
