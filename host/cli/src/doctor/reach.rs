//! The way to the cloud: whether its address answers, and whether this machine's clock agrees
//! with it. Both by one plain request that nobody has signed.

use std::time::Instant;

use bytes::Bytes;
use darkroom_ecs::endpoint::{Endpoint, Resolver};
use darkroom_ecs::http::{HttpRequest, HttpResponse};
use darkroom_ecs::id::RegionId;
use darkroom_ecs::sign::TOLERANCE;
use darkroom_ecs::transport::{HttpTransport, Transport as _, TransportError};
use jiff::{SignedDuration, Timestamp};

use super::{Check, Finding, Report};
use crate::cloud::access::user_agent;

/// A clock that is wrong by more than this is on its way to being too wrong.
const SLIGHT: SignedDuration = SignedDuration::from_mins(1);

/// Looks at both; whether it is worth going on.
pub(crate) async fn look(
    transport: &HttpTransport,
    resolver: &Resolver,
    region: &RegionId,
    report: &mut Report<'_>,
) -> bool {
    let endpoint = match resolver(region.clone()).await {
        Ok(endpoint) => endpoint,
        Err(error) => {
            let text = format!("region {region} has no address: {error}");
            let hint = "regions are like cn-hangzhou";
            report.add(Finding::error(Check::Endpoint, text).hint(hint));
            return false;
        }
    };
    let (begun, before) = (Instant::now(), Timestamp::now());
    match transport.send(plain(&endpoint)).await {
        Ok(response) => {
            let took = begun.elapsed();
            let secured = if endpoint.scheme() == "https" {
                ", its certificate is good"
            } else {
                ", on this machine, without TLS"
            };
            let text = format!("{endpoint} answers in {} ms{secured}", took.as_millis());
            report.add(Finding::ok(Check::Endpoint, text));
            // The answer was written somewhen in between.
            let half = SignedDuration::try_from(took / 2).unwrap_or_default();
            report.add(clock(date(&response), before + half));
            true
        }
        Err(error) => {
            report.add(unreachable(&endpoint, &error));
            false
        }
    }
}

/// A question that is not one of the API: any answer will do.
fn plain(endpoint: &Endpoint) -> HttpRequest {
    HttpRequest {
        method: "GET".to_owned(),
        scheme: endpoint.scheme().to_owned(),
        authority: endpoint.authority().to_owned(),
        target: "/".to_owned(),
        headers: vec![
            ("host".to_owned(), endpoint.authority().to_owned()),
            ("user-agent".to_owned(), user_agent()),
        ],
        body: Bytes::new(),
    }
}

fn unreachable(endpoint: &Endpoint, error: &TransportError) -> Finding {
    let hint = match error {
        TransportError::ConnectionRefused { .. } => "check that a server listens there",
        TransportError::NoConnection { detail, .. } if detail.contains("certificate") => {
            "its certificate is not trusted here: a proxy may stand between, whose authority \
             SSL_CERT_FILE can name; or the machine's certificates (ca-certificates) are missing"
        }
        TransportError::NoConnection { .. } | TransportError::Timeout { .. } => {
            "check the network, the name of the region and, if there is one, HTTPS_PROXY"
        }
        TransportError::Refused { .. } => {
            "keys never travel in the clear: give an address that begins with https://"
        }
        TransportError::Broken { .. } | TransportError::TooLarge { .. } => {
            "something that is not ECS may answer there, such as a proxy"
        }
    };
    let text = format!("{endpoint} can't be reached: {error}");
    Finding::error(Check::Endpoint, text).hint(hint)
}

/// The server's time, to the second.
fn date(response: &HttpResponse) -> Option<Timestamp> {
    let mut headers = response.headers.iter();
    let (_, text) = headers.find(|(name, _)| name.eq_ignore_ascii_case("date"))?;
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text);
    date.ok()
}

fn clock(server: Option<Timestamp>, here: Timestamp) -> Finding {
    let Some(server) = server else {
        let text = "the server does not say what time it is, so this machine's clock is not \
                    compared";
        return Finding::warning(Check::Clock, text);
    };
    let ahead = here.duration_since(server);
    let wrong = ahead.abs();
    let side = if ahead.is_negative() {
        "behind"
    } else {
        "ahead"
    };
    let window = TOLERANCE.as_mins();
    let hint = "set the clock: `timedatectl set-ntp true`, or chronyd; in a virtual machine, \
                look at its host's";
    let by = |wrong: SignedDuration| {
        if wrong < SignedDuration::from_mins(2) {
            format!("{} s", wrong.as_secs())
        } else {
            format!("{} minutes", wrong.as_mins())
        }
    };
    // A date has no fractions of a second.
    if wrong <= SignedDuration::from_secs(2) {
        let text = format!("it agrees with the server's; {window} minutes are allowed");
        Finding::ok(Check::Clock, text)
    } else if wrong < SLIGHT {
        let text = format!(
            "it is {} {side} of the server's; {window} minutes are allowed",
            by(wrong)
        );
        Finding::ok(Check::Clock, text)
    } else if wrong < TOLERANCE {
        let text = format!(
            "it is {} {side} of the server's; with {window} minutes every request is refused",
            by(wrong)
        );
        Finding::warning(Check::Clock, text).hint(hint)
    } else {
        let text = format!(
            "it is {} {side} of the server's: every request is refused, {window} minutes are \
             allowed",
            by(wrong)
        );
        Finding::error(Check::Clock, text).hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_may_be_wrong_by_a_quarter_of_an_hour() {
        let server: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let level = |ahead: i64| {
            let here = server + SignedDuration::from_secs(ahead);
            let value = serde_json::to_value(clock(Some(server), here)).unwrap();
            value["level"].as_str().unwrap().to_owned()
        };
        for (ahead, expected) in [
            (0, "ok"),
            (-2, "ok"),
            (59, "ok"),
            (-61, "warning"),
            (899, "warning"),
            (900, "error"),
            (-90_000, "error"),
        ] {
            assert_eq!(level(ahead), expected, "{ahead}");
        }
        assert_eq!(
            serde_json::to_value(clock(None, server)).unwrap()["level"],
            "warning"
        );
    }

    #[test]
    fn dates_are_read_as_servers_write_them() {
        let response = HttpResponse {
            status: 200,
            headers: vec![("Date".into(), "Sun, 06 Nov 1994 08:49:37 GMT".into())],
            body: Bytes::new(),
        };
        let expected: Timestamp = "1994-11-06T08:49:37Z".parse().unwrap();
        assert_eq!(date(&response), Some(expected));
    }
}
