//! Both signature generations against vectors that other programs made, and against
//! every change of a single byte.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::path::Path;

use bytes::Bytes;
use darkroom_ecs::credentials::{Credentials, Secret};
use darkroom_ecs::error::ErrorCode;
use darkroom_ecs::http::HttpRequest;
use darkroom_ecs::params::Params;
use darkroom_ecs::sign::{self, Call, Claims, Format, SignatureGeneration, VerifyError, acs3, rpc};
use darkroom_ecs::time;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

fn params(pairs: &[(&str, &str)]) -> Params {
    pairs.iter().copied().collect()
}

fn check(request: &HttpRequest, key: &Credentials, now: Timestamp) -> Result<Claims, VerifyError> {
    sign::verify(request, now, |id| {
        (id == key.access_key_id).then(|| key.access_key_secret.clone())
    })
}

#[test]
fn rpc_makes_the_published_signatures() {
    let secret = Secret::new("testsecret");
    let common = [
        ("AccessKeyId", "testid"),
        ("SignatureMethod", "HMAC-SHA1"),
        ("SignatureVersion", "1.0"),
        ("Version", "2014-05-26"),
    ];
    let mut regions = params(&common);
    regions.extend([
        ("Action", "DescribeRegions"),
        ("Format", "XML"),
        ("SignatureNonce", "3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf"),
        ("Timestamp", "2016-02-23T12:46:24Z"),
    ]);
    let text = rpc::string_to_sign("GET", &regions);
    assert_eq!(
        text,
        "GET&%2F&AccessKeyId%3Dtestid%26Action%3DDescribeRegions%26Format%3DXML%26SignatureMethod\
         %3DHMAC-SHA1%26SignatureNonce%3D3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf%26SignatureVersion\
         %3D1.0%26Timestamp%3D2016-02-23T12%253A46%253A24Z%26Version%3D2014-05-26"
    );
    assert_eq!(
        rpc::signature(&secret, &text),
        "OLeaidS1JvxuMvnyHOwuJ+uX5qY="
    );

    let mut hosts = params(&common);
    hosts.extend([
        ("Action", "DescribeDedicatedHosts"),
        ("Format", "JSON"),
        ("RegionId", "cn-beijing"),
        ("SignatureNonce", "edb2b34af0af9a6d14deaf7c1a5315eb"),
        ("Timestamp", "2023-03-13T08:34:30Z"),
    ]);
    let text = rpc::string_to_sign("GET", &hosts);
    assert_eq!(
        rpc::signature(&secret, &text),
        "9NaGiOspFP5UPcwX8Iwt2YJXXuk="
    );

    let text = rpc::string_to_sign("GET", &params(&[("query", "test"), ("body", "test")]));
    assert_eq!(
        rpc::signature(&Secret::new("secret"), &text),
        "XlUyV4sXjOuX5FnjUz9IF9tm5rU="
    );
}

#[test]
fn acs3_makes_the_published_signature() {
    let query = params(&[
        (
            "ImageId",
            "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd",
        ),
        ("RegionId", "cn-shanghai"),
    ]);
    let hash = acs3::sha256_hex(b"");
    let headers = [
        ("host", "ecs.cn-shanghai.aliyuncs.com"),
        ("x-acs-action", "RunInstances"),
        ("x-acs-content-sha256", hash.as_str()),
        ("x-acs-date", "2023-10-26T10:22:32Z"),
        ("x-acs-signature-nonce", "3156853299f313e23d1673dc12e1703d"),
        ("x-acs-version", "2014-05-26"),
    ];
    let canonical = acs3::canonical_request("POST", &query, &headers, &hash);
    let text = acs3::string_to_sign(&canonical);
    assert_eq!(
        text,
        "ACS3-HMAC-SHA256\n7ea06492da5221eba5297e897ce16e55f964061054b7695beedaac1145b1e259"
    );
    assert_eq!(
        acs3::signature(&Secret::new("YourAccessKeySecret"), &text),
        "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    );

    // Our own signing makes the very same request.
    let credentials = Credentials {
        access_key_id: "YourAccessKeyId".into(),
        access_key_secret: Secret::new("YourAccessKeySecret"),
        security_token: None,
    };
    let request = acs3::sign(
        &Call {
            scheme: "https",
            authority: "ecs.cn-shanghai.aliyuncs.com",
            action: "RunInstances",
            version: "2014-05-26",
            params: &query,
            now: time::parse("2023-10-26T10:22:32Z").unwrap(),
            nonce: "3156853299f313e23d1673dc12e1703d",
            user_agent: "test",
        },
        &credentials,
    );
    let authorization = request.header("Authorization").unwrap();
    assert!(
        authorization.ends_with(
            "SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;\
             x-acs-version,Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
        ),
        "{authorization}"
    );
}

/// The host that a vector was signed for.
fn host_of(headers: &[(String, String)]) -> String {
    let host = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("host"));
    host.unwrap().1.clone()
}

