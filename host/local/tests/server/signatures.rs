//! Requests whose bytes are not those that were signed.

use darkroom_ecs::credentials::Secret;
use darkroom_ecs::http::HttpRequest;
use darkroom_ecs::params::Params;
use darkroom_ecs::sign::{SignatureGeneration, form_encode, rpc};
use serde_json::Value;

use crate::support::{World, captured, captured_call};

const HERE: &str = "http://localhost:1";

async fn send(world: &World, request: HttpRequest) -> (u16, String) {
    let answer = world.service.call(request).await;
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    let code = if let Ok(value) = serde_json::from_str::<Value>(&text) {
        value["Code"].as_str().unwrap_or_default().to_owned()
    } else {
        let rest = text.split_once("<Code>").map_or("", |(_, rest)| rest);
        rest.split_once("</Code>")
            .map_or("", |(code, _)| code)
            .to_owned()
    };
    (answer.status, code)
}

#[tokio::test]
async fn a_request_is_good_once() {
    let world = World::new().await;
    for generation in [SignatureGeneration::Rpc, SignatureGeneration::Acs3] {
        let request = captured(&world.service.accounts()[0], generation, HERE);
        assert_eq!(send(&world, request.clone()).await, (200, String::new()));
        let (status, code) = send(&world, request).await;
        assert_eq!((status, code.as_str()), (400, "SignatureNonceUsed"));
    }
}

#[tokio::test]
async fn every_changed_byte_is_refused() {
    let world = World::new().await;
    world.service.set_hosts(vec!["localhost:1".into()]);
    let account = &world.service.accounts()[0];
    for generation in [SignatureGeneration::Rpc, SignatureGeneration::Acs3] {
        let request = captured_call(
            account,
            generation,
            HERE,
            "DescribeInstances",
            &[("RegionId", "cn-hangzhou"), ("InstanceName", "a b*~")],
        );
        let mut tried = 0;
        for changed in changes(&request) {
            let (status, code) = send(&world, changed.clone()).await;
            assert!(
                (400..500).contains(&status),
                "{changed:?} was answered {status} {code}"
            );
            tried += 1;
        }
        assert!(tried > 200, "only {tried} changes were tried");
        assert_eq!(send(&world, request).await.0, 200);
    }
}

/// The request with one byte changed: method, target, and the values of all headers
/// that mean something.
fn changes(request: &HttpRequest) -> Vec<HttpRequest> {
    let flip = |text: &str| -> Vec<String> {
        let mut found = Vec::new();
        for at in 0..text.len() {
            for bit in [1_u8, 2, 32] {
                let mut bytes = text.as_bytes().to_vec();
                bytes[at] ^= bit;
                if bytes[at].is_ascii_graphic() {
                    found.extend(String::from_utf8(bytes));
                }
            }
        }
        found
    };
    let mut all = Vec::new();
    for method in flip(&request.method) {
        all.push(HttpRequest {
            method,
            ..request.clone()
        });
    }
    for target in flip(&request.target)
        .into_iter()
        .filter(|target| !target.starts_with("/-/"))
    {
        all.push(HttpRequest {
            target,
            ..request.clone()
        });
    }
    for (at, (name, value)) in request.headers.iter().enumerate() {
        let name = name.to_ascii_lowercase();
        let signed = request.header("authorization").is_some_and(|header| {
            header.contains(&format!("{name};")) || header.contains(&format!(";{name},"))
        });
        if signed || name == "host" || name == "authorization" {
            for value in flip(value) {
                let mut changed = request.clone();
                changed.headers[at].1 = value;
                all.push(changed);
            }
        }
    }
    all
}

