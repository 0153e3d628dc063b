//! Every form a request is pasted in comes to the same parameters.

use super::*;

fn shown(text: &str) -> String {
    let pasted = Pasted::read(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
    let fields = pasted.fields();
    let fields = fields.iter().map(|field| {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        format!("{}:{}={}", &field.place.as_str()[..1], text(&field.name), text(&field.value))
    });
    format!("{} {} {}", pasted.method, pasted.path, fields.collect::<Vec<_>>().join(" "))
}

#[test]
fn every_form_is_read() {
    let url = "https://g.example/gateway.do";
    let both = "POST https://g.example/gateway.do q:a=1 2 q:b=下 b:c={\"x\":1}";
    for text in [
        format!("curl '{url}?a=1+2&b=%E4%B8%8B' -d 'c=%7B%22x%22%3A1%7D'"),
        format!("curl -sS -XPOST \"{url}?a=1%202&b=%e4%b8%8b\" \\\n  -H 'A: b' --data-raw 'c={{\"x\":1}}' | jq ."),
        format!("$ /usr/bin/curl --url {url}?a=1+2\\&b=%E4%B8%8B --data=c=$'{{\"x\"\\x3a1}}' --compressed"),
        format!("POST {url}?a=1+2&b=%E4%B8%8B HTTP/1.1\r\nHost: g\r\n\r\nc=%7B%22x%22:1%7D\r\n"),
        format!("POST {url}?a=1+2&b=%E4%B8%8B\nContent-Length: 9\n\nc={{\"x\":1}}\n\n\n"),
        format!("{url}?a=1+2&b=%E4%B8%8B\nc=%7B%22x%22%3A1%7D\n"),
    ] {
        assert_eq!(shown(&text), both, "{text}");
    }
    assert_eq!(shown("curl -G https://g/ -d a=1 --data-urlencode 'b=x y'"), "GET https://g/ q:a=1 q:b=x y");
    for text in ["a=1&b=&sign=x", "?a=1&b=&sign=x\n", "'a=1&b=&sign=x'"] {
        assert_eq!(shown(text), "GET  q:a=1 q:b= q:sign=x", "{text}");
    }
    assert_eq!(shown("/gateway.do?a=1"), "GET /gateway.do q:a=1");
    // As a log shows it, nothing escaped.
    assert_eq!(shown("a=1 2&c={\"x\":1}&sign=s+/=="), "GET  q:a=1 2 q:c={\"x\":1} q:sign=s+/==");
    assert_eq!(shown("POST /x?a=1 HTTP/1.1\nTransfer-Encoding: chunked\n\n3\nb=2\n0\n\n"), "POST /x q:a=1 b:b=2");
    assert_eq!(shown("{\"a\":\"1\",\"c\":{\"x\":1},\"sign\":\"s+\"}"), "POST  q:a=1 q:c={\"x\":1} q:sign=s+");
}

#[test]
fn flags_of_curl_are_told_from_values_byte_by_byte() {
    for text in [
        "curl -so /dev/null -XPUT http://g/ -da=1",
        "curl -sSo/dev/null http://g/ -X PUT -d a=1",
        "curl -m 5 -kX PUT http://g/ --data a=1",
    ] {
        assert_eq!(shown(text), "PUT http://g/ b:a=1", "{text}");
    }
    assert_eq!(shown("curl -sGd a=1 http://g/"), "GET http://g/ q:a=1");
    for text in [b"curl http://g/ --data-raw=a=\xBC\xD9".as_slice(), b"curl -\xFFs -da=\xBC\xD9 http://g/"] {
        assert_eq!(Pasted::read(text).ok().unwrap().body, b"a=\xBC\xD9", "{text:?}");
    }
    for text in [b"curl -\xFFX".as_slice(), b"curl -s\xFF\xFEH", b"curl -o"] {
        assert!(matches!(Pasted::read(text), Err(PasteError::Curl { .. })), "{text:?}");
    }
}

#[test]
fn what_is_no_request_says_what_would_be() {
    for text in [
        "",
        " \n",
        "hello",
        "{\"a\":1}",
        "curl",
        "curl 'https://x",
        "curl -F a=b https://x",
        "curl -d @f https://x",
        "wget -qO- 'https://x?a=1'",
    ] {
        let error = Pasted::read(text.as_bytes()).err().unwrap().to_string();
        assert!(error.contains("paste") || error.contains("use --data"), "{text}: {error}");
    }
    for garbage in
        [vec![b'a'; 1 << 20], vec![b'%'; 200_000], b"a=1&".repeat(50_000), b"curl '".repeat(39_999), vec![0xFF; 99]]
    {
        assert!(Pasted::read(&garbage).is_err());
    }
}
