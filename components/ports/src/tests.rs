//! What follows from the kernel's tables, and the script run on this machine's own.

use super::Ports;
use darkroom::Json;
use darkroom::testing::{Answer, Machine, Run, Verdict};
use std::net::{TcpListener, UdpSocket};

const LOOK: &str = "look at the sockets";
const SAID: &str =
    "tcp 00000000:0050 11\ntcp 0100007F:1538 12\nudp 00000000:0035 13\nprocess 11 nginx\n";

fn port(number: u16, more: &[(&str, &str)]) -> Json {
    let mut members = vec![("port".to_owned(), Json::from(number))];
    members.extend(
        more.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).into())),
    );
    Json::Object(members)
}

fn test(parameter: &str, ports: Vec<Json>) -> Run {
    Machine::debian()
        .argument(parameter, Json::List(ports))
        .answer(LOOK, Answer::output(SAID))
        .test::<Ports>()
}

fn verdicts(run: &Run) -> Vec<(&str, &str)> {
    let cases = run.cases.iter().map(|case| match &case.verdict {
        Verdict::Failed(message) => (&*case.name, &**message),
        Verdict::Passed => (&*case.name, "passed"),
        Verdict::Skipped(_) => (&*case.name, "skipped"),
    });
    cases.collect()
}

#[test]
fn what_must_listen_is_told_from_what_does() {
    let run = test(
        "listening",
        vec![
            port(80, &[("process", "nginx")]),
            port(80, &[("process", "apache2")]),
            port(5432, &[("address", "10.0.0.1")]),
            port(5432, &[("address", "127.0.0.1"), ("process", "postgres")]),
            port(53, &[]),
            port(53, &[("protocol", "udp")]),
        ],
    );
    assert_eq!(
        verdicts(&run),
        [
            ("nginx listens on tcp port 80", "passed"),
            (
                "apache2 listens on tcp port 80",
                "it is nginx that listens there"
            ),
            (
                "something listens on tcp port 5432 at 10.0.0.1",
                "it listens at 127.0.0.1 only"
            ),
            (
                "postgres listens on tcp port 5432 at 127.0.0.1",
                "no process of this machine holds the socket"
            ),
            ("something listens on tcp port 53", "nothing listens there"),
            ("something listens on udp port 53", "passed"),
        ]
    );
    let step = run.step(LOOK);
    assert_eq!(step.arguments[0], "tcp:0050");
    assert_eq!(step.variable("PROCESSES"), Some("yes"));
}

#[test]
fn what_must_be_closed_is_told_from_what_is() {
    let run = test(
        "closed",
        vec![
            port(80, &[]),
            port(23, &[]),
            port(5432, &[("address", "10.0.0.1")]),
        ],
    );
    assert_eq!(
        verdicts(&run),
        [
            (
                "nothing listens on tcp port 80",
                "something listens on tcp 0.0.0.0:80"
            ),
            ("nothing listens on tcp port 23", "passed"),
            ("nothing listens on tcp port 5432 at 10.0.0.1", "passed"),
        ]
    );
}

#[test]
fn nothing_else_may_be_open() {
    let machine = Machine::debian()
        .argument("only", true)
        .answer(LOOK, Answer::output(SAID));
    let run = machine.test::<Ports>();
    assert_eq!(
        verdicts(&run),
        [(
            "nothing else can be reached from outside",
            "tcp 0.0.0.0:80 (nginx), udp 0.0.0.0:53"
        )]
    );
    let all = vec![port(80, &[]), port(53, &[("protocol", "udp")])];
    let run = machine
        .argument("listening", Json::List(all))
        .test::<Ports>();
    assert_eq!(
        verdicts(&run)[2],
        ("nothing else can be reached from outside", "passed")
    );
}

#[test]
fn an_address_that_is_none_and_nothing_to_test_are_errors() {
    let run = test("closed", vec![port(80, &[("address", "1.2.3.400")])]);
    assert_eq!(run.result, Err("`closed`: 1.2.3.400 is no address".into()));
    assert!(Machine::debian().test::<Ports>().result.is_err());
}

#[test]
fn the_script_finds_this_machines_sockets_and_their_process() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let own = std::fs::read_to_string("/proc/self/comm").unwrap();
    let wanted = vec![
        port(tcp.local_addr().unwrap().port(), &[("process", own.trim())]),
        port(udp.local_addr().unwrap().port(), &[("protocol", "udp")]),
    ];
    let machine = Machine::debian()
        .argument("listening", Json::List(wanted))
        .argument("wait", 0);
    let folder = tempfile::tempdir().unwrap();
    let look = || {
        let declared = machine.test::<Ports>();
        let outcome = declared.step(LOOK).run(folder.path(), folder.path());
        assert_eq!(outcome.exit_code, 0, "{}", outcome.output);
        machine
            .clone()
            .answer(LOOK, Answer::output(&outcome.output))
            .test::<Ports>()
    };
    let run = look();
    assert!(
        run.cases.iter().all(|case| case.verdict == Verdict::Passed),
        "{run:?}"
    );
    drop((tcp, udp));
    let run = look();
    assert!(
        verdicts(&run)
            .iter()
            .all(|(_, message)| *message == "nothing listens there"),
        "{run:?}"
    );
}