/// A request as one of the vectors has it.
fn from_vector(wire: &Value) -> HttpRequest {
    let text = |name: &str| wire[name].as_str().unwrap().to_owned();
    let headers = wire["headers"].as_object().unwrap();
    let headers: Vec<(String, String)> = headers
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
        .collect();
    HttpRequest {
        method: text("method"),
        scheme: "http".into(),
        authority: host_of(&headers),
        target: text("raw_target"),
        headers,
        body: Bytes::from(text("body")),
    }
}

#[test]
fn requests_of_the_official_clients_are_verified() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/conformance/signature-vectors.json");
    let Ok(text) = std::fs::read_to_string(&file) else {
        println!("not run: {} is absent", file.display());
        return;
    };
    let vectors: Value = serde_json::from_str(&text).unwrap();
    let owned = |value: &Value| value.as_str().unwrap().to_owned();
    let key = &vectors["credentials"];
    let key = Credentials {
        access_key_id: owned(&key["access_key_id"]),
        access_key_secret: Secret::new(owned(&key["access_key_secret"])),
        security_token: Some(Secret::new(owned(&key["security_token"]))),
    };
    let now = time::parse("2026-01-02T03:04:05Z").unwrap();
    let generations = [
        ("v1", SignatureGeneration::Rpc),
        ("v3", SignatureGeneration::Acs3),
    ];
    let mut checked = 0;
    for (generation, expected) in generations {
        for vector in vectors[generation].as_array().unwrap() {
            let name = &vector["name"];
            let request = from_vector(&vector["wire"]);
            let claims =
                check(&request, &key, now).unwrap_or_else(|error| panic!("{name}: {error}"));
            let inputs = &vector["inputs"];
            assert_eq!(claims.generation, expected);
            assert_eq!(claims.format, Format::Json);
            let action = inputs.get("Action").or(inputs.get("action")).unwrap();
            assert_eq!(claims.action, *action);
            assert_eq!(claims.params.get("RegionId"), Some("cn-hangzhou"), "{name}");
            assert_eq!(
                claims.security_token.is_some(),
                inputs["sts"].as_bool().unwrap()
            );
            for part in ["query", "body"] {
                for (name, value) in inputs[part].as_object().into_iter().flatten() {
                    assert_eq!(claims.params.get(name), value.as_str(), "{name}");
                }
            }
            sweep(&request, &key, now, &unsigned_in(&request));
            checked += 1;
        }
    }
    assert_eq!(checked, 6);
}

fn call(params: &Params, now: Timestamp) -> Call<'_> {
    Call {
        scheme: "http",
        authority: "localhost:18080",
        action: "RunCommand",
        version: "2014-05-26",
        params,
        now,
        nonce: "5f0c1c9e-2f40-4c5a-9f5a-000000000001",
        user_agent: "darkroom/0.1",
    }
}

fn short() -> Params {
    params(&[
        ("RegionId", "cn-hangzhou"),
        ("Name", "a b+c*d~e/f%g=h&i"),
        ("Description", "镜像"),
        ("Tag.1.Value", ""),
    ])
}

/// Our own requests of both generations, with query and with body.
fn own(now: Timestamp, credentials: &Credentials) -> Vec<HttpRequest> {
    let short = short();
    let mut long = short.clone();
    long.insert("CommandContent", "x/+=".repeat(1000));
    let mut requests = Vec::new();
    for params in [&short, &long, &Params::new()] {
        requests.push(rpc::sign(&call(params, now), credentials));
        requests.push(acs3::sign(&call(params, now), credentials));
    }
    requests
}

fn credentials(token: Option<&str>) -> Credentials {
    Credentials {
        access_key_id: "LTAItest".into(),
        access_key_secret: Secret::new("secret"),
        security_token: token.map(Secret::new),
    }
}

fn now() -> Timestamp {
    time::parse("2026-01-02T03:04:05Z").unwrap()
}

