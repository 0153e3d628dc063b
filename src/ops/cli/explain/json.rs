//! A report for programs.

use serde_json::{Value, json};

use crate::gateway::diagnosis::own::Own;
use crate::gateway::diagnosis::pasted::Pasted;
use crate::gateway::diagnosis::request::Difference;
use crate::gateway::diagnosis::{Cause, Diagnosis, answer, request};
use crate::ops::cli::explain::{Report, advice, curl, meaning, text};
use crate::signing::charset::Charset;

pub(super) fn write(report: &Report<'_>) -> String {
    let account = report.account;
    let own = report.own.as_ref().map(|own| match own {
        Ok(own) => own_json(report, own),
        Err(reply) => json!({ "not_sent": reply.message().or_else(|| reply.code().map(str::to_owned)) }),
    });
    let value = json!({
        "account": {
            "name": report.id.as_str(),
            "gateway": account.gateway().as_str(),
            "protocol": text::protocol(account),
            "sign_type": account.sign_type().as_str(),
            "charset": account.charset().as_str(),
            "endpoint": account.endpoint().url().as_str(),
        },
        "item": report.item.map(crate::domain::takedown::Item::label),
        "masked": report.veil.covers(),
        "own": own,
        "request": report.request.as_ref().map(|(pasted, judged)| request_json(report, pasted, judged)),
        "answer": report.answer.as_ref().map(|judged| answer_json(report, judged)),
    });
    value.to_string()
}

/// Writes bytes as text, their number, and if asked for in hex.
fn bytes(report: &Report<'_>, bytes: &[u8], charset: Charset) -> Value {
    let mut value = json!({ "bytes": bytes.len(), "text": report.veil.text_of(bytes, charset) });
    if report.has_hex {
        value["hex"] = report.veil.hex(bytes, 0, bytes.len()).concat().into();
    }
    value
}

fn own_json(report: &Report<'_>, own: &Own) -> Value {
    let veil = &report.veil;
    let value = |(name, value): &(String, String)| json!({ "name": name, "value": veil.value(name, value.as_bytes(), Charset::Utf8) });
    let headers = own
        .request
        .headers
        .iter()
        .map(|(name, value)| json!({ "name": name, "value": veil.value(name, value.as_bytes(), Charset::Utf8) }));
    let body = own.request.body.as_ref();
    json!({
        "signed": own.signed.iter().map(value).collect::<Value>(),
        "left_out": own.left_out.iter().map(|(name, why)| json!({ "name": name, "why": why })).collect::<Value>(),
        "canonical": bytes(report, &own.canonical, report.account.charset()),
        "sign": own.sign,
        "request": {
            "method": if body.is_some() { "POST" } else { "GET" },
            "url": veil.text(own.request.url.as_bytes()),
            "headers": headers.collect::<Value>(),
            "content_type": body.map(|body| body.content_type),
            "body": body.map(|body| veil.text(body.text.as_bytes())),
            "curl": curl::command(&own.request).lines().map(|line| veil.text(line.as_bytes())).collect::<Vec<_>>().join("\n"),
        },
    })
}

fn request_json(report: &Report<'_>, pasted: &Pasted, judged: &request::Judged) -> Value {
    let veil = &report.veil;
    let field = |field: &crate::gateway::diagnosis::pasted::Field| {
        let name = String::from_utf8_lossy(&field.name).into_owned();
        let value = veil.value(&name, &field.value, judged.charset);
        json!({ "name": veil.text(&field.name), "value": value, "place": field.place.as_str() })
    };
    let difference = |difference: &Difference| {
        let value =
            |value: &Option<Vec<u8>>| value.as_ref().map(|value| veil.value(&difference.name, value, judged.charset));
        json!({
            "name": veil.text(difference.name.as_bytes()),
            "pasted": value(&difference.pasted),
            "ours": value(&difference.ours),
            "first_differing_byte": difference.at() + 1,
        })
    };
    let mut value = diagnosis(report, &judged.diagnosis, judged.charset);
    value["read_as"] = pasted.read_as.into();
    value["parameters"] = judged.fields.iter().map(field).collect();
    value["canonical"] = bytes(report, &judged.canonical, judged.charset);
    value["remarks"] = judged.remarks.iter().map(|remark| cause(report, remark)).collect();
    value["differences"] = judged.differences.as_ref().map(|all| all.iter().map(difference).collect::<Value>()).into();
    value
}

fn answer_json(report: &Report<'_>, judged: &answer::Judged) -> Value {
    let gateway = report.account.gateway();
    let charset = report.account.charset();
    let row = meaning::row(gateway, &judged.answer);
    let mut value = diagnosis(report, &judged.diagnosis, charset);
    value["http_status"] = judged.answer.http_status.into();
    value["signature"] = judged.answer.signature.as_str().into();
    value["says"] = report.veil.text(meaning::claim(&judged.answer).as_bytes()).into();
    value["covered"] = judged.covered.as_ref().map(|covered| bytes(report, covered, charset)).into();
    value["code"] = row
        .map(|row| {
            json!({ "code": row.code, "sub_code": row.sub_code, "meaning": row.meaning, "class": meaning::class(row.class), "source": row.source })
        })
        .into();
    if let Some(quoted) = &judged.quoted {
        value["quoted"] = bytes(report, quoted, charset);
        if let Some((whose, ours)) = text::counterpart(report, quoted) {
            let is_same = ours == *quoted;
            value["quoted"]["compared_with"] = format!("the string that {whose}").into();
            value["quoted"]["first_differing_byte"] =
                (!is_same).then(|| request::first_difference(quoted, &ours) + 1).into();
        }
    }
    value["worker"] = meaning::next(gateway, &judged.answer, report.retry).into();
    value
}

fn cause(report: &Report<'_>, cause: &Cause) -> Value {
    json!({ "name": cause.name, "what": report.veil.text(cause.what.as_bytes()), "remedy": report.veil.text(cause.remedy.as_bytes()) })
}

fn diagnosis(report: &Report<'_>, diagnosis: &Diagnosis, charset: Charset) -> Value {
    json!({
        "verdict": diagnosis.verdict.as_str(),
        "causes": diagnosis.causes.iter().map(|one| cause(report, one)).collect::<Value>(),
        "certain": diagnosis.certain,
        "to_do": advice::steps(report, &diagnosis.next),
        "signed": diagnosis.signed.as_ref().map(|signed| bytes(report, signed, charset)),
    })
}
