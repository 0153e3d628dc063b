//! What the two form protocols demand of a request besides its signature.

use crate::domain::takedown::Gateway;
use crate::gateway::GatewayAccount;
use crate::gateway::diagnosis::Cause;
use crate::gateway::diagnosis::pasted::{Field, Place};
use crate::gateway::diagnosis::request::value;
use crate::signing::charset::Charset;

/// What the two form protocols do differently.
pub(super) struct Scheme {
    gateway: Gateway,
    pub(super) left_out: &'static [&'static str],
    charset_field: &'static str,
    required: &'static [&'static str],
}

impl Scheme {
    pub(super) fn of(gateway: Gateway) -> Self {
        match gateway {
            Gateway::Mapi => Self {
                gateway,
                left_out: &["sign", "sign_type"],
                charset_field: "_input_charset",
                required: &["service", "partner", "_input_charset", "sign_type", "sns_user_id", "key"],
            },
            Gateway::OpenPlatform => Self {
                gateway,
                left_out: &["sign"],
                charset_field: "charset",
                required: &["app_id", "method", "charset", "sign_type", "timestamp", "version", "biz_content"],
            },
        }
    }

    /// Finds the charset the gateway reads the parameters in, and what is odd about it.
    pub(super) fn charset(&self, fields: &[Field]) -> (Charset, Vec<Cause>) {
        let name = self.charset_field;
        let of = |field: &&Field| field.name == name.as_bytes() || field.name == format!("amp;{name}").as_bytes();
        let label = |field: &Field| Charset::from_label(&String::from_utf8_lossy(&field.value));
        let Some(in_query) = fields.iter().find(|field| of(field) && field.place == Place::Query) else {
            let mut remarks = Vec::new();
            let in_body = fields.iter().find(of);
            if in_body.is_some() {
                let what = format!(
                    "`{name}` stands in the body alone, where the gateway does not look for it before reading the body"
                );
                remarks.push(Cause::new(
                    "charset_only_in_body",
                    what,
                    format!("put `{name}` into the URL, also of a POST"),
                ));
            }
            // mapi falls back to GBK (protocol page: On the wire); the Open Platform's own fallback is not documented.
            let fallback = match self.gateway {
                Gateway::Mapi => Charset::Gbk,
                Gateway::OpenPlatform => in_body.and_then(label).unwrap_or_default(),
            };
            return (fallback, remarks);
        };
        match label(in_query) {
            Some(charset) => (charset, Vec::new()),
            None => {
                let what = format!("`{name}` names a charset the gateway does not know");
                (Charset::Utf8, vec![Cause::new("charset_unknown", what, "write utf-8, gbk or gb2312")])
            }
        }
    }

    /// Names values whose bytes are not of the charset the gateway reads them in.
    pub(super) fn unreadable(&self, fields: &[Field], charset: Charset) -> Option<Cause> {
        let is_bad = |field: &&Field| {
            charset.decode(&field.value).and_then(|text| charset.encode(&text).ok()).as_ref() != Some(&field.value)
        };
        let is_declared = fields.iter().any(|f| f.name == self.charset_field.as_bytes() && f.place == Place::Query);
        let is_ascii = fields.iter().all(|field| field.value.is_ascii());
        let declared_elsewhere = !is_declared && fields.iter().any(|f| f.name == self.charset_field.as_bytes());
        if declared_elsewhere && !is_ascii && self.gateway == Gateway::Mapi {
            let what = format!(
                "`{}` stands in the body alone, so that the gateway reads the parameters as GBK and not as was meant",
                self.charset_field
            );
            return Some(Cause::new(
                "charset_only_in_body",
                what,
                format!("put `{}` into the URL, also of a POST", self.charset_field),
            ));
        }
        let field = fields.iter().find(is_bad)?;
        let name = String::from_utf8_lossy(&field.name).into_owned();
        let others = [Charset::Utf8, Charset::Gbk].into_iter().filter(|other| *other != charset);
        let really = others
            .filter(|other| other.decode(&field.value).is_some())
            .map(|other| format!("; they are {}", other.as_str()));
        let what = format!(
            "the bytes of `{name}` are not {}, which the request declares{}",
            charset.as_str(),
            really.collect::<String>()
        );
        Some(Cause::new(
            "sent_in_another_charset",
            what,
            format!("encode the parameters in the charset `{}` names", self.charset_field),
        ))
    }

    /// What is wrong with the request whatever its signature.
    pub(super) fn remarks(&self, account: &GatewayAccount, fields: &[Field]) -> Vec<Cause> {
        let mut remarks = Vec::new();
        let (identity, own) = account.identity();
        if let Some(other) = value(fields, identity).filter(|other| *other != own.as_bytes()) {
            let what = format!("`{identity}` is {:?}, this account's is {own:?}", String::from_utf8_lossy(other));
            remarks.push(Cause::new("other_caller", what, "name the account the request belongs to with --account"));
        }
        if let Some(other) =
            value(fields, "sign_type").filter(|other| *other != account.sign_type().as_str().as_bytes())
        {
            let what = format!(
                "`sign_type` is {:?}, the account is configured for {}",
                String::from_utf8_lossy(other),
                account.sign_type()
            );
            remarks.push(Cause::new(
                "other_sign_type",
                what,
                "use the sign type agreed with the gateway, in upper case",
            ));
        }
        for name in self.required.iter().filter(|name| value(fields, name).is_none_or(<[u8]>::is_empty)) {
            let what = format!("`{name}` is missing, which the gateway requires");
            remarks.push(Cause::new("parameter_missing", what, format!("send `{name}` and sign it")));
        }
        for field in fields.iter().filter(|field| field.value == b"***") {
            let what =
                format!("`{}` is masked (***), so that nothing can verify", String::from_utf8_lossy(&field.name));
            remarks.push(Cause::new(
                "value_masked",
                what,
                "paste the request with its keys and tokens: --reveal prints ours",
            ));
        }
        let is_empty = |field: &&Field| field.value.is_empty() && field.name != b"sign";
        for field in
            fields.iter().filter(is_empty).filter(|field| !self.required.iter().any(|n| n.as_bytes() == field.name))
        {
            let what = format!(
                "`{}` is sent without a value: readers differ about signing it",
                String::from_utf8_lossy(&field.name)
            );
            remarks.push(Cause::new("empty_parameter", what, "do not send parameters without a value"));
        }
        for (at, field) in fields.iter().enumerate() {
            let earlier = fields[..at].iter().find(|earlier| earlier.name == field.name);
            let is_charset = field.name == self.charset_field.as_bytes();
            if earlier.is_some_and(|earlier| !is_charset || earlier.value != field.value) {
                let what = format!(
                    "`{}` is sent twice: readers differ about which one counts",
                    String::from_utf8_lossy(&field.name)
                );
                remarks.push(Cause::new("parameter_repeated", what, "send every parameter once"));
            }
        }
        remarks
    }
}
