//! What follows from an answer, and the script asking a real listener with each program
//! that an image may have.

use super::{Http, parts};
use darkroom::Json;
use darkroom::testing::{Answer, Machine, Run, Verdict};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use tempfile::TempDir;

const ASK: &str = "ask over HTTP";
const PAGE: &str = "HTTP/1.1 200 OK\r\nServer: small\r\nContent-Length: 12\r\nConnection: close\r\n\r\nhello world\n";

fn failed(run: &Run) -> Vec<(&str, &str)> {
    let cases = run.cases.iter().filter_map(|case| match &case.verdict {
        Verdict::Failed(message) => Some((&*case.name, &**message)),
        _ => None,
    });
    cases.collect()
}

#[test]
fn every_expectation_is_a_case() {
    let machine = Machine::debian()
        .argument("expect-headers", Json::object([("server", "small".into())]))
        .argument("contains", ["hello"])
        .argument("lacks", ["error"])
        .argument("matches", ["w.rld$"]);
    let run = machine
        .clone()
        .answer(ASK, Answer::output(PAGE))
        .test::<Http>();
    let names: Vec<_> = run.cases.iter().map(|case| &*case.name).collect();
    assert_eq!(
        names,
        [
            "GET http://127.0.0.1/ answers",
            "the status is 200",
            "the header server contains \"small\"",
            "the body contains \"hello\"",
            "the body does not contain \"error\"",
            "the body matches /w.rld$/",
        ]
    );
    assert_eq!(failed(&run), []);
    let other = "HTTP/1.1 500 Oops\r\nServer: big\r\n\r\nan error\n";
    let run = machine.answer(ASK, Answer::output(other)).test::<Http>();
    assert_eq!(
        failed(&run),
        [
            (
                "the status is 200",
                "it is 500; the body begins with \"an error\""
            ),
            ("the header server contains \"small\"", "it is \"big\""),
            (
                "the body contains \"hello\"",
                "it does not hold; the body begins with \"an error\""
            ),
            (
                "the body does not contain \"error\"",
                "it does not hold; the body begins with \"an error\""
            ),
            (
                "the body matches /w.rld$/",
                "it does not hold; the body begins with \"an error\""
            ),
        ]
    );
}

#[test]
fn no_answer_is_a_failed_case_and_no_program_a_skipped_one() {
    let run = |said: &str| {
        Machine::debian()
            .answer(ASK, Answer::output(said))
            .test::<Http>()
    };
    assert_eq!(
        failed(&run("\nhttp.error: curl: (7) refused\n")),
        [("GET http://127.0.0.1/ answers", "curl: (7) refused")]
    );
    let skipped = run("\nhttp.can't: no curl\n");
    assert_eq!(skipped.cases.len(), 1);
    assert!(matches!(skipped.cases[0].verdict, Verdict::Skipped(_)));
}

#[test]
fn a_pattern_that_is_none_is_an_error() {
    let run = Machine::debian().argument("matches", ["("]).test::<Http>();
    assert!(run.result.unwrap_err().starts_with("`matches`: /(/: "));
}

#[test]
fn addresses_have_parts() {
    assert_eq!(parts("http://a.b/c?d"), ("a.b", "80", "/c?d"));
    assert_eq!(parts("http://a.b:81"), ("a.b", "81", "/"));
    assert_eq!(parts("http://[::1]/"), ("[::1]", "80", "/"));
    assert_eq!(parts("http://[::1]:8/x"), ("[::1]", "8", "/x"));
}

/// Answers every connection with `answer`, and gives what the last request was.
fn serve(answer: &'static str) -> (u16, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut request, mut byte) = (Vec::new(), [0]);
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                request.push(byte[0]);
            }
            let _ = stream.write_all(answer.as_bytes());
            let _ = send.send(String::from_utf8(request).unwrap());
        }
    });
    (port, receive)
}

/// A folder of programs that hides the system's, with links to those named.
fn only(programs: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in programs.iter().chain(&[
        "sh", "sed", "head", "tail", "grep", "cat", "timeout", "sleep", "tr",
    ]) {
        let found = ["/usr/bin", "/bin"]
            .iter()
            .map(|bin| Path::new(bin).join(name))
            .find(|path| path.exists());
        std::os::unix::fs::symlink(found.unwrap(), folder.path().join(name)).unwrap();
    }
    folder
}

/// The whole tester with the real script, with these programs and no others.
fn asked(machine: &Machine, programs: &[&str]) -> Run {
    let folder = only(programs);
    let mut step = machine.test::<Http>().step(ASK).clone();
    step.environment
        .push(("PATH".to_owned(), folder.path().display().to_string()));
    let outcome = step.run(folder.path(), folder.path());
    assert_eq!(outcome.exit_code, 0, "{}", outcome.output);
    machine
        .clone()
        .answer(ASK, Answer::output(outcome.output))
        .test::<Http>()
}

#[test]
fn a_plain_get_works_with_whatever_the_image_has() {
    let (port, _) = serve(PAGE);
    let machine = Machine::debian()
        .argument("url", format!("http://127.0.0.1:{port}/page?x=1"))
        .argument("matches", ["^hello world$"])
        .argument("retries", 0);
    for tool in ["curl", "wget", "bash"] {
        if !Path::new("/usr/bin").join(tool).exists() {
            println!("not run: {tool} is not installed");
            continue;
        }
        let run = asked(&machine, &[tool]);
        assert_eq!((run.cases.len(), failed(&run)), (3, vec![]), "{tool}");
        let free = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let nobody = machine.clone().argument("url", format!("http://{free}/"));
        let run = asked(&nobody, &[tool]);
        assert_eq!(run.cases.len(), 1, "{tool}: {run:?}");
        assert!(matches!(run.cases[0].verdict, Verdict::Failed(_)), "{tool}");
    }
    let run = asked(&machine, &[]);
    assert!(
        matches!(run.cases[0].verdict, Verdict::Skipped(_)),
        "{run:?}"
    );
}

#[test]
fn a_request_is_sent_as_it_was_given() {
    if !Path::new("/usr/bin/curl").exists() {
        println!("not run: curl is not installed");
        return;
    }
    let (port, requests) = serve(PAGE);
    let machine = Machine::debian()
        .argument("url", format!("http://a.example:{port}/"))
        .argument("connect", "127.0.0.1")
        .argument("method", "PUT")
        .argument(
            "headers",
            Json::object([("X-It", "a 'b' $(id) \"c\"".into())]),
        )
        .argument("body", "b o d y")
        .argument("retries", 0);
    let run = asked(&machine, &["curl"]);
    assert_eq!(failed(&run), []);
    let request = requests.recv().unwrap();
    assert!(request.starts_with("PUT / HTTP/1.1\r\n"), "{request}");
    for line in [
        &format!("Host: a.example:{port}\r\n"),
        "X-It: a 'b' $(id) \"c\"\r\n",
        "Content-Length: 7\r\n",
    ] {
        assert!(request.contains(line), "{line} in {request}");
    }
    let without = asked(&machine, &["bash"]);
    assert!(matches!(without.cases[0].verdict, Verdict::Skipped(_)));
}
