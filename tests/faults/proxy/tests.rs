//! That each order does what it says, and only that.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::*;
use crate::support::queue::within;

/// Long enough for anything to pass that passes at all.
const WHILE: Duration = Duration::from_millis(300);

/// Both ends of a connection through a proxy.
async fn through() -> (Proxy, TcpListener, TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap()).await;
    let (near, far) = connect(&proxy, &listener).await;
    (proxy, listener, near, far)
}

async fn connect(proxy: &Proxy, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let near = TcpStream::connect(proxy.address()).await.unwrap();
    let (far, _) = within("the proxy's connection", listener.accept()).await.unwrap();
    (near, far)
}

async fn send(from: &mut TcpStream, text: &str) {
    from.write_all(text.as_bytes()).await.unwrap();
}

async fn receive(at: &mut TcpStream, length: usize) -> String {
    let mut bytes = vec![0; length];
    within("what was sent", at.read_exact(&mut bytes)).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

async fn rest(at: &mut TcpStream) -> io::Result<String> {
    let mut bytes = Vec::new();
    within("the end", at.read_to_end(&mut bytes)).await?;
    Ok(String::from_utf8(bytes).unwrap())
}

#[tokio::test]
async fn without_an_order_bytes_and_ends_pass() {
    let (_proxy, _listener, mut near, mut far) = through().await;
    send(&mut near, "there").await;
    assert_eq!(receive(&mut far, 5).await, "there");
    near.shutdown().await.unwrap();
    assert_eq!(rest(&mut far).await.unwrap(), "");
    send(&mut far, "and back").await;
    far.shutdown().await.unwrap();
    assert_eq!(rest(&mut near).await.unwrap(), "and back");
}

#[tokio::test]
async fn a_cut_resets_both_sides_and_the_next_connection_is_whole() {
    let (proxy, listener, mut near, mut far) = through().await;
    proxy.cut(Which::All);
    for side in [&mut near, &mut far] {
        assert_eq!(rest(side).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }
    let (mut near, mut far) = connect(&proxy, &listener).await;
    send(&mut near, "again").await;
    assert_eq!(receive(&mut far, 5).await, "again");
}

#[tokio::test]
async fn a_delay_makes_both_ways_late_until_healed() {
    let (proxy, _listener, mut near, mut far) = through().await;
    proxy.set(Which::All, Mode::Delay(WHILE));
    let began = Instant::now();
    send(&mut near, "there").await;
    assert_eq!(receive(&mut far, 5).await, "there");
    assert!(began.elapsed() >= WHILE, "{:?}", began.elapsed());
    send(&mut far, "back").await;
    assert_eq!(receive(&mut near, 4).await, "back");
    assert!(began.elapsed() >= WHILE * 2, "{:?}", began.elapsed());
    proxy.set(Which::All, Mode::Delay(Duration::from_secs(3600)));
    proxy.heal();
    send(&mut near, "at once").await;
    assert_eq!(receive(&mut far, 7).await, "at once");
}

#[tokio::test]
async fn a_throttled_connection_lets_so_many_bytes_pass_a_second() {
    let (proxy, _listener, mut near, mut far) = through().await;
    proxy.set(Which::All, Mode::Throttle(10_000));
    let began = Instant::now();
    send(&mut near, &"x".repeat(5000)).await;
    receive(&mut far, 5000).await;
    assert!(began.elapsed() >= Duration::from_millis(450), "{:?}", began.elapsed());
    // More than an hour's worth.
    proxy.set(Which::All, Mode::Throttle(1));
    send(&mut near, &"x".repeat(5000)).await;
    receive(&mut far, 1).await;
    proxy.heal();
    receive(&mut far, 4999).await;
}

#[tokio::test]
async fn of_what_is_halved_the_first_half_arrives_and_then_the_end() {
    let (proxy, listener, mut near, mut far) = through().await;
    proxy.halve(Which::All);
    send(&mut near, "12345678").await;
    assert_eq!(rest(&mut far).await.unwrap(), "1234");
    assert_eq!(rest(&mut near).await.unwrap(), "");
    let (mut near, mut far) = connect(&proxy, &listener).await;
    send(&mut far, "12345678").await;
    assert_eq!(receive(&mut near, 8).await, "12345678");
}

#[tokio::test]
async fn a_half_closed_connection_is_open_the_other_way() {
    for way in [Way::There, Way::Back] {
        let (proxy, _listener, mut near, mut far) = through().await;
        let (sender, receiver) = match way {
            Way::There => (&mut near, &mut far),
            Way::Back => (&mut far, &mut near),
        };
        proxy.half_close(Which::All, way);
        assert_eq!(rest(receiver).await.unwrap(), "", "{way:?}");
        send(sender, "lost").await;
        send(receiver, "kept").await;
        assert_eq!(receive(sender, 4).await, "kept", "{way:?}");
        receiver.shutdown().await.unwrap();
        assert_eq!(rest(sender).await.unwrap(), "", "{way:?}");
    }
}

#[tokio::test]
async fn a_black_hole_accepts_and_keeps_everything_until_healed() {
    let (proxy, listener, mut near, mut far) = through().await;
    proxy.set(Which::All, Mode::BlackHole);
    send(&mut near, "kept").await;
    let mut byte = [0];
    assert!(timeout(WHILE, far.read(&mut byte)).await.is_err(), "nothing passes");
    let mut later = TcpStream::connect(proxy.address()).await.unwrap();
    send(&mut later, "later").await;
    later.shutdown().await.unwrap();
    let (mut later, _) = within("the proxy's connection", listener.accept()).await.unwrap();
    assert!(timeout(WHILE, later.read(&mut byte)).await.is_err(), "nothing passes, and no end");
    proxy.heal();
    assert_eq!(receive(&mut far, 4).await, "kept");
    assert_eq!(rest(&mut later).await.unwrap(), "later");
}

#[tokio::test]
async fn where_nothing_listens_a_connection_is_reset() {
    // Bound, so that nobody else listens there.
    let silent = tokio::net::TcpSocket::new_v4().unwrap();
    silent.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let proxy = Proxy::start(silent.local_addr().unwrap()).await;
    let mut near = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(rest(&mut near).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn every_other_connection_can_be_struck_alone() {
    for (which, struck, spared) in [(Which::Odd, 0, 1), (Which::Even, 1, 0)] {
        let (proxy, listener, near, far) = through().await;
        let mut ends = [(near, far), connect(&proxy, &listener).await];
        proxy.cut(which);
        let (near, _) = &mut ends[struck];
        assert_eq!(rest(near).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset, "{which:?}");
        let (near, far) = &mut ends[spared];
        send(near, "whole").await;
        assert_eq!(receive(far, 5).await, "whole", "{which:?}");
    }
}
