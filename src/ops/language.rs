//! The two languages of pages and reports, and which of them a reader reads.

use std::ffi::OsString;

/// A language that people read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Simplified Chinese.
    Chinese,
}

impl Language {
    /// Both, in the order of the switch.
    pub const ALL: [Self; 2] = [Self::English, Self::Chinese];

    /// Returns the tag for `lang` (BCP 47).
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-CN",
        }
    }

    /// Returns its own name for itself.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Chinese => "中文",
        }
    }

    /// Finds a language by a tag such as `zh`, `zh-Hans` or `en-GB`.
    #[must_use]
    pub fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.split('-').next().unwrap_or_default();
        match primary.to_ascii_lowercase().as_str() {
            "en" => Some(Self::English),
            "zh" => Some(Self::Chinese),
            _ => None,
        }
    }

    /// Returns the language of a locale, by the first of `LC_ALL`, `LC_MESSAGES` and `LANG` that is set.
    pub fn of_locale(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().filter_map(variable).find(|value| !value.is_empty());
        match set {
            Some(locale) if locale.to_string_lossy().starts_with("zh") => Self::Chinese,
            Some(_) | None => Self::English,
        }
    }

    /// Chooses by `Accept-Language` (RFC 9110, section 12.5.4): the known language of the highest weight, the first of
    /// equals; English where none is known.
    #[must_use]
    pub fn accepted(header: &str) -> Self {
        let mut best: Option<(f32, Self)> = None;
        // Nobody reads a hundred languages.
        for part in header.split(',').take(100) {
            let mut words = part.split(';');
            let Some(language) = words.next().and_then(|tag| Self::of_tag(tag.trim())) else { continue };
            let weight = words.find_map(|word| word.trim().strip_prefix("q=")).map_or(Some(1.0), |q| q.parse().ok());
            let Some(weight) = weight.filter(|weight| *weight > 0.0) else { continue };
            if best.is_none_or(|(known, _)| weight > known) {
                best = Some((weight, language));
            }
        }
        best.map_or(Self::default(), |(_, language)| language)
    }
}

#[cfg(test)]
pub(in crate::ops) mod tests {
    use super::*;

    pub(in crate::ops) fn is_chinese(text: &str) -> bool {
        text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c))
    }

    #[test]
    fn a_locale_names_a_language() {
        let of = |set: &'static [(&str, &str)]| {
            Language::of_locale(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
        };
        assert_eq!(of(&[("LANG", "zh_CN.UTF-8")]), Language::Chinese);
        assert_eq!(of(&[("LC_ALL", "en_GB.UTF-8"), ("LANG", "zh_CN.UTF-8")]), Language::English);
        assert_eq!(of(&[]), Language::English);
    }

    #[test]
    fn the_heaviest_known_language_is_chosen() {
        for (header, language) in [
            ("", Language::English),
            ("zh-CN,zh;q=0.9,en;q=0.8", Language::Chinese),
            ("en-GB,en;q=0.9,zh;q=0.8", Language::English),
            ("fr, zh-Hans;q=0.5, en;q=0.4", Language::Chinese),
            ("en;q=0, zh;q=0.1", Language::Chinese),
            ("de, *;q=0.5", Language::English),
            ("zh;q=nonsense, en;q=0.1", Language::English),
            ("ZH", Language::Chinese),
        ] {
            assert_eq!(Language::accepted(header), language, "{header}");
        }
    }
}
