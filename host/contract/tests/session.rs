//! The rules of a session, called as a guest would call it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what surprises a test ends it, also in its own functions"
)]

use std::io;
use std::sync::Arc;

use darkroom_contract::secret::Marker;
use darkroom_contract::{
    Content, Description, Ended, Ending, Fault, FileContent, History, Inputs, Language, Level,
    Limits, Machine, Role, Session, StepKind, StepResult, Transcript,
};
use serde_json::{Map, Value, json};

fn session(role: Role, results: Vec<StepResult>, previous: Option<Transcript>) -> Session {
    Session::new(
        Limits::default(),
        role,
        Inputs::default(),
        Machine::default(),
        Arc::new(History { results }),
        previous,
    )
}

fn builder() -> Session {
    session(Role::Builder, Vec::new(), None)
}

fn done(output: &str) -> StepResult {
    StepResult {
        succeeded: true,
        output_tail: output.into(),
        size: output.len() as u64,
        content: Some(Arc::new(output.as_bytes().to_vec())),
        ..StepResult::default()
    }
}

fn message<T: std::fmt::Debug>(result: Result<T, Fault>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn refinements_override_and_add_up() {
    let mut s = builder();
    let step = s.shell("install", "apt-get install -y nginx").unwrap();
    s.timeout(step, 60).unwrap();
    s.timeout(step, 900).unwrap();
    s.environment(step, "A", "1").unwrap();
    s.environment(step, "B", "2").unwrap();
    s.environment(step, "A", "3").unwrap();
    s.expect_output(step, "one").unwrap();
    s.expect_output(step, "two").unwrap();
    s.expect_no_output(step, "three").unwrap();
    s.expect_match(step, r"^v\d").unwrap();
    s.expect_exit_codes(step, &[0]).unwrap();
    s.expect_exit_codes(step, &[0, 100]).unwrap();
    s.run_as(step, "www-data").unwrap();
    s.directory(step, "/srv").unwrap();
    s.attempts(step, 3).unwrap();
    s.tolerate(step).unwrap();
    let file = s.write_bytes("bytes", "/a", b"\xff").unwrap();
    s.mode(file, 0o600).unwrap();
    s.owner(file, "www-data:adm").unwrap();
    let fetched = s
        .download("fetch", "/b", "https://host/b", &"0a".repeat(32))
        .unwrap();
    s.mode(fetched, 0o755).unwrap();
    s.collect("keep", "/c", 10).unwrap();
    s.reboot("again").unwrap();
    s.timeout(4, 300).unwrap();
    let ended = s.end(Some(Ok(()))).unwrap();

    let step = &ended.steps[0];
    assert_eq!(step.timeout_seconds, 900);
    let environment = [("A", "3"), ("B", "2")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(step.environment, environment);
    assert_eq!(step.expectations.contains, ["one", "two"]);
    assert_eq!(step.expectations.exit_codes, [0, 100]);
    assert_eq!(step.run_as.as_deref(), Some("www-data"));
    assert!(step.tolerate);
    let ordinals: Vec<_> = ended.steps.iter().map(|step| step.ordinal).collect();
    assert_eq!(ordinals, [0, 1, 2, 3, 4]);
    assert!(
        matches!(&ended.steps[1].kind, StepKind::Write { content: FileContent::Bytes(b), .. } if b == b"\xff")
    );
    assert_eq!(ended.transcript.0.len(), 24);
    assert_eq!(ended.ending, Ending::Returned(Ok(())));
}

#[test]
fn the_mark_is_a_matter_of_position() {
    let run = |results: Vec<StepResult>, previous| -> Result<Ended, Fault> {
        let mut s = session(Role::Builder, results, previous);
        let body = |s: &mut Session| -> Result<(), Fault> {
            let one = s.shell("one", "a")?;
            let two = s.shell("two", "b")?;
            // Refined in each repetition, though its answer is long known.
            s.timeout(two, 60)?;
            s.succeeded(one)?;
            let three = s.shell("three", "c")?;
            s.timeout(three, 60)?;
            // Already carried out with the first: no new batch, no suspension, and
            // `three` can still be refined.
            s.succeeded(two)?;
            s.attempts(three, 2)?;
            s.output(three)?;
            Ok(())
        };
        let returned = body(&mut s).is_ok().then_some(Ok(()));
        s.end(returned)
    };
    let first = run(vec![], None).unwrap();
    assert!(
        matches!(&first.ending, Ending::Suspended { question } if question.to_string() == "succeeded(0)")
    );
    assert_eq!(first.steps.len(), 2);
    let second = run(vec![done(""); 2], Some(first.transcript)).unwrap();
    assert!(
        matches!(&second.ending, Ending::Suspended { question } if question.to_string() == "output(2)")
    );
    assert_eq!(second.steps[2].attempts, 2);
    let third = run(vec![done(""); 3], Some(second.transcript.clone())).unwrap();
    assert_eq!(third.ending, Ending::Returned(Ok(())));
    assert_eq!(third.transcript, second.transcript);
    // A history that ends in the middle of a batch is one that must go on.
    let half = run(vec![done("")], None).unwrap();
    assert!(matches!(half.ending, Ending::Suspended { .. }));
}

#[test]
fn what_has_been_carried_out_can_not_be_refined() {
    let mut s = session(Role::Builder, vec![done(""), done("")], None);
    s.shell("first", "a").unwrap();
    s.shell("second", "b").unwrap();
    s.succeeded(0).unwrap();
    assert_eq!(
        message(s.timeout(1, 900)),
        r#"timeout(1, 900): step 1 ("second") has been carried out"#
    );
    // The first fault stays, whatever comes after it.
    assert!(s.shell("third", "c").is_err());
    assert_eq!(
        message(s.end(Some(Ok(())))),
        r#"timeout(1, 900): step 1 ("second") has been carried out"#
    );
}

#[test]
fn kinds_and_ranges_are_checked() {
    let fault = |call: &dyn Fn(&mut Session) -> Result<(), Fault>| {
        let mut s = builder();
        s.shell("script", "true").unwrap();
        s.write("file", "/a", "x").unwrap();
        s.reboot("reboot").unwrap();
        message(call(&mut s))
    };
    let mode = fault(&|s| s.mode(0, 0o644));
    assert!(
        mode.contains(r#"step 0 ("script") is a script, not a file"#),
        "{mode}"
    );
    let decimal = fault(&|s| s.mode(1, 755));
    assert!(decimal.contains("write 0o755"), "{decimal}");
    let output = fault(&|s| s.expect_output(1, "x"));
    assert!(
        output.contains(r#"step 1 ("file") is a file, not a script"#),
        "{output}"
    );
    let reboot = fault(&|s| s.attempts(2, 2));
    assert!(
        reboot.contains("is a reboot, not anything but a reboot"),
        "{reboot}"
    );
    let never = fault(&|s| s.timeout(3, 60));
    assert!(
        never.contains("there is no step 3; the last one is 2"),
        "{never}"
    );
    let pattern = fault(&|s| s.expect_match(0, "(unclosed"));
    assert!(
        pattern.contains("the pattern can't be compiled"),
        "{pattern}"
    );
    let user = fault(&|s| s.run_as(0, "-rf /"));
    assert!(user.contains("is no name"), "{user}");
    let relative = fault(&|s| s.directory(0, "srv"));
    assert!(relative.contains("is not absolute"), "{relative}");
    let empty = fault(&|s| s.shell("", "x").map(drop));
    assert!(empty.contains("the name is empty"), "{empty}");
    let windows = fault(&|s| s.powershell("x", "Get-Date").map(drop));
    assert!(
        windows.contains("the machine is of the family linux"),
        "{windows}"
    );
    let long = fault(&|s| s.write("x", "/a", &"x".repeat((1 << 20) + 1)).map(drop));
    assert!(
        long.contains("the text has 1048577 bytes; 1048576 are allowed"),
        "{long}"
    );
    assert!(long.len() < 400, "{long}");
}

#[test]
fn scripts_follow_the_family() {
    let mut s = Session::new(
        Limits::default(),
        Role::Builder,
        Inputs::default(),
        Machine {
            family: "windows".into(),
            ..Machine::default()
        },
        Arc::default(),
        None,
    );
    s.powershell("a", "Get-Date").unwrap();
    s.cmd("b", "ver").unwrap();
    s.write("c", r"C:\motd.txt", "x").unwrap();
    let steps = s.end(Some(Ok(()))).unwrap().steps;
    let languages: Vec<_> = steps
        .iter()
        .filter_map(|step| match step.kind {
            StepKind::Shell { language, .. } => Some(language),
            _ => None,
        })
        .collect();
    assert_eq!(languages, [Language::PowerShell, Language::Cmd]);
}

#[test]
fn answers_are_those_of_the_history() {
    let long = format!("{}é{}", "x".repeat(100), "y".repeat((16 << 10) - 1));
    let mut s = session(Role::Builder, vec![done(&long)], None);
    s.shell("a", "b").unwrap();
    // Sixteen KiB would begin in the middle of the é.
    assert_eq!(s.output(0).unwrap(), "y".repeat((16 << 10) - 1));
    assert_eq!(s.size(0).unwrap(), long.len() as u64);
    assert_eq!(s.read(0, 98, 4).unwrap(), "xxé".as_bytes());
    assert_eq!(s.read(0, u64::MAX, u32::MAX).unwrap(), b"");
    assert_eq!(s.read(0, 0, u32::MAX).unwrap().len(), long.len());
    assert_eq!(s.exit_code(0).unwrap(), 0);
}

#[test]
fn content_that_can_not_be_read_is_not_the_components_mistake() {
    struct Gone;
    impl Content for Gone {
        fn read(&self, _: u64, _: usize) -> io::Result<Vec<u8>> {
            Err(io::Error::other("the log is gone"))
        }
    }
    let result = StepResult {
        content: Some(Arc::new(Gone)),
        ..done("")
    };
    let mut s = session(Role::Builder, vec![result], None);
    s.shell("a", "b").unwrap();
    let error = s.read(0, 0, 1).unwrap_err();
    assert!(matches!(error, Fault::Content { .. }));
    assert!(error.to_string().contains("the log is gone"));
}

#[test]
fn arguments_add_up_and_are_for_scripts_that_can_be_given_one() {
    let mut s = builder();
    let step = s.shell("a", "echo \"$@\"").unwrap();
    for value in ["-n", "", "a b\n"] {
        s.argument(step, value).unwrap();
    }
    let steps = s.end(Some(Ok(()))).unwrap().steps;
    assert_eq!(steps[0].arguments, ["-n", "", "a b\n"]);

    let mut s = builder();
    let step = s.shell("a", "b").unwrap();
    s.argument(step, &"x".repeat(120 << 10)).unwrap();
    let text = message(s.argument(step, &"x".repeat((120 << 10) + 1)));
    assert!(text.contains("122880 are allowed"), "{text}");
    let mut s = builder();
    let step = s.shell("a", "b").unwrap();
    assert!(message(s.argument(step, &Marker::of("pass"))).contains("the secret \"pass\""));
}

#[test]
fn windows_has_no_other_users_and_shorter_variables() {
    let scripts = || {
        let machine = Machine {
            family: "windows".into(),
            ..Machine::default()
        };
        let (inputs, history) = (Inputs::default(), Arc::default());
        Session::new(
            Limits::default(),
            Role::Builder,
            inputs,
            machine,
            history,
            None,
        )
    };
    let windows = |refine: fn(&mut Session) -> Result<(), Fault>| {
        let mut s = scripts();
        s.cmd("c", "dir").unwrap();
        s.powershell("p", "dir").unwrap();
        refine(&mut s)
    };
    windows(|s| s.argument(1, "it's")).unwrap();
    let text = message(windows(|s| s.argument(0, "x")));
    assert!(text.contains("given an argument safely"), "{text}");
    for step in [0, 1] {
        let refused = |s: &mut Session| s.run_as(step, "somebody");
        let mut s = scripts();
        s.cmd("c", "dir").unwrap();
        s.powershell("p", "dir").unwrap();
        assert!(message(refused(&mut s)).contains("a password"), "{step}");
    }
    // Characters count as Windows counts them: this one is two.
    windows(|s| s.environment(0, "A", &"x".repeat(32764))).unwrap();
    let text = message(windows(|s| s.environment(1, "A", &"😀".repeat(16383))));
    assert!(
        text.contains("32766 characters; Windows allows 32764"),
        "{text}"
    );
}

#[test]
fn output_is_without_the_line_breaks_at_its_end() {
    let mut s = session(Role::Builder, vec![done("\na \r\n\n")], None);
    s.shell("a", "b").unwrap();
    assert_eq!(s.output(0).unwrap(), "\na ");
    assert_eq!(s.read(0, 0, 100).unwrap(), b"\na \r\n\n");
}

#[test]
fn results_belong_to_roles_and_count_when_the_call_returns() {
    let mut s = builder();
    s.publish("url", "\"http://x\"").unwrap();
    s.publish("url", "[1]").unwrap();
    s.message(Level::Info, "hello").unwrap();
    let report = s.end(Some(Err("no".into()))).unwrap().report;
    assert_eq!(report.published["url"], json!([1]));

    let mut s = builder();
    s.publish_text("words", "it's \"so\"").unwrap();
    assert!(message(s.publish_text("Words", "")).contains("no name of an output"));
    let mut s = builder();
    s.publish_text("words", "it's \"so\"").unwrap();
    let report = s.end(Some(Ok(()))).unwrap().report;
    assert_eq!(report.published["words"], json!("it's \"so\""));

    let mut s = builder();
    s.publish("url", "1").unwrap();
    s.message(Level::Info, "hello").unwrap();
    s.shell("a", "b").unwrap();
    assert_eq!(s.output(0).unwrap_err(), Fault::Suspend);
    let report = s.end(None).unwrap().report;
    assert!(report.published.is_empty());
    assert_eq!(report.messages.len(), 1);

    assert!(message(builder().passed("x")).contains("only a tester reports this"));
    assert!(message(builder().intact("x")).contains("only a repairer reports this"));
    let mut tester = session(Role::Tester, vec![], None);
    assert!(message(tester.publish("x", "1")).contains("it runs as tester"));
    let text = message(builder().publish("x", "hello"));
    assert!(
        text.contains("no JSON text") && text.contains("`publish-text` takes"),
        "{text}"
    );
    let mut repairer = session(Role::Repairer, vec![], None);
    assert!(message(repairer.unrepaired("x", "huge", "")).contains("high, medium and low"));
}

#[test]
fn limits_name_the_call() {
    let tight = Limits {
        steps: 1,
        declared_bytes: 100,
        results: 1,
        ..Limits::default()
    };
    let new = || {
        Session::new(
            tight.clone(),
            Role::Builder,
            Inputs::default(),
            Machine::default(),
            Arc::default(),
            None,
        )
    };
    let mut s = new();
    s.shell("a", "b").unwrap();
    assert_eq!(
        message(s.shell("c", "d")),
        r#"shell("c", "d"): more than 1 steps"#
    );
    assert!(
        message(new().shell("a", &"x".repeat(100))).contains("more than 100 bytes in all steps")
    );
    let mut s = new();
    s.publish("a", "1").unwrap();
    assert!(message(s.publish("a", "1")).contains("more than 1 results"));
}

#[test]
fn an_asset_must_be_there() {
    let names: Arc<[String]> = Arc::new(["site/index.html".to_owned()]);
    let mut s = builder().with_assets(names);
    s.write_asset("site", "/var/www/", "site").unwrap();
    assert!(
        message(s.write_asset("x", "/x", "other")).contains(r#"the package has no asset "other""#)
    );
}

fn description() -> Description {
    Description::parse(
        r#"{"summary": "s", "unknown": 1, "families": ["linux"], "parameters": {
            "type": "object", "required": ["name"],
            "properties": {
                "name": {"type": "string", "pattern": "^[a-z]+$"},
                "port": {"type": "integer", "default": 80},
                "big": {"type": "integer"},
                "rate": {"type": "number"},
                "fast": {"type": "boolean"},
                "list": {"type": "array", "items": {"type": "string"}},
                "nested": {"type": "object", "properties": {"deep": {"type": "integer", "default": 1}}},
                "key": {"type": "string", "secret": true}
            }}}"#,
    )
    .unwrap()
}

fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other}"),
    }
}

