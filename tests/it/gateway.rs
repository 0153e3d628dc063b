//! Gateway calls over real sockets: what broke, whether it may have been sent, and that nothing is ever sent twice.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use takedown::domain::classify::{Effect, History, Outcome, Redelivery, classify};
use takedown::domain::codes::{Certainty, Scope};
use takedown::domain::ids::MerchantId;
use takedown::domain::outcome::Reason;
use takedown::domain::reply::{BrokenCall, Claim, ItemMatch, Reply, Signature};
use takedown::domain::secret::Secret;
use takedown::domain::takedown::{Gateway, Item, MapiItem, OpenPlatformItem};
use takedown::gateway::GatewayAccount;
use takedown::gateway::http::{Endpoint, HttpClient, HttpSettings};
use takedown::gateway::mapi::{GoodsIdField, MapiAccount, Method};
use takedown::gateway::open_platform::{GatewayKeys, OpenPlatformAccount, Protocol, v3};
use takedown::signing::charset::Charset;
use takedown::signing::generate::key_pair;
use takedown::signing::{DsaFormat, SignType, Signer, Verifier};

use crate::support::peer::{Peer, Step};

const SECRET: &str = "t3stk3yt3stk3yt3stk3yt3stk3y0001";
const GOODS: &str = "2011063000011840";
const CLEAN: History = History { effect: Effect::None, redelivery: Redelivery::First, replays: 0 };

fn md5() -> (Signer, Verifier) {
    let signer = Signer::load(SignType::Md5, SECRET, DsaFormat::Der).unwrap();
    let verifier = signer.own_verifier();
    (signer, verifier)
}

fn mapi(url: &str, method: Method) -> GatewayAccount {
    let (signer, verifier) = md5();
    GatewayAccount::Mapi(MapiAccount {
        endpoint: Endpoint::new(url).unwrap(),
        partner: "2088002464631181".to_owned(),
        charset: Charset::Utf8,
        method,
        goods_id: GoodsIdField::Sent,
        signer,
        verifier,
    })
}

fn open_platform(url: &str, signer: Signer, gateway: Verifier) -> OpenPlatformAccount {
    OpenPlatformAccount {
        endpoint: Endpoint::new(url).unwrap(),
        protocol: Protocol::V1,
        app_id: "2014072300007148".to_owned(),
        charset: Charset::Utf8,
        signer,
        keys: GatewayKeys::Single(gateway),
        merchants: BTreeMap::new(),
        content_key: None,
        certificates: None,
    }
}

fn goods() -> Item {
    Item::Mapi(MapiItem {
        sns_user_id: "desk".to_owned(),
        key: Secret::new("2011041704C579B6A4F446E7AA4421BC4CD218D7"),
        close_reason: Some("假冒货".to_owned()),
        goods_id: Some(GOODS.to_owned()),
    })
}

fn plug_in() -> Item {
    Item::OpenPlatform(OpenPlatformItem {
        commodity_id: "20160010200000000033400".to_owned(),
        shop_id: "2015052000077000000000182140".to_owned(),
        merchant: None,
        app_auth_token: None,
    })
}

fn client() -> HttpClient {
    HttpClient::for_loopback(&HttpSettings::default()).unwrap()
}

/// A client that gives up soon, for peers that never answer; a busy machine has the time to connect and write all the
/// same.
fn hasty() -> HttpClient {
    let total_timeout = Duration::from_millis(1500);
    HttpClient::for_loopback(&HttpSettings { total_timeout, ..HttpSettings::default() }).unwrap()
}

/// A client that gives up connecting long before it gives up the call.
fn hasty_to_connect() -> HttpClient {
    let connect_timeout = Duration::from_millis(300);
    HttpClient::for_loopback(&HttpSettings { connect_timeout, ..HttpSettings::default() }).unwrap()
}

fn url(peer: &Peer) -> String {
    format!("http://{}/cooperate/gateway.do", peer.address)
}

async fn call(peer: &Peer, client: &HttpClient) -> Reply {
    mapi(&url(peer), Method::Get).call(client, &goods(), SystemTime::now()).await
}

