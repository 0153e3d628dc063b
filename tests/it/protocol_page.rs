//! The examples of the protocol page, worked through with this crate, so that the page stays true to the byte.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use md5::{Digest, Md5};
use takedown::domain::reply::{Answer, Claim, ItemMatch};
use takedown::domain::secret::Secret;
use takedown::gateway::http::{Endpoint, HttpAnswer, HttpRequest};
use takedown::gateway::mapi::Method;
use takedown::gateway::open_platform::v3::request::Stamp;
use takedown::gateway::open_platform::v3::response::signed_bytes;
use takedown::gateway::open_platform::{CertificateNumbers, GatewayKeys, OpenPlatformAccount, Protocol, v3};
use takedown::gateway::{mapi, open_platform};
use takedown::signing::canonical::{Params, SignTypeField, canonical};
use takedown::signing::charset::Charset;
use takedown::signing::content::ContentKey;
use takedown::signing::{DsaFormat, SignType, Signer, Verifier};

use crate::vectors::{accounts, key};

const PAGE: &str = include_str!("../../src/gateway/protocol.md");

/// Key of the MD5 examples, shared by both sides.
const MD5_SECRET: &str = "mapi_md5_key";

/// One example: its heading, and its blocks by the line in front of each.
struct Example {
    title: String,
    blocks: Vec<(String, String)>,
}

impl Example {
    /// Finds the one block whose line begins by a word.
    fn find(&self, word: &str) -> Option<&(String, String)> {
        let mut found = self.blocks.iter().filter(|(label, _)| label.trim_start_matches('`').starts_with(word));
        let first = found.next();
        assert!(found.next().is_none(), "{}: {word} twice", self.title);
        first
    }

    fn block(&self, word: &str) -> &str {
        &self.find(word).unwrap_or_else(|| panic!("{}: no {word}", self.title)).1
    }

    /// Holds a block to what it must be.
    fn expect(&self, word: &str, expected: &str) {
        assert_eq!(self.block(word), expected, "{}: {word}", self.title);
    }

    /// The key a block's line names between backticks; MD5 has but one.
    fn key(&self, word: &str) -> &str {
        if self.sign_type() == SignType::Md5 {
            return MD5_SECRET;
        }
        self.find(word).and_then(|(label, _)| label.split('`').nth(1)).unwrap()
    }

    fn charset(&self) -> Charset {
        if self.title.contains("GBK") { Charset::Gbk } else { Charset::Utf8 }
    }

    fn encoded(&self, text: &str) -> Vec<u8> {
        self.charset().encode(text).unwrap()
    }

    fn sign_type(&self) -> SignType {
        let has = |name: &str| self.title.split([' ', ',']).any(|word| word == name);
        match () {
            () if has("MD5") || has("notification") => SignType::Md5,
            () if has("DSA") => SignType::Dsa,
            () if has("RSA") => SignType::Rsa,
            () => SignType::Rsa2,
        }
    }

    fn own_key(&self) -> Signer {
        accounts::signer(self.sign_type(), self.key("Signature,"), DsaFormat::Der)
    }

    fn gateway_key(&self) -> Verifier {
        accounts::verifier(self.sign_type(), self.key("Verdict"), DsaFormat::Der)
    }
}

/// Reads every example out of the page.
fn examples() -> Vec<Example> {
    let sections = PAGE.split("\n### Example: ").skip(1);
    sections.map(|section| example(section.split("\n# ").next().unwrap().split("\n## ").next().unwrap())).collect()
}

fn example(section: &str) -> Example {
    let mut lines = section.lines();
    let title = lines.next().unwrap().to_owned();
    let (mut blocks, mut label) = (Vec::new(), String::new());
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push((label.clone(), block.join("\n")));
        } else if !line.is_empty() {
            label = line.to_owned();
        }
    }
    Example { title, blocks }
}

/// Runs over the examples of one kind; their number is held, so that none is passed over.
fn each(kind: impl Fn(&str) -> bool, count: usize, run: impl Fn(&Example)) {
    let found: Vec<_> = examples().into_iter().filter(|example| kind(&example.title)).collect();
    assert_eq!(found.len(), count);
    found.iter().for_each(run);
}

fn is_request(title: &str) -> bool {
    ["mapi, MD5, GET", "mapi, RSA, POST in GBK", "mapi, DSA, GET", "Open Platform, RSA2", "Open Platform, RSA in GBK"]
        .contains(&title)
}

fn params(example: &Example) -> Params {
    let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    example.block("Parameters").lines().map(|line| pair(line).unwrap()).collect()
}

/// A request as the page writes it.
fn written(request: &HttpRequest) -> String {
    match &request.body {
        None => format!("GET {}", request.url),
        Some(body) => format!("POST {}\nContent-Type: {}\n\n{}", request.url, body.content_type, body.text),
    }
}

