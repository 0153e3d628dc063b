//! The two languages of the pages, and which of them a visitor reads.

/// A language the pages are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::ops::web) enum Language {
    /// English.
    #[default]
    English,
    /// Simplified Chinese.
    Chinese,
}

impl Language {
    /// Both, in the order of the switch.
    pub(in crate::ops::web) const ALL: [Self; 2] = [Self::English, Self::Chinese];

    /// Returns the tag for `lang` (BCP 47).
    #[must_use]
    pub(in crate::ops::web) fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-CN",
        }
    }

    /// Returns its own name for itself.
    #[must_use]
    pub(in crate::ops::web) fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Chinese => "中文",
        }
    }

    /// Finds a language by a tag such as `zh`, `zh-Hans` or `en-GB`.
    #[must_use]
    pub(in crate::ops::web) fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.split('-').next().unwrap_or_default();
        match primary.to_ascii_lowercase().as_str() {
            "en" => Some(Self::English),
            "zh" => Some(Self::Chinese),
            _ => None,
        }
    }

    /// Chooses by `Accept-Language` (RFC 9110, section 12.5.4): the known language of the highest weight, the first of
    /// equals; English where none is known.
    #[must_use]
    pub(in crate::ops::web) fn accepted(header: &str) -> Self {
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
mod tests {
    use super::*;

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