#[test]
fn our_own_requests_are_verified() {
    for token in [None, Some("CAIS/+==")] {
        let key = credentials(token);
        let requests = own(now(), &key);
        for request in &requests {
            let claims = check(request, &key, now()).unwrap();
            assert_eq!(claims.action, "RunCommand");
            assert_eq!(claims.access_key_id, "LTAItest");
            assert_eq!(claims.security_token.as_deref(), token);
            assert!(claims.params.get("Action").is_none());
        }
        let long = check(&requests[3], &key, now()).unwrap();
        assert_eq!(requests[3].target, "/");
        assert_eq!(long.params.get("CommandContent").map(str::len), Some(4000));
        assert_eq!(long.params.get("Name"), Some("a b+c*d~e/f%g=h&i"));
    }
}

/// Headers that the documentation of `sign` names as not covered.
fn unsigned_in(request: &HttpRequest) -> Vec<String> {
    let signed = request.header("authorization").and_then(|value| {
        let (_, rest) = value.split_once("SignedHeaders=")?;
        rest.split_once(',').map(|(names, _)| names.to_owned())
    });
    let signed: Vec<&str> = signed
        .as_deref()
        .map_or(Vec::new(), |names| names.split(';').collect());
    let names = request
        .headers
        .iter()
        .map(|(name, _)| name.to_ascii_lowercase());
    names
        .filter(|name| {
            let of_rpc = signed.is_empty()
                && (name.starts_with("x-acs-")
                    || (name == "content-type" && !request.body.is_empty()));
            !signed.contains(&name.as_str()) && !of_rpc && name != "authorization"
        })
        .collect()
}

/// Changes every byte in turn and sees it refused.
fn sweep(request: &HttpRequest, key: &Credentials, now: Timestamp, unsigned: &[String]) {
    let mut changed = 0;
    let mut refused = |what: &str, request: &HttpRequest| {
        let answer = check(request, key, now);
        assert!(answer.is_err(), "{what}: {request:?}");
        changed += 1;
    };
    for method in flips(request.method.as_bytes()) {
        refused(
            "method",
            &HttpRequest {
                method,
                ..request.clone()
            },
        );
    }
    for target in flips(request.target.as_bytes()) {
        refused(
            "target",
            &HttpRequest {
                target,
                ..request.clone()
            },
        );
    }
    for index in 0..request.headers.len() {
        let (name, value) = &request.headers[index];
        if unsigned.contains(&name.to_ascii_lowercase()) {
            continue;
        }
        for value in flips(value.as_bytes()) {
            let mut request = request.clone();
            request.headers[index].1 = value;
            refused(name, &request);
        }
        // A name that changes is another header; RPC's repeated ones then repeat nothing.
        let repeated = request.header("authorization").is_none() && name.starts_with("x-acs-");
        for other in flips(name.as_bytes()) {
            if repeated || other.eq_ignore_ascii_case(name) {
                continue;
            }
            let mut request = request.clone();
            request.headers[index].0 = other;
            refused("a header's name", &request);
        }
    }
    // A body of thousands of bytes is changed at some of them only, for time.
    let step = request.body.len() / 50 + 1;
    for index in (0..request.body.len()).step_by(step) {
        for other in others(request.body[index]) {
            let mut body = request.body.to_vec();
            body[index] = other;
            refused(
                "body",
                &HttpRequest {
                    body: body.into(),
                    ..request.clone()
                },
            );
        }
    }
    assert!(changed > 1000, "only {changed} changes were tried");
}

/// Other bytes than this one: those one bit away, and those with a meaning of their own.
fn others(byte: u8) -> impl Iterator<Item = u8> {
    let bits = (0..8).map(move |bit| byte ^ (1 << bit));
    bits.chain(*b" +%&=#\n").filter(move |other| *other != byte)
}

/// Every text that differs in one byte; what is not UTF-8 can't be a header or a target.
fn flips(bytes: &[u8]) -> Vec<String> {
    let mut all = Vec::new();
    for index in 0..bytes.len() {
        for other in others(bytes[index]) {
            let mut changed = bytes.to_vec();
            changed[index] = other;
            all.extend(String::from_utf8(changed));
        }
    }
    all
}

#[test]
fn every_changed_byte_is_refused() {
    let key = credentials(Some("CAIS/+=="));
    for request in own(now(), &key) {
        sweep(&request, &key, now(), &unsigned_in(&request));
    }
}

#[test]
fn what_the_tests_call_unsigned_is_what_the_documentation_names() {
    let requests = own(now(), &credentials(None));
    assert_eq!(unsigned_in(&requests[0]), ["host", "user-agent", "accept"]);
    assert_eq!(unsigned_in(&requests[1]), ["user-agent", "accept"]);
}