#[test]
fn every_request_is_signed_and_sent_as_the_page_says() {
    each(is_request, 5, |example| {
        let (params, charset) = (params(example), example.charset());
        let is_mapi = example.title.starts_with("mapi");
        let field = if is_mapi { SignTypeField::Excluded } else { SignTypeField::Included };
        let bytes = canonical(&params, field, charset).unwrap();
        example.expect("Canonical string", &charset.decode(&bytes).unwrap());
        example.expect("Signature,", &example.own_key().sign(&bytes).unwrap());
        if example.sign_type() == SignType::Dsa {
            let raw = accounts::signer(SignType::Dsa, example.key("Signature,"), DsaFormat::Raw);
            example.expect("Signature in the raw form", &raw.sign(&bytes).unwrap());
        }
        let signer = example.own_key();
        let verifier = signer.own_verifier();
        let request = if is_mapi {
            let method = if example.title.contains("POST") { Method::Post } else { Method::Get };
            mapi::request::seal(&accounts::mapi(charset, method, signer, verifier), &params)
        } else {
            let account = accounts::open_platform(charset, signer, GatewayKeys::Single(verifier));
            open_platform::request::seal(&account, &params)
        };
        example.expect("Request", &written(&request.unwrap()));
    });
}

/// Says in the page's words what an answer came to.
fn verdict(answer: &Answer) -> String {
    let claim = match &answer.claim {
        Claim::Success { item: ItemMatch::Same, .. } => "success".to_owned(),
        Claim::Success { item: ItemMatch::Other, .. } => "success of another item".to_owned(),
        Claim::Failure { code, sub_code, message } => {
            let words: Vec<&str> = [code, sub_code, message].into_iter().flatten().map(String::as_str).collect();
            format!("refused: {}", words.join(" "))
        }
        Claim::Unreadable { problem, .. } => format!("unreadable: {problem}"),
    };
    format!("{}, {claim}", answer.signature.as_str())
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start).unwrap().1.split_once(end).unwrap().0
}

fn http_answer(body: Vec<u8>) -> HttpAnswer {
    HttpAnswer { status: 200, headers: HeaderMap::new(), body, retry_after: None }
}

#[test]
fn every_mapi_answer_has_the_signed_bytes_and_the_verdict_of_the_page() {
    each(
        |title| title.starts_with("mapi") && title.contains("answer"),
        3,
        |example| {
            let text = example.block("Answer");
            let sign = between(text, "<sign>", "</sign>");
            assert!(
                example.gateway_key().is_valid(&example.encoded(example.block("Signed bytes")), sign),
                "{}",
                example.title
            );
            let account = accounts::mapi(Charset::Utf8, Method::Get, signer_of_no_use(), example.gateway_key());
            let item = accounts::mapi_item(Some("2011063000011840"));
            let answer = mapi::response::parse(&account, &item, &http_answer(example.encoded(text)));
            example.expect("Verdict", &verdict(&answer));
        },
    );
}

/// Reading answers takes no key of one's own, but an account has one.
fn signer_of_no_use() -> Signer {
    accounts::signer(SignType::Md5, MD5_SECRET, DsaFormat::Der)
}

fn is_open_platform_answer(title: &str) -> bool {
    [
        "Open Platform, RSA2 answer",
        "Open Platform, signed refusal",
        "Open Platform, RSA answer in GBK",
        "certificate numbers",
        "encrypted content",
    ]
    .contains(&title)
}

#[test]
fn every_open_platform_answer_has_the_signed_bytes_and_the_verdict_of_the_page() {
    each(is_open_platform_answer, 5, |example| {
        let text = example.block("Answer");
        let (head, sign) = text.split_once("\"sign\":\"").unwrap();
        let is_encrypted = example.title == "encrypted content";
        let signed = if is_encrypted {
            format!("\"{}\"", between(text, ":\"", "\""))
        } else {
            example.block("Signed bytes").to_owned()
        };
        assert!(head.contains(&signed), "{}", example.title);
        assert!(
            example.gateway_key().is_valid(&example.encoded(&signed), sign.trim_end_matches("\"}")),
            "{}",
            example.title
        );

        let keys = match text.split_once("\"alipay_cert_sn\":\"") {
            Some((_, number)) => {
                GatewayKeys::ByCertificate(BTreeMap::from([(number[..32].to_owned(), example.gateway_key())]))
            }
            None => GatewayKeys::Single(example.gateway_key()),
        };
        let mut account = accounts::open_platform(example.charset(), signer_of_no_use(), keys);
        account.content_key = is_encrypted.then(content_key);
        let item = accounts::open_platform_item();
        let answer = open_platform::response::parse(&account, &item, &http_answer(example.encoded(text)));
        example.expect("Verdict", &verdict(&answer));
    });
}

fn content_key() -> ContentKey {
    ContentKey::load(&key("openapi_aes_key", "base64")).unwrap()
}

#[test]
fn content_is_encrypted_both_ways_as_the_page_says() {
    each(
        |title| title == "encrypted content",
        1,
        |example| {
            assert_eq!(example.key("biz_content"), "biz_content");
            example.expect("biz_content", &content_key().encrypt(example.block("Content").as_bytes()).unwrap());
            let cipher = between(example.block("Answer"), ":\"", "\"");
            example.expect("Decrypted", &String::from_utf8(content_key().decrypt(cipher).unwrap()).unwrap());
            assert!(PAGE.contains(&format!("by the key `{}`", key("openapi_aes_key", "base64"))));
        },
    );
}

