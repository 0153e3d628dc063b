//! What each fault does on a real socket, and to the item.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use takedown::sandbox::faults::Faults;
use takedown::sandbox::{ItemState, SILENCE};
use takedown::signing::charset::Charset;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Answer, Caller, GOODS, PLUG_IN, mapi_fields, mapi_query, open_platform_fields, settings};

const DEADLINE: Duration = Duration::from_secs(10);

async fn caller(fault: &str) -> Caller {
    Caller::start(settings(&format!("{{\"fault\":\"{fault}\"}}"))).await
}

/// One call to each gateway, each meeting the fault.
async fn both(fault: &str) -> (Answer, Answer, Caller) {
    let line = format!("{{\"fault\":\"{fault}\"}}\n");
    let caller = Caller::start(settings(&line.repeat(2))).await;
    (caller.mapi(mapi_fields()).await, caller.open_platform(open_platform_fields()).await, caller)
}

fn states(caller: &Caller) -> [ItemState; 2] {
    [caller.sandbox.item(GOODS), caller.sandbox.item(PLUG_IN)]
}

/// Waits until a request has been taken note of, which is before it is answered.
async fn arrived(caller: &Caller) {
    let arrived = async {
        while caller.sandbox.seen().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, arrived).await.unwrap();
}

/// Sends one mapi request on a bare socket and reads until the connection ends.
async fn until_the_end(caller: &Caller) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(caller.sandbox.address()).await?;
    let query = mapi_query(mapi_fields());
    let request = format!("GET /cooperate/gateway.do?{query} HTTP/1.1\r\nhost: sandbox\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn a_reset_is_read_as_connection_reset_and_takes_effect_as_said() {
    for (fault, after) in [("reset:taken", ItemState::OffSale), ("reset:not_taken", ItemState::OnSale)] {
        let caller = caller(fault).await;
        let error = tokio::time::timeout(DEADLINE, until_the_end(&caller)).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{fault}");
        assert_eq!(caller.sandbox.item(GOODS), after, "{fault}");
        let seen = caller.sandbox.seen().remove(0);
        assert_eq!((seen.fault.as_deref(), seen.answered.as_str()), (Some(fault), ""));
        assert_eq!(seen.took_effect, after == ItemState::OffSale);
    }
}

#[tokio::test]
async fn a_reset_breaks_an_open_platform_call_too() {
    let caller = caller("reset:taken").await;
    let error = caller.send(caller.open_platform_request(open_platform_fields())).await.unwrap_err();
    assert!(!error.is_timeout() && !error.is_connect(), "{error:?}");
    assert_eq!(caller.sandbox.item(PLUG_IN), ItemState::OffSale);
}