#[test]
fn all_mistakes_in_arguments_are_reported_with_their_paths() {
    let given = map(json!({"name": "A", "port": "x", "list": ["a", 1], "nmae": 1}));
    let mistakes = description().check_arguments(&given).unwrap_err();
    let text: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(text.len(), 4, "{text:?}");
    assert!(
        text.iter()
            .any(|t| t.starts_with("nmae: there is no parameter \"nmae\"; there are "))
    );
    assert!(text.iter().any(|t| t.starts_with("name: ")));
    assert!(text.iter().any(|t| t.starts_with("port: ")));
    assert!(text.iter().any(|t| t.starts_with("list.1: ")), "{text:?}");
    let missing = description().check_arguments(&Map::new()).unwrap_err();
    assert!(
        missing[0].path.is_empty() && missing[0].message.contains("name"),
        "{missing:?}"
    );
}

#[test]
fn inputs_are_typed_and_defaults_filled_in() {
    let given =
        map(json!({"name": "web", "nested": {}, "list": ["a"], "big": 9_007_199_254_740_993_i64}));
    let inputs = description().inputs(&given).unwrap();
    let mut s = Session::new(
        Limits::default(),
        Role::Builder,
        inputs.clone(),
        Machine::default(),
        Arc::default(),
        None,
    );
    assert_eq!(s.text("name").unwrap().unwrap(), "web");
    assert_eq!(s.integer("port").unwrap(), Some(80));
    assert_eq!(s.number("port").unwrap(), Some(80.0));
    assert_eq!(s.number("rate").unwrap(), None);
    assert_eq!(s.flag("fast").unwrap(), None);
    assert_eq!(s.texts("list").unwrap(), ["a"]);
    assert_eq!(s.json_text("nested").unwrap().unwrap(), r#"{"deep":1}"#);
    let all: Value = serde_json::from_str(&s.json_object().unwrap()).unwrap();
    assert_eq!(all["port"], json!(80));
    assert_eq!(s.machine("root").unwrap().root, "/");
    assert!(message(s.integer("big")).contains("beyond 2^53 - 1"));
    assert_eq!(inputs.secrets().iter().collect::<Vec<_>>(), ["key"]);
}

#[test]
fn descriptions_that_are_wrong() {
    let error = |text: &str| Description::parse(text).unwrap_err().to_string();
    assert!(error("[]").contains("no JSON object"));
    assert!(
        error(r#"{"summary":" ","parameters":{"type":"object"}}"#).contains("`summary` is empty")
    );
    assert!(error(r#"{"summary":"s","parameters":{}}"#).contains(r#""type": "object""#));
    let with = |property: &str| {
        error(&format!(
            r#"{{"summary":"s","parameters":{{"type":"object","properties":{{"a":{property}}}}}}}"#
        ))
    };
    assert!(with(r#"{"type":"strin"}"#).contains("no JSON Schema"));
    assert!(with(r#"{"$ref":"https://example.com/x.json"}"#).contains("no JSON Schema"));
    assert!(with(r#"{"type":"integer","secret":true}"#).contains("secret"));
    let default = with(r#"{"type":"integer","default":"x"}"#);
    assert!(
        default.contains(r#"the default of the parameter "a""#),
        "{default}"
    );
    let long = format!(r#"{{"summary":"{}"}}"#, "x".repeat(Description::MOST_BYTES));
    assert!(error(&long).contains("262144 are allowed"));
    assert!(description().is_for("linux"));
    assert!(!description().is_for("windows"));
}

/// A builder with a secret parameter `key`, which was given the secret `db`.
fn with_secret() -> Session {
    let text = json!({"summary": "s", "parameters": {"type": "object", "properties": {
        "key": {"type": "string", "secret": true, "maxLength": 8, "pattern": "^x"},
    }}});
    let description = Description::parse(&text.to_string()).unwrap();
    let given = json!({"key": format!("x{}", Marker::of("db"))});
    let inputs = description.inputs(given.as_object().unwrap()).unwrap();
    let (history, machine) = (Arc::default(), Machine::default());
    Session::new(
        Limits::default(),
        Role::Builder,
        inputs,
        machine,
        history,
        None,
    )
}

/// A place where a secret might be tried.
type Use<'a> = &'a dyn Fn(&mut Session) -> Result<(), Fault>;

#[test]
fn a_secret_stands_in_environment_and_written_text_only() {
    let mut s = with_secret();
    let marker = s.text("key").unwrap().unwrap();
    let step = s.shell("run", "echo").unwrap();
    s.environment(step, "KEY", &marker).unwrap();
    s.write("file", "/etc/key", &format!("key = {marker}\n"))
        .unwrap();
    let ended = s.end(Some(Ok(()))).unwrap();
    assert_eq!(ended.steps[0].environment, [("KEY".into(), marker.clone())]);

    let m = marker.as_str();
    let digest = "0a".repeat(32);
    let wrong: [(&str, Use<'_>); 13] = [
        ("script", &|s| s.shell("a", m).map(drop)),
        ("name", &|s| s.shell(m, "a").map(drop)),
        ("name", &|s| s.reboot(m).map(drop)),
        ("path", &|s| s.write("a", &format!("/{m}"), "").map(drop)),
        ("file", &|s| {
            s.write_bytes("a", "/a", m.as_bytes()).map(drop)
        }),
        ("asset", &|s| s.write_asset("a", "/a", m).map(drop)),
        ("address", &|s| {
            s.download("a", "/a", &format!("https://{m}"), &digest)
                .map(drop)
        }),
        ("path", &|s| s.collect("a", &format!("/{m}"), 1).map(drop)),
        ("user", &|s| {
            s.shell("a", "a").and_then(|of| s.run_as(of, m))
        }),
        ("path", &|s| {
            s.shell("a", "a")
                .and_then(|of| s.directory(of, &format!("/{m}")))
        }),
        ("text", &|s| {
            s.shell("a", "a").and_then(|of| s.expect_output(of, m))
        }),
        ("text", &|s| {
            s.shell("a", "a").and_then(|of| s.expect_no_output(of, m))
        }),
        ("pattern", &|s| {
            s.shell("a", "a").and_then(|of| s.expect_match(of, m))
        }),
    ];
    for (index, (what, call)) in wrong.iter().enumerate() {
        let said = message(call(&mut with_secret()));
        let words = format!("the {what} holds the secret \"db\", which may only stand in");
        assert!(said.contains(&words), "{index}: {said}");
    }
    // Whoever knows a name can write its marker, and has nothing of it.
    let mut s = with_secret();
    let step = s.shell("run", "echo").unwrap();
    let said = message(s.environment(step, "KEY", &Marker::of("other")));
    assert!(
        said.contains("\"other\", which this component was not given"),
        "{said}"
    );
    let said = message(with_secret().write("a", "/a", &Marker::of("third")));
    assert!(
        said.contains("\"third\", which this component was not given"),
        "{said}"
    );
}

#[test]
fn secrets_are_for_secret_parameters_and_nothing_else_is() {
    let text = json!({"summary": "s", "parameters": {"type": "object", "properties": {
        "key": {"type": "string", "secret": true},
        "open": {"type": "array"},
    }}});
    let description = Description::parse(&text.to_string()).unwrap();
    let given = json!({"key": "hunter2", "open": [{"a": Marker::of("db")}]});
    let mistakes = description
        .check_arguments(given.as_object().unwrap())
        .unwrap_err();
    let said: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "key: \"key\" is a secret parameter, but this text stands in the template for all \
             to read: name its source under `secrets`, and write ${{ secrets.key }} here",
            "open: \"open\" is no secret parameter, so that the secret \"db\" would be shown; \
             secret ones are \"key\"",
        ]
    );
}
