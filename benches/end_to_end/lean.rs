//! A gateway that checks nothing and keeps nothing: the same answers as the sandbox's, for as little as they can cost.
//!
//! For what must not be bound by its gateway. An answer of mapi names its goods and is signed for each; one of the Open
//! Platform is always the same, and signed once.

use std::convert::Infallible;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use takedown::sandbox::open_platform;
use takedown::signing::{SignType, Signer};
use tokio::net::{TcpListener, TcpStream};

use crate::accounts::Credentials;
use crate::arrivals::Arrivals;

/// What it answers with.
pub(crate) struct Lean {
    mapi: Vec<(SignType, Signer)>,
    open_platform: Bytes,
    arrivals: Option<Arc<Arrivals>>,
}

impl Lean {
    pub(crate) fn new(credentials: &Credentials, arrivals: Option<Arc<Arrivals>>) -> Result<Self> {
        let mut mapi = Vec::new();
        for sign_type in [SignType::Md5, SignType::Dsa, SignType::Rsa] {
            mapi.push((sign_type, credentials.gateway(sign_type)?.1));
        }
        let signed = r#"{"code":"10000","msg":"Success"}"#;
        let sign = credentials.gateway(SignType::Rsa2)?.1.sign(signed.as_bytes())?;
        let node = "alipay_open_servicemarket_commodity_shop_offline_response";
        let open_platform = format!(r#"{{"{node}":{signed},"sign":"{sign}"}}"#).into();
        Ok(Self { mapi, open_platform, arrivals })
    }

    /// Serves on a free port, told on standard output, for ever.
    pub(crate) async fn serve(self) -> Result<()> {
        let (listener, this) = (TcpListener::bind("127.0.0.1:0").await?, Arc::new(self));
        println!("http://{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(Arc::clone(&this).connection(stream));
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream) {
        let service = service_fn(|request| std::future::ready(self.answer(&request)));
        let served = match stream.set_nodelay(true) {
            Ok(()) => http1::Builder::new().serve_connection(TokioIo::new(stream), service).await,
            Err(error) => return eprintln!("the lean gateway: {error}"),
        };
        if let Err(error) = served {
            eprintln!("a connection of the lean gateway: {error}");
        }
    }

    fn answer(&self, request: &Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        if let Some(arrivals) = &self.arrivals {
            arrivals.note(request.headers().get("traceparent"));
        }
        let (kind, body) = if request.uri().path() == open_platform::PATH {
            ("text/html;charset=utf-8", self.open_platform.clone())
        } else {
            let answer = self.close_goods(request.uri().query().unwrap_or_default());
            ("text/xml;charset=utf-8", answer.unwrap_or_else(|error| format!("{error:#}")).into())
        };
        let mut response = Response::new(Full::new(body));
        response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
        Ok(response)
    }

    fn close_goods(&self, query: &str) -> Result<String> {
        let field = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let goods = field("goods_id").context("no goods_id")?;
        let sign_type = field("sign_type").context("no sign_type")?;
        let (_, signer) = self.mapi.iter().find(|(known, _)| known.as_str() == sign_type).context("sign_type")?;
        let sign = signer.sign(format!("goods_id={goods}").as_bytes())?;
        Ok(format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><alipay><is_success>T</is_success><request/><response><goods>\
             <goods_id>{goods}</goods_id></goods></response><sign>{sign}</sign><sign_type>{sign_type}</sign_type></alipay>"
        ))
    }
}
