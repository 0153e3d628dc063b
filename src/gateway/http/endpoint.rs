//! A gateway's address, checked once when the configuration is read.

use url::{Host, Url};

use crate::gateway::http::GatewayError;

/// A gateway address that passed the rules: https, or http to a loopback address; no query, no user, no fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

impl Endpoint {
    /// Checks an address.
    ///
    /// # Errors
    /// [`GatewayError::Url`] naming the rule it breaks; a user name, password or query in it is not repeated.
    pub fn new(text: &str) -> Result<Self, GatewayError> {
        let refuse = |problem: &str| GatewayError::Url { url: shown(text), problem: problem.to_owned() };
        let url = Url::parse(text.trim()).map_err(|error| refuse(&format!("is not a URL: {error}")))?;
        if !url.username().is_empty() || url.password().is_some() {
            let url = format!("{}://…@{}", url.scheme(), url.host_str().unwrap_or_default());
            return Err(GatewayError::Url { url, problem: "carries a user name; remove it".to_owned() });
        }
        match url.scheme() {
            "https" if url.has_host() => {}
            "http" if is_loopback(&url) => {}
            "http" => return Err(refuse("is plain http; use https (plain http is for loopback addresses only)")),
            _ => return Err(refuse("must begin with https://")),
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("has a query or a fragment; give the address alone"));
        }
        Ok(Self(url))
    }

    /// Says whether it is called without TLS, which only a loopback address is.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// Returns the address with nothing but `/` behind the host.
    #[must_use]
    pub fn root(&self) -> Url {
        let mut url = self.0.clone();
        url.set_path("/");
        url
    }

    /// Returns the address.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.0
    }
}

/// What of a text can be shown that may be no address: of a whole request, pasted where its address belongs, the query
/// holds keys and the signature, and what stands before an `@` may be a password.
fn shown(text: &str) -> String {
    if text.contains('@') {
        let scheme = text.split_once("://").map(|(scheme, _)| scheme);
        let scheme = scheme.filter(|scheme| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        return scheme.map_or_else(|| "…".to_owned(), |scheme| format!("{scheme}://…"));
    }
    text.find(['?', '#']).map_or_else(|| text.to_owned(), |end| format!("{}…", &text[..=end]))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_everywhere_and_plain_http_on_loopback_alone() {
        for good in [
            "https://openapi.alipay.com/gateway.do",
            "http://127.0.0.1:8080/gateway.do",
            "http://127.9.9.9/",
            "http://[::1]:8080/",
            "http://LOCALHOST:8080/",
            " https://www.alipay.com/cooperate/gateway.do\n",
        ] {
            assert!(Endpoint::new(good).is_ok(), "{good}");
        }
        for (bad, problem) in [
            ("http://openapi.alipay.com/gateway.do", "is plain http; use https"),
            ("http://localhost.example.com/", "is plain http; use https"),
            ("http://[::2]/", "is plain http; use https"),
            ("ftp://127.0.0.1/", "must begin with https://"),
            ("openapi.alipay.com", "is not a URL"),
            ("https://openapi.alipay.com/gateway.do?", "has a query"),
            ("https://openapi.alipay.com/gateway.do#", "has a query or a fragment"),
        ] {
            let error = Endpoint::new(bad).unwrap_err().to_string();
            assert!(error.contains(problem) && error.contains(bad), "{error}");
        }
    }

    #[test]
    fn a_query_is_not_repeated() {
        let error = Endpoint::new("https://openapi.alipay.com/gateway.do?sign=x").unwrap_err().to_string();
        assert_eq!(
            error,
            "gateway URL \"https://openapi.alipay.com/gateway.do?…\" has a query or a fragment; give the address alone"
        );
    }

    #[test]
    fn a_password_in_the_address_is_not_repeated() {
        for text in [
            "https://me:hunter2@example.com/",
            "https://me:hunter2@exa mple.com/",
            "https://me:hunter2@example.com:99999/",
            "https://me:hunter2?x@example.com/",
            "me:hunter2@example.com/",
            "ftp://me:hunter2@example.com/",
        ] {
            let error = Endpoint::new(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