#[tokio::test]
async fn what_is_missing_doubled_or_old_is_said() {
    let world = World::new().await;
    let account = &world.service.accounts()[0];
    let rpc = || captured(account, SignatureGeneration::Rpc, HERE);
    let acs3 = || captured(account, SignatureGeneration::Acs3, HERE);
    let with_header = |mut request: HttpRequest, name: &str, value: &str| {
        request.headers.push((name.into(), value.into()));
        request
    };
    let with_target = |mut request: HttpRequest, change: &dyn Fn(&str) -> String| {
        request.target = change(&request.target);
        request
    };
    let unsigned = HttpRequest {
        headers: vec![("host".into(), "localhost:1".into())],
        target: "/?Action=DescribeRegions".into(),
        ..rpc()
    };
    let stranger = {
        let mut other = account.clone();
        other.access_key_id = "LTAInobody".into();
        captured(&other, SignatureGeneration::Acs3, HERE)
    };
    let forger = {
        let mut other = account.clone();
        other.access_key_secret.push('x');
        captured(&other, SignatureGeneration::Rpc, HERE)
    };
    let cases = [
        (unsigned, "IncompleteSignature"),
        (stranger, "InvalidAccessKeyId.NotFound"),
        (forger, "SignatureDoesNotMatch"),
        (
            with_header(acs3(), "x-acs-extra", "1"),
            "IncompleteSignature",
        ),
        (
            with_header(acs3(), "x-acs-action", "RunInstances"),
            "InvalidParameter",
        ),
        (with_header(rpc(), "host", "elsewhere"), "InvalidParameter"),
        (
            with_target(rpc(), &|target| format!("{target}&Action=RunInstances")),
            "InvalidParameter",
        ),
        (
            with_target(rpc(), &|target| target.replace("HMAC-SHA1", "HMAC-MD5")),
            "InvalidParameter",
        ),
        (
            with_target(acs3(), &|target| format!("{target}?RegionId=cn-beijing")),
            "SignatureDoesNotMatch",
        ),
    ];
    for (request, expected) in cases {
        let shown = format!("{request:?}");
        let (status, code) = send(&world, request).await;
        assert_eq!((status >= 400, code.as_str()), (true, expected), "{shown}");
    }
    let body = HttpRequest {
        body: bytes::Bytes::from_static(b"x=1"),
        ..acs3()
    };
    assert!(send(&world, body).await.0 >= 400);
}

#[tokio::test]
async fn an_old_request_is_refused() {
    let (world, clock) = World::with_clock().await;
    for generation in [SignatureGeneration::Rpc, SignatureGeneration::Acs3] {
        let request = captured(&world.service.accounts()[0], generation, HERE);
        clock.advance(std::time::Duration::from_mins(16));
        let (status, code) = send(&world, request).await;
        assert_eq!((status, code.as_str()), (400, "InvalidTimeStamp.Expired"));
    }
}

#[tokio::test]
async fn a_client_that_asks_for_nothing_gets_xml() {
    let world = World::new().await;
    let account = &world.service.accounts()[0];
    let ask = |action: &str, nonce: &str| {
        let now = jiff::Timestamp::now()
            .strftime("%Y-%m-%dT%H:%M:%SZ")
            .to_string();
        let mut params: Params = [
            ("AccessKeyId", account.access_key_id.as_str()),
            ("Action", action),
            ("SignatureMethod", "HMAC-SHA1"),
            ("SignatureNonce", nonce),
            ("SignatureVersion", "1.0"),
            ("Timestamp", now.as_str()),
            ("Version", "2014-05-26"),
        ]
        .into_iter()
        .collect();
        let secret = Secret::new(account.access_key_secret.clone());
        let text = rpc::string_to_sign("GET", &params);
        params.insert("Signature", rpc::signature(&secret, &text));
        HttpRequest {
            method: "GET".into(),
            scheme: "http".into(),
            authority: "localhost:1".into(),
            target: format!("/?{}", form_encode(&params)),
            headers: vec![("host".into(), "localhost:1".into())],
            body: bytes::Bytes::new(),
        }
    };
    let text = async |request| {
        let answer = world.service.call(request).await;
        (
            answer.status,
            String::from_utf8(answer.body.to_vec()).unwrap(),
        )
    };
    let (status, body) = text(ask("DescribeRegions", "n1")).await;
    assert_eq!(status, 200, "{body}");
    assert!(
        body.contains("<DescribeRegionsResponse><RequestId>"),
        "{body}"
    );
    assert!(body.contains("<RegionId>cn-hangzhou</RegionId>"), "{body}");
    let (status, body) = text(ask("MakeCoffee", "n2")).await;
    assert_eq!(status, 404);
    assert!(body.contains("<Error>"), "{body}");
    assert!(
        body.contains("<Code>InvalidAction.NotFound</Code>"),
        "{body}"
    );
}
