//! A way to the broker that can be taken away and given back.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use url::Url;

/// Passes connections on, while it is open.
pub(crate) struct Relay {
    address: SocketAddr,
    is_open: watch::Sender<bool>,
}

impl Relay {
    /// Opens a way to a broker.
    pub(crate) async fn to(broker: &Url) -> Self {
        let target = (broker.host_str().unwrap().to_owned(), broker.port().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (is_open, told) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (target, mut told) = (target.clone(), told.clone());
                tokio::spawn(async move {
                    let pass = async {
                        if let Ok(mut far) = TcpStream::connect(target).await {
                            drop(copy_bidirectional(&mut near, &mut far).await);
                        }
                    };
                    tokio::select! {
                        _ = told.wait_for(|is_open| !is_open) => {}
                        () = pass => {}
                    }
                });
            }
        });
        Self { address, is_open }
    }

    /// The broker's address by this way.
    pub(crate) fn url(&self, broker: &Url) -> String {
        let mut url = broker.clone();
        url.set_ip_host(self.address.ip()).unwrap();
        url.set_port(Some(self.address.port())).unwrap();
        url.to_string()
    }

    pub(crate) fn set_open(&self, is_open: bool) {
        self.is_open.send_replace(is_open);
    }
}
