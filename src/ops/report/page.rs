//! A report as one HTML file.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::domain::outcome::Reason;
use crate::ops::chart::STYLE;
use crate::ops::chart::svg::Words;
use crate::ops::chart::text::visible;
use crate::ops::language::Language;
use crate::ops::meaning::explain;
use crate::ops::report::phrases::Phrases;
use crate::ops::report::{Report, tone};

/// Lets the page fetch nothing and run nothing, whatever gets into it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

impl Report {
    /// Writes the page.
    #[must_use]
    pub fn html(&self, language: Language) -> String {
        let phrases = Phrases::of(language);
        let words = Words { numbers: phrases.numbers.to_owned() };
        let page = html! {
            (DOCTYPE)
            html lang=(language.tag()) {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    title { (phrases.report) ": " (visible(&self.subject)) }
                    style { (PreEscaped(STYLE)) (PreEscaped(include_str!("page.css"))) }
                }
                body {
                    main {
                        h1 { (phrases.report) ": " (visible(&self.subject)) }
                        (self.facts(phrases))
                        (self.table(phrases, language))
                        (self.reasons(phrases).figure("reasons", &words))
                        @for (at, histogram) in self.histograms(phrases).enumerate() {
                            (histogram.figure(&format!("times-{at}"), &words))
                        }
                    }
                }
            }
        };
        page.into_string()
    }

    fn facts(&self, phrases: &Phrases) -> Markup {
        html! {
            dl class="facts" {
                dt { (phrases.ended) } dd { (self.total()) }
                dt { (phrases.dead) } dd { (self.dead()) }
                @if self.left > 0 { dt { (phrases.left) } dd { (self.left) } }
                @for (name, value) in &self.facts { dt { (visible(name)) } dd { (visible(value)) } }
            }
        }
    }

    fn table(&self, phrases: &Phrases, language: Language) -> Markup {
        let row = |(reason, count): (&Reason, &u64)| {
            html! {
                tr {
                    td {
                        svg viewBox="0 0 10 10" aria-hidden="true" {
                            rect class=(tone(reason.status()).class()) width="10" height="10" rx="2" {}
                        }
                        (reason.status())
                    }
                    td { (reason) }
                    td class="number" { (count) }
                    td { (explain(*reason, language)) }
                }
            }
        };
        html! {
            div class="wide" {
                table class="outcomes" {
                    caption hidden { (phrases.reasons) }
                    thead { tr {
                        th scope="col" { (phrases.status) }
                        th scope="col" { (phrases.reason) }
                        th scope="col" { (phrases.items) }
                        th scope="col" { (phrases.meaning) }
                    } }
                    tbody { @for entry in &self.outcomes { (row(entry)) } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::report::tests::report;

    #[test]
    fn a_page_needs_nothing_but_itself() {
        for language in [Language::English, Language::Chinese] {
            let page = report().html(language);
            assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>"), "{page}");
            assert!(page.contains(POLICY) || page.contains("default-src &#39;none&#39;"), "{page}");
            for foreign in ["<script", "src=", "@import", "<link", "url(http"] {
                assert!(!page.contains(foreign), "{foreign}: {page}");
            }
            // Names of the SVG's own language are no addresses to fetch from.
            assert_eq!(page.matches("http").count(), page.matches("xmlns=\"http://www.w3.org/2000/svg\"").count() + 1);
        }
    }

    #[test]
    fn a_page_tells_what_ended_and_what_is_left() {
        let page = report().html(Language::English);
        for told in [
            "<h1>Report of takedowns: &lt;items&gt;.csv</h1>",
            "<dt>ended</dt><dd>356</dd><dt>dead letters</dt><dd>4</dd><dt>not ended</dt><dd>2</dd><dt>took</dt>",
            r#"<td>item_not_found</td><td class="number">40</td>"#,
            "<figcaption>Gateway latency</figcaption>",
        ] {
            assert!(page.contains(told), "{told}: {page}");
        }
        let chinese = report().html(Language::Chinese);
        assert!(
            chinese.contains(r#"<html lang="zh-CN">"#) && chinese.contains("<td>网关查无此商品；请核对编号</td>"),
            "{chinese}"
        );
    }
}