fn write(text: &str) -> Step {
    Step::Write(text.as_bytes().to_vec())
}

fn ok(body: &str) -> Step {
    write(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
}

fn bytes(step: Step) -> Vec<u8> {
    match step {
        Step::Write(bytes) => bytes,
        Step::Read | Step::Stall | Step::Reset => Vec::new(),
    }
}

fn success() -> Step {
    let sign = md5().0.sign(format!("goods_id={GOODS}").as_bytes()).unwrap();
    ok(&format!(
        "<alipay><is_success>T</is_success><response><goods><goods_id>{GOODS}</goods_id></goods></response>\
         <sign>{sign}</sign><sign_type>MD5</sign_type></alipay>"
    ))
}

#[tokio::test]
async fn a_signed_success_of_mapi_is_a_success() {
    let peer = Peer::start(vec![vec![Step::Read, success()]]).await;
    let reply = call(&peer, &client()).await;
    assert_eq!(classify(Gateway::Mapi, &reply, CLEAN), Outcome::Success(Reason::TakenDown), "{reply:?}");
    let Reply::Answered(answer) = reply else { panic!("{reply:?}") };
    let claim = Claim::Success { goods_id: Some(GOODS.to_owned()), item: ItemMatch::Same };
    assert_eq!((answer.http_status, answer.signature, answer.claim), (200, Signature::Valid, claim));
    let request = &peer.requests()[0];
    assert!(request.starts_with("GET /cooperate/gateway.do?_input_charset=utf-8&close_reason=%E5%81%87"), "{request}");
}

#[tokio::test]
async fn a_post_carries_the_charset_in_the_query_and_the_rest_in_the_body() {
    let peer = Peer::start(vec![vec![Step::Read, success()]]).await;
    let reply = mapi(&url(&peer), Method::Post).call(&client(), &goods(), SystemTime::now()).await;
    assert!(reply.is_verified(), "{reply:?}");
    let request = &peer.requests()[0];
    assert!(request.starts_with("POST /cooperate/gateway.do?_input_charset=utf-8 HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("content-type: application/x-www-form-urlencoded;charset=utf-8\r\n"), "{request}");
    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(body.contains("goods_id=2011063000011840&") && body.ends_with("&sign_type=MD5"), "{body}");
}

#[tokio::test]
async fn a_signed_success_of_the_open_platform_is_a_success() {
    let pair = key_pair(SignType::Rsa2).unwrap();
    let signer = || Signer::load(SignType::Rsa2, pair.private.expose(), DsaFormat::Der).unwrap();
    let node = r#"{"code":"10000","msg":"Success"}"#;
    let sign = signer().sign(node.as_bytes()).unwrap();
    let body = format!(r#"{{"alipay_open_servicemarket_commodity_shop_offline_response":{node},"sign":"{sign}"}}"#);
    let peer = Peer::start(vec![vec![Step::Read, ok(&body)]]).await;
    let account = GatewayAccount::OpenPlatform(open_platform(&url(&peer), signer(), signer().own_verifier()));
    let reply = account.call(&client(), &plug_in(), SystemTime::now()).await;
    assert_eq!(classify(Gateway::OpenPlatform, &reply, CLEAN), Outcome::Success(Reason::TakenDown), "{reply:?}");
    assert!(peer.requests()[0].starts_with("POST /cooperate/gateway.do?app_id=2014072300007148&charset=utf-8&"));
}

#[tokio::test]
async fn a_call_by_v3_sends_each_header_once_and_reads_the_answers() {
    let pair = key_pair(SignType::Rsa2).unwrap();
    let signer = || Signer::load(SignType::Rsa2, pair.private.expose(), DsaFormat::Der).unwrap();
    let sign = signer().sign(b"1\n2\n{}\n").unwrap();
    let answer = write(&format!(
        "HTTP/1.1 200 OK\r\nAlipay-Timestamp: 1\r\nalipay-nonce: 2\r\nalipay-signature: {sign}\r\n\
         content-length: 2\r\n\r\n{{}}"
    ));
    let peer = Peer::start(vec![vec![Step::Read, answer]]).await;
    let endpoint = Endpoint::new(&format!("http://{}{}", peer.address, v3::PATH)).unwrap();
    let account = open_platform(&url(&peer), signer(), signer().own_verifier());
    let account = OpenPlatformAccount { protocol: Protocol::V3, endpoint, ..account };
    let reply = GatewayAccount::OpenPlatform(account).call(&client(), &plug_in(), SystemTime::now()).await;
    assert_eq!(classify(Gateway::OpenPlatform, &reply, CLEAN), Outcome::Success(Reason::TakenDown), "{reply:?}");
    let request = &peer.requests()[0];
    assert!(request.starts_with(&format!("POST {} HTTP/1.1\r\n", v3::PATH)), "{request}");
    for header in ["accept: application/json", "authorization: ALIPAY-SHA256withRSA app_id=", "alipay-request-id: "] {
        let name = header.split(' ').next().unwrap();
        assert_eq!((request.matches(name).count(), request.matches(header).count()), (1, 1), "{name} in {request}");
    }
    assert!(request.contains("content-type: application/json\r\n") && !request.contains("alipay-app-auth-token"));
}

#[tokio::test]
async fn a_refused_connection_is_not_sent() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let reply = mapi(&url, Method::Get).call(&client(), &goods(), SystemTime::now()).await;
    assert_eq!(reply, Reply::NotSent(BrokenCall::Connect));
}

#[tokio::test]
async fn a_reset_before_anything_was_read_is_never_taken_for_an_answer() {
    let peer = Peer::start(vec![vec![Step::Reset]]).await;
    let reply = call(&peer, &client()).await;
    // Which of the two depends on whether the reset came before the request was taken up.
    assert!(matches!(reply, Reply::NotSent(BrokenCall::Reset) | Reply::MaybeSent(BrokenCall::Reset)), "{reply:?}");
    assert_eq!((peer.accepts(), peer.requests().len()), (1, 0));
}

#[tokio::test]
async fn a_connection_reset_or_closed_after_reading_is_maybe_sent_and_sent_once() {
    for end in [vec![Step::Read, Step::Reset], vec![Step::Read]] {
        let peer = Peer::start(vec![end, vec![Step::Read, success()]]).await;
        assert_eq!(call(&peer, &client()).await, Reply::MaybeSent(BrokenCall::Reset));
        assert_eq!((peer.accepts(), peer.requests().len()), (1, 1));
    }
}

#[tokio::test]
async fn a_peer_that_never_answers_is_maybe_sent() {
    let peer = Peer::start(vec![vec![Step::Read, Step::Stall]]).await;
    assert_eq!(call(&peer, &hasty()).await, Reply::MaybeSent(BrokenCall::Timeout));
    assert_eq!(peer.requests().len(), 1);
}

#[tokio::test]
async fn an_answer_that_stops_halfway_is_maybe_sent() {
    let half = write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n<alipay>");
    let stalled = Peer::start(vec![vec![Step::Read, half.clone(), Step::Stall]]).await;
    assert_eq!(call(&stalled, &hasty()).await, Reply::MaybeSent(BrokenCall::Timeout));
    let closed = Peer::start(vec![vec![Step::Read, half]]).await;
    assert_eq!(call(&closed, &client()).await, Reply::MaybeSent(BrokenCall::Reset));
}

#[tokio::test]
async fn what_is_not_http_is_maybe_sent() {
    let peer = Peer::start(vec![vec![Step::Read, write("220 mail.example ESMTP\r\n\r\n")]]).await;
    assert_eq!(call(&peer, &client()).await, Reply::MaybeSent(BrokenCall::Protocol));
}

#[tokio::test]
async fn a_body_beyond_the_cap_is_not_read_to_its_end() {
    let announced = write("HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n");
    let chunk = format!("258\r\n{}\r\n", "x".repeat(600));
    let endless = write(&format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunk}{chunk}"));
    let client = HttpClient::for_loopback(&HttpSettings { max_body_bytes: 1000, ..HttpSettings::default() }).unwrap();
    for answer in [announced, endless] {
        let peer = Peer::start(vec![vec![Step::Read, answer, Step::Stall]]).await;
        assert_eq!(call(&peer, &client).await, Reply::MaybeSent(BrokenCall::BodyTooLarge));
    }
}

/// Nothing but the connection wakes a call, and it has to be woken for each piece.
#[tokio::test]
async fn an_answer_of_any_size_in_any_pieces_is_read_whole() {
    let body = "x".repeat(900_000);
    let whole = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let mut chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
    for chunk in body.as_bytes().chunks(1000) {
        chunked += &format!("{:x}\r\n{}\r\n", chunk.len(), str::from_utf8(chunk).unwrap());
    }
    chunked += "0\r\n\r\n";
    for text in [whole, chunked] {
        for size in [100, 7_001, 100_003, text.len()] {
            let pieces = text.as_bytes().chunks(size).map(|piece| Step::Write(piece.to_vec()));
            let steps = [Step::Read].into_iter().chain(pieces).chain([Step::Read, success(), Step::Stall]).collect();
            let (peer, client) = (Peer::start(vec![steps]).await, client());
            let Reply::Answered(answer) = call(&peer, &client).await else { panic!("no answer in pieces of {size}") };
            assert_eq!(answer.http_status, 200);
            assert!(call(&peer, &client).await.is_verified());
            assert_eq!(peer.accepts(), 1);
        }
    }
}

/// It would be told of another item than the one it is about.
#[tokio::test]
async fn what_follows_an_answer_is_never_taken_for_the_next_ones() {
    let twice = Step::Write([success(), success()].map(bytes).concat());
    let peer =
        Peer::start(vec![vec![Step::Read, twice, Step::Stall], vec![Step::Read, ok("other"), Step::Stall]]).await;
    let client = client();
    assert!(call(&peer, &client).await.is_verified());
    assert!(!call(&peer, &client).await.is_verified());
    assert_eq!((peer.accepts(), peer.requests().len()), (2, 2));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let other = Peer::start(vec![vec![Step::Read, success()]]).await;
    let redirect =
        write(&format!("HTTP/1.1 302 Found\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n", other.address));
    let peer = Peer::start(vec![vec![Step::Read, redirect]]).await;
    let reply = call(&peer, &client()).await;
    let expected = Outcome::AccountFault(Scope::App, Certainty::Doubtful);
    assert_eq!(classify(Gateway::Mapi, &reply, CLEAN), expected, "{reply:?}");
    assert_eq!(other.accepts(), 0);
}

#[tokio::test]
async fn a_429_carries_its_retry_after() {
    let busy = write("HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\ncontent-length: 4\r\n\r\nbusy");
    let peer = Peer::start(vec![vec![Step::Read, busy]]).await;
    let Reply::Answered(answer) = call(&peer, &client()).await else { panic!("no answer") };
    assert_eq!((answer.http_status, answer.retry_after), (429, Some(Duration::from_secs(7))));
}

#[tokio::test]
async fn one_connection_serves_many_calls() {
    let steps = (0..3).flat_map(|_| [Step::Read, success()]).chain([Step::Stall]).collect();
    let peer = Peer::start(vec![steps]).await;
    let client = client();
    for _ in 0..3 {
        assert!(call(&peer, &client).await.is_verified());
    }
    assert_eq!((peer.accepts(), peer.requests().len()), (1, 3));
}

#[tokio::test]
async fn a_pooled_connection_closed_meanwhile_is_replaced_and_nothing_is_lost_or_doubled() {
    let peer = Peer::start(vec![vec![Step::Read, success()], vec![Step::Read, success(), Step::Stall]]).await;
    let client = client();
    assert!(call(&peer, &client).await.is_verified());
    peer.closed().await;
    // Has the runtime look at its sockets.
    tokio::task::yield_now().await;
    assert!(call(&peer, &client).await.is_verified());
    assert_eq!((peer.accepts(), peer.requests().len()), (2, 2));
}

#[tokio::test]
async fn a_request_written_into_a_dying_pooled_connection_is_maybe_sent_and_never_repeated() {
    for end in [Some(Step::Reset), None] {
        let dying = [Step::Read, success(), Step::Read].into_iter().chain(end).collect();
        let peer = Peer::start(vec![dying, vec![Step::Read, success()]]).await;
        let client = client();
        assert!(call(&peer, &client).await.is_verified());
        assert_eq!(call(&peer, &client).await, Reply::MaybeSent(BrokenCall::Reset));
        assert_eq!((peer.accepts(), peer.requests().len()), (1, 2));
    }
}

#[tokio::test]
async fn a_handshake_that_fails_is_not_sent() {
    let plain = Peer::start(vec![vec![write("HTTP/1.1 400 Bad Request\r\n\r\n"), Step::Stall]]).await;
    let call = |peer: &Peer, client: HttpClient| {
        let account = mapi(&format!("https://{}/", peer.address), Method::Get);
        async move { account.call(&client, &goods(), SystemTime::now()).await }
    };
    assert_eq!(call(&plain, client()).await, Reply::NotSent(BrokenCall::Tls));
    let closing = Peer::start(Vec::new()).await;
    assert_eq!(call(&closing, client()).await, Reply::NotSent(BrokenCall::Tls));
    let silent = Peer::start(vec![vec![Step::Stall]]).await;
    assert_eq!(call(&silent, hasty_to_connect()).await, Reply::NotSent(BrokenCall::ConnectTimeout));
}

#[tokio::test]
async fn what_cannot_be_asked_is_not_asked() {
    let peer = Peer::start(Vec::new()).await;
    let (signer, verifier) = md5();
    let mut account = open_platform(&url(&peer), signer, verifier);
    account.charset = Charset::Gbk;
    let item = |commodity_id: &str, merchant: Option<&str>| {
        Item::OpenPlatform(OpenPlatformItem {
            commodity_id: commodity_id.to_owned(),
            shop_id: "1".to_owned(),
            merchant: merchant.map(|name| MerchantId::new(name).unwrap()),
            app_auth_token: None,
        })
    };
    let account = GatewayAccount::OpenPlatform(account);
    let ask = async |item: &Item| account.call(&client(), item, SystemTime::now()).await;
    let no_token = ask(&item("1", Some("m-1"))).await;
    assert_eq!(no_token, Reply::NoToken { merchant: "m-1".to_owned() });
    let not_encodable = ask(&item("€", None)).await;
    assert_eq!(not_encodable, Reply::NotEncodable { field: "biz_content".to_owned(), character: '€' });
    assert_eq!(ask(&goods()).await, Reply::NotSent(BrokenCall::Protocol));
    assert_eq!(peer.accepts(), 0);
}

#[test]
fn ones_own_key_in_the_place_of_the_gateways_is_found() {
    let pairs = [key_pair(SignType::Rsa2).unwrap(), key_pair(SignType::Rsa2).unwrap()];
    let [own, other] = pairs.each_ref().map(|pair| {
        let signer = Signer::load(SignType::Rsa2, pair.private.expose(), DsaFormat::Der).unwrap();
        let verifier = signer.own_verifier();
        (signer, verifier)
    });
    let mut account = open_platform("https://openapi.alipay.com/gateway.do", own.0, other.1);
    let findings = |account: OpenPlatformAccount| {
        let account = GatewayAccount::OpenPlatform(account);
        let found = account.key_findings();
        let GatewayAccount::OpenPlatform(account) = account else { unreachable!() };
        (found, account)
    };
    let (none, back) = findings(account);
    assert_eq!(none, Vec::new());
    account = back;
    account.keys = GatewayKeys::ByCertificate(BTreeMap::from([("00".to_owned(), own.1)]));
    let (found, _) = findings(account);
    assert_eq!(found.len(), 1);
    assert!(found[0].problem.contains("public half of the account's own key"), "{found:?}");
    assert!(found[0].remedy.contains("the platform's public key"), "{found:?}");
}

#[test]
fn a_shared_md5_secret_is_no_finding() {
    assert_eq!(mapi("https://www.alipay.com/cooperate/gateway.do", Method::Get).key_findings(), Vec::new());
}