#[tokio::test]
async fn a_timeout_keeps_the_caller_waiting_and_takes_effect_as_said() {
    for (fault, after) in [("timeout:taken", ItemState::OffSale), ("timeout:not_taken", ItemState::OnSale)] {
        let caller = caller(fault).await;
        let answer = caller.send(caller.mapi_request(mapi_fields()));
        let waiting = tokio::select! {
            answer = answer => panic!("{fault}: {answer:?}"),
            () = arrived(&caller) => caller.sandbox.seen(),
        };
        assert_eq!(waiting[0].answered, "", "{fault}");
        assert_eq!(caller.sandbox.item(GOODS), after, "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_closed_in_the_end() {
    let caller = caller("timeout:taken").await;
    let begin = tokio::time::Instant::now();
    assert_eq!(until_the_end(&caller).await.unwrap(), b"");
    assert!(begin.elapsed() >= SILENCE);
}

#[tokio::test]
async fn a_system_error_takes_effect_as_said() {
    for (fault, after) in [("system_error:taken", ItemState::OffSale), ("system_error:not_taken", ItemState::OnSale)] {
        let (mapi, open_platform, caller) = both(fault).await;
        assert_eq!((mapi.mapi_code(), open_platform.sub_code()), ("SYSTEM_ERROR", "SYSTEM_ERROR"));
        assert_eq!(states(&caller), [after; 2], "{fault}");
    }
}

#[tokio::test]
async fn garbage_is_no_document_of_either_gateway() {
    let (mapi, open_platform, caller) = both("garbage").await;
    for answer in [mapi, open_platform] {
        assert_eq!(answer.status, 200);
        assert!(serde_json::from_slice::<serde_json::Value>(&answer.body).is_err());
        assert!(std::str::from_utf8(&answer.body).is_err() && !answer.has("</alipay>"), "{answer:?}");
    }
    assert_eq!(states(&caller), [ItemState::OffSale; 2]);
}

#[tokio::test]
async fn an_unsigned_success_bears_no_signature() {
    let (mapi, open_platform, caller) = both("unsigned_success").await;
    assert_eq!((mapi.mapi_code(), mapi.has("<sign>")), ("T", false));
    assert_eq!((open_platform.sub_code(), open_platform.has("\"sign\"")), ("10000", false));
    assert_eq!(states(&caller), [ItemState::OffSale; 2]);
}

#[tokio::test]
async fn a_bad_signature_does_not_verify() {
    let (mapi, open_platform, caller) = both("bad_signature").await;
    assert!(mapi.mapi_code() == "T" && !mapi.is_signed_by_mapi());
    assert!(open_platform.sub_code() == "10000" && !open_platform.is_signed_by_open_platform());
    assert_eq!(states(&caller), [ItemState::OffSale; 2]);
}

#[tokio::test]
async fn throttling_is_a_status_on_mapi_and_a_code_on_the_open_platform() {
    let (mapi, open_platform, caller) = both("throttled").await;
    assert_eq!(mapi.status, 429);
    assert_eq!((open_platform.status, open_platform.sub_code()), (200, "isv.app-call-limited"));
    assert!(open_platform.has("\"code\":\"40005\"") && open_platform.is_signed_by_open_platform());
    assert_eq!(states(&caller), [ItemState::OnSale; 2]);
}

#[tokio::test]
async fn a_gbk_answer_is_gbk_though_utf8_was_asked() {
    let (mapi, open_platform, _caller) = both("gbk").await;
    assert_eq!((mapi.content_type.as_str(), mapi.mapi_code()), ("text/xml;charset=gbk", "T"));
    assert!(mapi.is_signed_by_mapi() && Charset::Gbk.decode(&mapi.body).unwrap().contains("假冒货"), "{mapi:?}");
    assert_eq!((open_platform.content_type.as_str(), open_platform.sub_code()), ("text/html;charset=gbk", "10000"));
    assert!(open_platform.is_signed_by_open_platform());
}

#[tokio::test]
async fn latency_delays_one_answer() {
    let caller = caller("latency:300ms").await;
    let begin = Instant::now();
    assert_eq!(caller.mapi(mapi_fields()).await.mapi_code(), "T");
    assert!(begin.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn made_up_refusals_leave_the_item_alone() {
    let (mapi, open_platform, caller) = both("unlisted_code").await;
    assert_eq!((mapi.mapi_code(), open_platform.sub_code()), ("SANDBOX_UNLISTED", "SANDBOX_UNLISTED"));
    assert_eq!(states(&caller), [ItemState::OnSale; 2]);
    let (mapi, open_platform, caller) = both("illegal_sign").await;
    assert_eq!((mapi.mapi_code(), open_platform.sub_code()), ("ILLEGAL_SIGN", "isv.invalid-signature"));
    assert!(open_platform.is_signed_by_open_platform());
    assert_eq!(states(&caller), [ItemState::OnSale; 2]);
}

#[tokio::test]
async fn faults_can_be_changed_while_it_runs() {
    let caller = caller("garbage").await;
    caller.sandbox.set_faults(Faults::default());
    assert_eq!(caller.mapi(mapi_fields()).await.mapi_code(), "T");
    caller.sandbox.set_faults(Faults::parse(["unlisted_code=1"], "").unwrap());
    assert_eq!(caller.mapi(mapi_fields()).await.mapi_code(), "SANDBOX_UNLISTED");
}

#[tokio::test]
async fn stopping_cuts_silent_connections_at_once_and_frees_the_port() {
    let caller = caller("timeout:not_taken").await;
    let address = caller.sandbox.address();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let query = mapi_query(mapi_fields());
    let request = format!("GET /cooperate/gateway.do?{query} HTTP/1.1\r\nhost: sandbox\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    arrived(&caller).await;
    tokio::time::timeout(DEADLINE, caller.sandbox.stop()).await.unwrap();
    let mut rest = Vec::new();
    // Closed or reset, but ended.
    let ended = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut rest)).await.unwrap();
    assert!(matches!(ended, Ok(0)) || ended.is_err());
    assert_eq!(TcpStream::connect(address).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}
