//! The HTTP client of the exporter: reqwest, on the worker's own runtime; HTTP/1.1, which every collector speaks.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;
use url::Url;

/// Most of an answer that is read: a collector has a status and a sentence to tell.
const MAX_ANSWER: usize = 64 * 1024;

/// Sends for a thread outside the runtime.
#[derive(Debug)]
pub(super) struct Transport {
    client: reqwest::Client,
    runtime: Handle,
}

impl Transport {
    /// Builds it within the runtime it will send on.
    ///
    /// # Errors
    /// reqwest's own when TLS cannot be set up.
    pub(super) fn new(endpoint: &Url, timeout: Duration) -> Result<Self, reqwest::Error> {
        let builder = reqwest::Client::builder()
            .user_agent(concat!("takedown/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(timeout);
        // A machine without CA certificates can still be traced to a collector beside it.
        let builder = if endpoint.scheme() == "http" { builder.tls_certs_only([]) } else { builder };
        let client = builder.build().map_err(reqwest::Error::without_url)?;
        Ok(Self { client, runtime: Handle::current() })
    }
}

impl HttpClient for Transport {
    fn send_bytes<'life, 'sent>(
        &'life self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'sent>>
    where
        'life: 'sent,
        Self: 'sent,
    {
        Box::pin(async move {
            let client = self.client.clone();
            self.runtime.spawn(send(client, request)).await?
        })
    }
}

async fn send(client: reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let mut answer = client.execute(request.try_into()?).await.map_err(reqwest::Error::without_url)?;
    let mut response = Response::builder().status(answer.status());
    if let Some(headers) = response.headers_mut() {
        headers.extend(answer.headers().clone());
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err("the collector's answer is too long".into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(response.body(body.into())?)
}