#[test]
fn removed_doubled_and_added_parts_are_refused() {
    let key = credentials(None);
    for request in own(now(), &key) {
        let mut changed = vec![];
        let mut with = |change: &dyn Fn(&mut HttpRequest)| {
            let mut other = request.clone();
            change(&mut other);
            changed.push(other);
        };
        with(&|request| request.target.push_str("&Extra=1"));
        with(&|request| request.target.push_str("?RegionId=cn-beijing"));
        with(&|request| request.target.push_str("#fragment"));
        with(&|request| request.target.push('&'));
        with(&|request| request.target.insert(1, 'x'));
        with(&|request| request.target.insert(1, '/'));
        with(&|request| request.target.push_str("&RegionId=cn-hangzhou"));
        with(&|request| request.body = [&request.body[..], b"&Extra=1"].concat().into());
        with(&|request| request.body = [&request.body[..], b"\n"].concat().into());
        with(&|request| {
            request
                .headers
                .push(("x-acs-action".into(), "DeleteImage".into()));
        });
        with(&|request| {
            request
                .headers
                .push(("Authorization".into(), "Bearer x".into()));
        });
        if request.header("authorization").is_some() {
            for name in [
                "host",
                "x-acs-date",
                "x-acs-signature-nonce",
                "x-acs-version",
                "authorization",
            ] {
                with(&|request| request.headers.retain(|(known, _)| known != name));
                with(&|request| {
                    let value = request.header(name).unwrap().to_owned();
                    request.headers.push((name.to_uppercase(), value));
                });
            }
            with(&|request| {
                request
                    .headers
                    .push(("x-acs-bearer-token".into(), "x".into()));
            });
            with(&|request| request.target.push_str("&Signature=x"));
        }
        for request in changed {
            let answer = check(&request, &key, now());
            assert!(answer.is_err(), "{request:?}");
        }
    }
}

#[test]
fn a_header_that_is_left_out_of_the_signed_ones_is_missed() {
    let key = credentials(None);
    let request = &own(now(), &key)[1];
    let hash = request.header("x-acs-content-sha256").unwrap();
    for left_out in [
        "host",
        "x-acs-action",
        "x-acs-content-sha256",
        "x-acs-date",
        "x-acs-signature-nonce",
    ] {
        // Signed by the right key, but over fewer headers.
        let mut request = request.clone();
        request.headers.retain(|(name, _)| name != "authorization");
        let signed: Vec<(&str, &str)> = request
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| *name != left_out && !["accept", "user-agent"].contains(name))
            .collect();
        let canonical = acs3::canonical_request("POST", &short(), &signed, hash);
        let signature = acs3::signature(&key.access_key_secret, &acs3::string_to_sign(&canonical));
        let names: Vec<&str> = signed.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let value = format!(
            "ACS3-HMAC-SHA256 Credential=LTAItest,SignedHeaders={names},Signature={signature}"
        );
        request.headers.push(("authorization".into(), value));
        let answer = check(&request, &key, now());
        assert_eq!(answer, Err(VerifyError::Unsigned(left_out.into())));
    }
}

#[test]
fn time_and_key_are_checked_and_errors_are_those_of_ecs() {
    let key = credentials(None);
    let code = |answer: Result<Claims, VerifyError>| answer.unwrap_err().to_api_error().code;
    for request in own(now(), &key) {
        for minutes in [-16, 16] {
            let later = now() + SignedDuration::from_mins(minutes);
            assert_eq!(
                code(check(&request, &key, later)),
                ErrorCode::InvalidTimeStampExpired
            );
        }
        assert!(check(&request, &key, now() + SignedDuration::from_mins(14)).is_ok());
        let other = Credentials {
            access_key_secret: Secret::new("other"),
            ..key.clone()
        };
        assert_eq!(
            code(check(&request, &other, now())),
            ErrorCode::SignatureDoesNotMatch
        );
        let nobody = Credentials {
            access_key_id: "LTAIother".into(),
            ..key.clone()
        };
        let error = check(&request, &nobody, now()).unwrap_err().to_api_error();
        assert_eq!(
            (error.http_status, error.code),
            (404, ErrorCode::InvalidAccessKeyIdNotFound)
        );
    }
    let bare = HttpRequest {
        method: "GET".into(),
        scheme: "http".into(),
        authority: "localhost".into(),
        target: "/?Action=DescribeRegions".into(),
        headers: vec![],
        body: Bytes::new(),
    };
    assert_eq!(
        code(check(&bare, &key, now())),
        ErrorCode::IncompleteSignature
    );
}
