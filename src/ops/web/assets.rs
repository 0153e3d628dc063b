//! The stylesheet, the script and the icon: part of the program, so that pages need no network but the one they came by.
//!
//! Each is served under a name that holds a digest of its content, and may be kept for ever.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// One file of the program.
struct Asset {
    name: String,
    kind: &'static str,
    text: &'static str,
}

/// The rules of the charts come first: the page's colours win.
static STYLESHEET: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "desk",
        "css",
        "text/css; charset=utf-8",
        concat!(include_str!("../chart/style.css"), include_str!("desk.css")),
    )
});
static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("desk", "js", "text/javascript; charset=utf-8", include_str!("desk.js")));
static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml; charset=utf-8", include_str!("icon.svg")));

impl Asset {
    fn new(stem: &str, ending: &str, kind: &'static str, text: &'static str) -> Self {
        let digest = digest(&SHA256, text.as_bytes());
        let short: String = digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { name: format!("{stem}-{short}.{ending}"), kind, text }
    }

    fn path(&self) -> String {
        format!("/assets/{}", self.name)
    }
}

/// Returns where the stylesheet is.
pub(in crate::ops::web) fn stylesheet() -> String {
    STYLESHEET.path()
}

/// Returns where the script is.
pub(in crate::ops::web) fn script() -> String {
    SCRIPT.path()
}

/// Returns where the icon is.
pub(in crate::ops::web) fn icon() -> String {
    ICON.path()
}

/// Serves one of them.
pub(in crate::ops::web) async fn serve(Path(name): Path<String>) -> Response {
    match [&*STYLESHEET, &*SCRIPT, &*ICON].into_iter().find(|asset| asset.name == name) {
        Some(asset) => {
            let kept = "public, max-age=31536000, immutable";
            ([(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, kept)], asset.text).into_response()
        }
        None => (StatusCode::NOT_FOUND, "no such file\n").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_fetched_from_elsewhere() {
        for asset in [&*STYLESHEET, &*SCRIPT, &*ICON] {
            let text = asset.text.replace("http://www.w3.org/2000/svg", "");
            for foreign in ["http:", "https:", "//cdn", "@import", "url("] {
                assert!(!text.contains(foreign), "{}: {foreign}", asset.name);
            }
        }
    }

    #[tokio::test]
    async fn a_name_holds_a_digest_and_the_file_may_be_kept_for_ever() {
        let name = STYLESHEET.name.clone();
        assert!(name.starts_with("desk-") && name.len() == "desk-0123456789abcdef.css".len(), "{name}");
        let served = serve(Path(name)).await;
        assert_eq!(served.headers()[header::CACHE_CONTROL], "public, max-age=31536000, immutable");
        assert_eq!(serve(Path("desk.css".to_owned())).await.status(), StatusCode::NOT_FOUND);
    }
}
