//! Whoever asks for a page: what they may do, and how they read.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};

use crate::ops::language::Language;
use crate::ops::web::phrases::Phrase;

/// Cookies that hold how a visitor reads.
pub(in crate::ops::web) const LANGUAGE_COOKIE: &str = "takedown_language";
/// See [`LANGUAGE_COOKIE`].
pub(in crate::ops::web) const THEME_COOKIE: &str = "takedown_theme";

/// What a visitor has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops::web) enum Standing {
    /// A session begun with the token; holds its CSRF token.
    Session {
        /// What each of its forms carries.
        csrf: String,
    },
    /// The token in a header, as programs send it: may read.
    Bearer,
    /// Nothing, where nothing is asked for: loopback without a token. May read.
    Open,
    /// Nothing; sees the login page only.
    Stranger,
}

/// Which colours are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::ops::web) enum Theme {
    /// As the browser or system asks.
    #[default]
    Auto,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    /// All, in the order of the switch.
    pub(in crate::ops::web) const ALL: [Self; 3] = [Self::Auto, Self::Light, Self::Dark];

    /// Returns the word in the cookie and in `data-theme`.
    pub(in crate::ops::web) fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    pub(in crate::ops::web) fn phrase(self) -> Phrase {
        match self {
            Self::Auto => Phrase::ThemeAuto,
            Self::Light => Phrase::ThemeLight,
            Self::Dark => Phrase::ThemeDark,
        }
    }
}

/// One visitor, for the length of one request.
#[derive(Debug, Clone)]
pub(in crate::ops::web) struct Visitor {
    /// The language.
    pub(in crate::ops::web) language: Language,
    /// The colours.
    pub(in crate::ops::web) theme: Theme,
    /// What was shown.
    pub(in crate::ops::web) standing: Standing,
    /// The page asked for, with its query, to come back to.
    pub(in crate::ops::web) here: String,
}

impl Visitor {
    /// Reads how a visitor reads.
    pub(in crate::ops::web) fn of(headers: &HeaderMap, standing: Standing, here: String) -> Self {
        let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let language = cookie(headers, LANGUAGE_COOKIE).and_then(Language::of_tag);
        let theme = cookie(headers, THEME_COOKIE).unwrap_or_default();
        let theme = Theme::ALL.into_iter().find(|known| known.word() == theme).unwrap_or_default();
        Self { language: language.unwrap_or_else(|| Language::accepted(accepted)), theme, standing, here }
    }

    /// Says a phrase in the visitor's language.
    pub(in crate::ops::web) fn say(&self, phrase: Phrase) -> &'static str {
        phrase.text(self.language)
    }

    /// Says a phrase with its gaps filled.
    pub(in crate::ops::web) fn fill(&self, phrase: Phrase, gaps: &[(&str, &str)]) -> String {
        phrase.fill(self.language, gaps)
    }

    /// Returns the CSRF token; `None` for whoever may not act.
    pub(in crate::ops::web) fn csrf(&self) -> Option<&str> {
        match &self.standing {
            Standing::Session { csrf } => Some(csrf),
            Standing::Bearer | Standing::Open | Standing::Stranger => None,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        // The guard puts it there for every page.
        parts.extensions.get().cloned().ok_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// Finds a cookie (RFC 6265, section 4.2).
pub(in crate::ops::web) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(';')).find_map(|pair| {
        let (found, value) = pair.trim().split_once('=')?;
        (found == name).then_some(value)
    })
}

/// Returns a path of this site, as somewhere to go back to; anything else becomes the first page.
pub(in crate::ops::web) fn local(path: &str) -> &str {
    let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let is_local = path.starts_with('/') && !path.starts_with("//") && path.len() <= 2000;
    if is_plain && is_local { path } else { "/" }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_cookie_of_choice_wins_over_what_the_browser_accepts() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static("zh-CN"));
        let visitor = |headers: &HeaderMap| Visitor::of(headers, Standing::Open, "/".to_owned());
        assert_eq!((visitor(&headers).language, visitor(&headers).theme), (Language::Chinese, Theme::Auto));
        headers.insert(header::COOKIE, HeaderValue::from_static("x=y; takedown_language=en; takedown_theme=dark"));
        assert_eq!((visitor(&headers).language, visitor(&headers).theme), (Language::English, Theme::Dark));
        headers.insert(header::COOKIE, HeaderValue::from_static("takedown_theme=\"><script>"));
        assert_eq!(visitor(&headers).theme, Theme::Auto);
    }

    #[test]
    fn only_a_path_of_this_site_is_gone_back_to() {
        for path in ["/", "/letters?account=a&page=2"] {
            assert_eq!(local(path), path);
        }
        let long = format!("/{}", "x".repeat(3000));
        for foreign in ["", "//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nb", "/a b", &long] {
            assert_eq!(local(foreign), "/", "{foreign}");
        }
    }
}