#[test]
fn a_certificates_number_is_the_digest_of_what_the_page_says() {
    each(
        |title| title == "certificate numbers",
        1,
        |example| {
            let digest = Md5::digest(example.block("Issuer"));
            example.expect("Number", &digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
            assert!(example.block("Answer").contains(example.block("Number")));
        },
    );
}

fn v3_account(signer: Signer, keys: GatewayKeys) -> OpenPlatformAccount {
    let endpoint = Endpoint::new(&format!("https://openapi.alipay.com{}", v3::PATH)).unwrap();
    OpenPlatformAccount { endpoint, protocol: Protocol::V3, ..accounts::open_platform(Charset::Utf8, signer, keys) }
}

#[test]
fn every_v3_request_is_signed_and_sent_as_the_page_says() {
    each(
        |title| title.starts_with("v3 request"),
        2,
        |example| {
            let (text, request) = (example.block("Signed text"), example.block("Request"));
            let auth = text.lines().next().unwrap();
            let named = |name: &str| Some(auth.split_once(name)?.1.split(',').next().unwrap().to_owned());
            let header = |name: &str| request.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
            let signer = example.own_key();
            example.expect("Signature,", &signer.sign(format!("{text}\n").as_bytes()).unwrap());

            let keys = GatewayKeys::Single(signer.own_verifier());
            let mut account = v3_account(signer, keys);
            account.certificates = named("app_cert_sn=")
                .map(|app| CertificateNumbers { app, root: header("alipay-root-cert-sn").unwrap().to_owned() });
            account.content_key = example.title.contains("encryption").then(content_key);
            let mut item = accounts::open_platform_item();
            item.app_auth_token = header("alipay-app-auth-token").map(Secret::new);
            let stamp = Stamp {
                now: SystemTime::UNIX_EPOCH + Duration::from_millis(named("timestamp=").unwrap().parse().unwrap()),
                nonce: named("nonce=").unwrap(),
                request_id: header("alipay-request-id").unwrap().to_owned(),
            };
            let built = v3::request::build(&account, &item, &stamp).unwrap();
            let body = built.body.as_ref().unwrap();
            let headers: String = built.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
            let written = format!("POST {}\n{headers}content-type: {}\n\n{}", built.url, body.content_type, body.text);
            example.expect("Request", &written);
            assert!(header("authorization").unwrap().ends_with(&format!(",sign={}", example.block("Signature,"))));
        },
    );
}

#[test]
fn every_v3_answer_has_the_signed_text_and_the_verdict_of_the_page() {
    each(
        |title| ["v3 answer", "v3 error"].contains(&title),
        2,
        |example| {
            let (head, body) = example.block("Answer").split_once("\n\n").unwrap();
            let (status, headers) = head.split_once('\n').unwrap();
            let parsed = headers.lines().map(|line| {
                let (name, value) = line.split_once(": ").unwrap();
                (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap())
            });
            let headers: HeaderMap = parsed.collect();
            let [timestamp, nonce] = ["alipay-timestamp", "alipay-nonce"].map(|name| headers[name].as_bytes());
            let signed = signed_bytes(timestamp, nonce, body.as_bytes());
            example.expect("Signed text", std::str::from_utf8(&signed).unwrap().strip_suffix('\n').unwrap());
            let status = status.split(' ').nth(1).unwrap().parse().unwrap();
            let answer = HttpAnswer { status, headers, ..http_answer(body.as_bytes().to_vec()) };
            let account = v3_account(signer_of_no_use(), GatewayKeys::Single(example.gateway_key()));
            let answer = v3::response::parse(&account, &accounts::open_platform_item(), &answer);
            example.expect("Verdict", &verdict(&answer));
        },
    );
}

#[test]
fn the_notification_is_signed_as_the_page_says() {
    each(
        |title| title == "notification",
        1,
        |example| {
            let fields: Params = url::form_urlencoded::parse(example.block("Form").as_bytes()).into_owned().collect();
            let bytes = canonical(&fields, SignTypeField::Excluded, Charset::Utf8).unwrap();
            example.expect("Canonical string", std::str::from_utf8(&bytes).unwrap());
            example.expect("Signature,", &example.own_key().sign(&bytes).unwrap());
            let sign = &fields.iter().find(|(name, _)| name == "sign").unwrap().1;
            assert!(example.own_key().own_verifier().is_valid(&bytes, sign));
        },
    );
}

#[test]
fn the_page_prints_the_keys_it_names_and_no_example_is_left_out() {
    assert_eq!(examples().len(), 5 + 3 + 5 + 2 + 2 + 1);
    let keys = example(PAGE.split_once("\n# Keys of the examples").unwrap().1);
    assert_eq!(keys.blocks.len(), 6);
    for (label, block) in &keys.blocks {
        let name = label.split('`').nth(1).unwrap();
        let form = if label.contains("private") { "private_pkcs8_pem" } else { "public_spki_pem" };
        assert_eq!(block, key(name, form).trim(), "{label}");
    }
    assert!(PAGE.contains(&key(MD5_SECRET, "value")));
}
