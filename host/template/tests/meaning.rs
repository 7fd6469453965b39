//! What a template without mistakes comes to: overlays, parameters, places.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use darkroom_template::{
    BuildItem, Cloud, OnTestFailure, Repair, ResolveWith, Resolved, SecretFrom, Severity, Source,
    TestItem, UsesRef, nearest, parse,
};
use serde_json::json;

const TEMPLATE: &str = r#"
name: web-server
source: { family: debian-12 }
parameters:
  greeting: { default: hello, pattern: '^[a-z ]+$', description: What the page says }
  port: { type: integer, default: 80, minimum: 1, maximum: 65535 }
  packages: { type: list, default: [nginx] }
  tls: { type: boolean, default: false }
  load: { type: number, default: 0.5 }
repair: [fstab]
build:
  - uses: darkroom:packages@0.1
    with:
      install: '${{ parameters.packages }}'
      upgrade: true
      listen: [{ port: '${{ parameters.port }}', text: 'p${{parameters.port}}-${{ parameters.tls }}' }]
  - run: |
      printf '%s\n' "$GREETING" > /var/www/html/index.html
    env: { GREETING: '${{ parameters.greeting }}!', PORT: 8080, FLAG: true, LOAD: '${{ parameters.load }}' }
  - run: echo "}}"
    name: Say braces
  - reboot: {}
  - uses: ./greeting/greeting.wasm
test:
  - uses: darkroom:service
    with: { name: nginx, port: '${{ parameters.port }}' }
instance: { internet: 10, disk: 20 }
image: { family: web, tags: { team: web, tier: 1 } }
distribute: { regions: [cn-shanghai, cn-beijing], accounts: [0234567890123456] }
on:
  local:
    instance: { disk: 4 }
  aliyun:
    source: { image: m-bp1 }
    instance: { vswitch: vsw-1, security-group: sg-1, type: ecs.g7.large, spot: true }
    image: { tags: { tier: two, cost: low } }
    distribute: { regions: [cn-hangzhou], accounts: ['1234567890123456'] }
"#;

fn resolve(cloud: Cloud, given: &[(&str, &str)], region: Option<&str>) -> Resolved {
    let parameters: Vec<_> = given
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect();
    let template = parse(TEMPLATE, "image.yaml").unwrap();
    let with = ResolveWith {
        cloud,
        parameters: &parameters,
        region,
    };
    template.resolve(with).unwrap()
}

fn words(list: &[darkroom_template::Spanned<String>]) -> Vec<&str> {
    list.iter().map(|word| word.value.as_str()).collect()
}

#[test]
fn overlays_are_merged_for_their_cloud_only() {
    let local = resolve(Cloud::Local, &[], None);
    assert!(matches!(&local.source, Source::Family(name) if name.value == "debian-12"));
    assert_eq!(local.instance.disk.as_ref().unwrap().value, 4);
    assert_eq!(local.instance.internet.as_ref().unwrap().value, 10);
    assert!(local.instance.vswitch.is_none() && !local.instance.spot);
    assert_eq!(
        words(&local.distribute.regions),
        ["cn-shanghai", "cn-beijing"]
    );
    // Written without quotes; its zero is part of it all the same.
    assert_eq!(words(&local.distribute.accounts), ["0234567890123456"]);
    assert_eq!(local.region, "cn-shanghai");

    let aliyun = resolve(Cloud::Aliyun, &[], None);
    assert!(matches!(&aliyun.source, Source::Image(id) if id.value == "m-bp1"));
    assert_eq!(aliyun.instance.disk.as_ref().unwrap().value, 20);
    assert!(aliyun.instance.spot);
    assert_eq!(words(&aliyun.distribute.regions), ["cn-hangzhou"]);
    assert_eq!(aliyun.image.family.as_ref().unwrap().value, "web");
    let tags: Vec<_> = aliyun
        .image
        .tags
        .iter()
        .map(|(key, value)| (key.as_str(), value.value.as_str()))
        .collect();
    assert_eq!(tags, [("team", "web"), ("tier", "two"), ("cost", "low")]);
}

#[test]
fn the_region_is_asked_for_or_the_first_or_the_default() {
    assert_eq!(
        resolve(Cloud::Local, &[], Some("eu-central-1")).region,
        "eu-central-1"
    );
    let template = parse("name: web\nsource: { family: a1 }\n", "image.yaml").unwrap();
    let with = ResolveWith {
        cloud: Cloud::Local,
        parameters: &[],
        region: None,
    };
    assert_eq!(template.resolve(with).unwrap().region, "cn-hangzhou");
}

#[test]
fn parameters_arrive_with_their_types() {
    let given = [
        ("port", "443"),
        ("packages", "nginx, curl"),
        ("greeting", "good day"),
        ("tls", "true"),
    ];
    let resolved = resolve(Cloud::Local, &given, None);
    let BuildItem::Uses(packages) = &resolved.build[0] else {
        panic!()
    };
    assert_eq!(
        serde_json::Value::Object(packages.with.clone()),
        json!({"install": ["nginx", "curl"], "upgrade": true, "listen": [{"port": 443, "text": "p443-true"}]})
    );
    let BuildItem::Run(run) = &resolved.build[1] else {
        panic!()
    };
    let env: Vec<_> = run
        .env
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    assert_eq!(
        env,
        [
            ("GREETING", "good day!"),
            ("PORT", "8080"),
            ("FLAG", "true"),
            ("LOAD", "0.5")
        ]
    );
    assert_eq!(
        run.script,
        "printf '%s\\n' \"$GREETING\" > /var/www/html/index.html\n"
    );
    assert_eq!(
        run.title(),
        "printf '%s\\n' \"$GREETING\" > /var/www/html/index.html"
    );
    let TestItem::Uses(service) = &resolved.test[0] else {
        panic!()
    };
    assert_eq!(service.with["port"], 443);
    assert_eq!(resolved.parameters["load"], 0.5);
    let json_list = resolve(Cloud::Local, &[("packages", r#"["a,b"]"#)], None);
    assert_eq!(json_list.parameters["packages"], json!(["a,b"]));
    assert_eq!(
        resolve(Cloud::Local, &[("packages", "")], None).parameters["packages"],
        json!([])
    );
}

#[test]
fn a_value_brings_no_references_of_its_own() {
    let template = parse(
        "name: web\nsource: { family: a1 }\nparameters: { a: {}, b: { default: secret } }\nbuild:\n  - run: x\n    env: { A: '${{ parameters.a }}' }\n",
        "image.yaml",
    )
    .unwrap();
    let parameters = [("a".to_owned(), "${{ parameters.b }}".to_owned())];
    let with = ResolveWith {
        cloud: Cloud::Local,
        parameters: &parameters,
        region: None,
    };
    let resolved = template.resolve(with).unwrap();
    let BuildItem::Run(run) = &resolved.build[0] else {
        panic!()
    };
    assert_eq!(run.env[0].1, "${{ parameters.b }}");
}

#[test]
fn items_and_repairs() {
    let resolved = resolve(Cloud::Local, &[], None);
    assert!(matches!(&resolved.repair.value, Repair::Items(items) if words(items) == ["fstab"]));
    let BuildItem::Uses(packages) = &resolved.build[0] else {
        panic!()
    };
    assert_eq!(
        packages.reference,
        UsesRef::System {
            name: "packages".into(),
            version: Some("0.1".into())
        }
    );
    let BuildItem::Run(braces) = &resolved.build[2] else {
        panic!()
    };
    assert_eq!(
        (braces.title().as_str(), braces.script.as_str()),
        ("Say braces", "echo \"}}\"")
    );
    assert!(matches!(resolved.build[3], BuildItem::Reboot { .. }));
    let BuildItem::Uses(greeting) = &resolved.build[4] else {
        panic!()
    };
    assert_eq!(
        greeting.reference,
        UsesRef::Path("./greeting/greeting.wasm".into())
    );
}

#[test]
fn others_report_at_the_place_of_an_argument() {
    let resolved = resolve(Cloud::Local, &[], None);
    let at = |span: darkroom_template::Span| &TEMPLATE[span.start..span.end];
    let BuildItem::Uses(packages) = &resolved.build[0] else {
        panic!()
    };
    assert_eq!(at(packages.span), "darkroom:packages@0.1");
    assert_eq!(at(packages.argument_span(&["upgrade"])), "true");
    assert_eq!(
        at(packages.argument_span(&["listen", "0", "port"])),
        "'${{ parameters.port }}'"
    );
    // Nothing there: the nearest value around it, or the component.
    assert_eq!(at(packages.argument_span(&["upgrade", "x"])), "true");
    assert_eq!(
        at(packages.argument_span(&["missing"])),
        "darkroom:packages@0.1"
    );
    assert_eq!(at(packages.argument_key_span("listen").unwrap()), "listen");
    let BuildItem::Uses(greeting) = &resolved.build[4] else {
        panic!()
    };
    assert_eq!(
        at(greeting.argument_span(&["name"])),
        "./greeting/greeting.wasm"
    );

    let mistake = resolved.mistake_at(packages.span, "no such component", Some("hint".into()));
    assert_eq!(mistake.to_string(), "image.yaml:12:11: no such component");
    assert_eq!(at(resolved.distribute.regions[1].span), "cn-beijing");
}

#[test]
fn anchors_and_the_words_of_yaml_work() {
    let template = parse(
        "name: web\nsource: { family: a1 }\nbuild:\n  - uses: ./a.wasm\n    with: &same { a: [1, null, yes, 1.5] }\n  - uses: ./b.wasm\n    with: *same\n",
        "image.yaml",
    )
    .unwrap();
    let with = ResolveWith {
        cloud: Cloud::Local,
        parameters: &[],
        region: None,
    };
    let resolved = template.resolve(with).unwrap();
    let BuildItem::Uses(second) = &resolved.build[1] else {
        panic!()
    };
    assert_eq!(second.with["a"], json!([1, null, "yes", 1.5]));
}

#[test]
fn nearest_is_for_everyone() {
    assert_eq!(nearest("packges", ["packages", "files"]), Some("packages"));
    assert_eq!(
        "aliyn".parse::<Cloud>().unwrap_err().to_string(),
        "`aliyn` is not a cloud; it can be `local` or `aliyun`"
    );
}

/// `tests/good/everything.yaml` for a cloud.
fn everything(cloud: Cloud, given: &[(&str, &str)]) -> Resolved {
    let given: Vec<_> = given
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect();
    let template = parse(include_str!("good/everything.yaml"), "everything.yaml").unwrap();
    let with = ResolveWith {
        cloud,
        parameters: &given,
        region: None,
    };
    template.resolve(with).unwrap()
}

fn variables(item: &BuildItem) -> Vec<(&str, &str)> {
    let BuildItem::Run(run) = item else {
        return Vec::new();
    };
    let env = run.env.iter();
    env.map(|(name, text)| (name.as_str(), text.as_str()))
        .collect()
}

#[test]
fn expressions_are_computed_everywhere() {
    let local = everything(Cloud::Local, &[]);
    assert!(matches!(&local.source, Source::Family(name) if name.value == "debian-12"));
    let BuildItem::Uses(packages) = &local.build[0] else {
        panic!()
    };
    assert_eq!(packages.with["install"], json!(["nginx"]));
    assert_eq!(packages.with["extra"], json!(["curl", { "port": 81 }]));
    let marker = darkroom_contract::secret::Marker::of;
    assert_eq!(packages.with["password"], json!(marker("db-password")));
    assert_eq!(
        variables(&local.build[3]),
        [
            ("TITLE", "It's here in cn-hangzhou on local"),
            ("URL", "http://localhost:80/"),
            ("PACKAGES", "NGINX"),
            ("KEY", marker("tls-key").as_str()),
            ("PORT", "8080"),
            ("FLAG", "true"),
        ]
    );
    assert_eq!(local.instance.disk.as_ref().unwrap().value, 40);
    assert_eq!(words(&local.instance.types), ["ecs.t6-c1m1.large"]);
    assert_eq!(words(&local.distribute.regions), ["cn-hangzhou"]);

    let given = [
        ("tls", "true"),
        ("regions", "eu-central-1,us-east-1"),
        ("disk-size", "50"),
    ];
    let aliyun = everything(Cloud::Aliyun, &given);
    assert!(matches!(&aliyun.source, Source::Snapshot(id) if id.value == "s-bp1"));
    assert_eq!(aliyun.region, "eu-central-1");
    assert_eq!(
        words(&aliyun.distribute.regions),
        ["eu-central-1", "us-east-1"]
    );
    assert_eq!(
        words(&aliyun.instance.types),
        ["ecs.g7.large", "ecs.g7.xlarge"]
    );
    assert_eq!(aliyun.image.name.as_ref().unwrap().value, "everything-80");
    assert_eq!(aliyun.image.tags[2].1.value, "eu-central-1");
    assert_eq!(
        variables(&aliyun.build[3])[0..2],
        [
            ("TITLE", "It's here in eu-central-1 on aliyun"),
            ("URL", "https://localhost:80/")
        ]
    );
    let disks: Vec<_> = aliyun
        .instance
        .disks
        .iter()
        .map(|disk| disk.size.value)
        .collect();
    assert_eq!(disks, [20, 100]);
    assert_eq!(
        aliyun.instance.disks[1].snapshot.as_ref().unwrap().value,
        "s-bp1"
    );
}

#[test]
fn files_secrets_tests_and_what_is_kept() {
    let resolved = everything(Cloud::Local, &[]);
    let BuildItem::Copy(copy) = &resolved.build[1] else {
        panic!()
    };
    assert_eq!(
        (copy.from.as_str(), copy.to.as_str()),
        ("./site", "/var/www/everything")
    );
    assert_eq!(
        (copy.mode, copy.owner.as_deref()),
        (Some(0o644), Some("www-data:www-data"))
    );
    assert_eq!((copy.ignore.len(), copy.title().as_str()), (2, "The site"));
    let BuildItem::Copy(motd) = &resolved.build[2] else {
        panic!()
    };
    assert_eq!(motd.title(), "copy ./motd to /etc/motd");
    let secrets: Vec<_> = resolved
        .secrets
        .iter()
        .map(|secret| (secret.name.as_str(), &secret.from))
        .collect();
    assert_eq!(
        secrets,
        [
            (
                "db-password",
                &SecretFrom::Environment("DB_PASSWORD".into())
            ),
            ("tls-key", &SecretFrom::File("./keys/tls.pem".into())),
            (
                "token",
                &SecretFrom::Command(["pass", "show", "ci/token", "8"].map(String::from).to_vec())
            ),
        ]
    );
    let TestItem::Run(run) = &resolved.test[1] else {
        panic!()
    };
    assert_eq!(
        (run.title().as_str(), run.script.as_str()),
        ("It answers", "curl -fs \"$URL\"")
    );
    assert_eq!(resolved.on_test_failure, OnTestFailure::Delete);
    assert_eq!(resolved.checkpoint, Some(true));
    assert_eq!(resolved.retain.unwrap().keep, 3);
    assert_eq!(resolved.rebuild.unwrap().max_age.as_secs(), 36 * 3600);
}

#[test]
fn a_warning_is_no_error() {
    let resolved = everything(Cloud::Local, &[]);
    let mistake = resolved.mistake_at(resolved.name.span, "it may be slow", None);
    assert_eq!(mistake.severity, Severity::Error);
    let warning = mistake.warning();
    assert_eq!(warning.severity, Severity::Warning);
    assert_eq!(
        miette::Diagnostic::severity(&warning),
        Some(miette::Severity::Warning)
    );
}

const MATRIX: &str = "\
name: web-${{ matrix.base }}-${{ matrix.size }}
matrix:
  base: [debian-12, debian-13]
  size: [1, 2]
parameters: { owner: { default: ops } }
source: { family: '${{ matrix.base }}' }
build:
  - run: x
    env: { SIZE: 'n${{ matrix.size }}', OWNER: '${{ parameters.owner }}', ME: '${{ name }}' }
instance: { disk: '${{ matrix.size * 20 }}' }
";

#[test]
fn each_cell_of_a_matrix_is_a_build_of_its_own() {
    let template = parse(MATRIX, "image.yaml").unwrap();
    assert!(template.has_matrix());
    let given = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        let own = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        pairs.iter().map(own).collect()
    };
    let names = |given: &[(String, String)]| -> Vec<String> {
        let with = ResolveWith {
            cloud: Cloud::Local,
            parameters: given,
            region: None,
        };
        let cells = template.cells(with).unwrap().into_iter();
        cells.map(|cell| cell.name).collect()
    };
    assert_eq!(
        names(&[]),
        [
            "web-debian-12-1",
            "web-debian-12-2",
            "web-debian-13-1",
            "web-debian-13-2"
        ]
    );
    let some = given(&[("matrix.size", "2"), ("owner", "me")]);
    assert_eq!(names(&some), ["web-debian-12-2", "web-debian-13-2"]);
    let with = ResolveWith {
        cloud: Cloud::Local,
        parameters: &some,
        region: None,
    };
    // What a cell says is all that it takes to resolve it.
    let cells = template.cells(with).unwrap();
    let resolved = template
        .resolve(ResolveWith {
            parameters: &cells[1].given,
            ..with
        })
        .unwrap();
    assert_eq!(resolved.name.value, "web-debian-13-2");
    assert_eq!(
        json!(resolved.matrix),
        json!({ "base": "debian-13", "size": 2 })
    );
    assert!(matches!(&resolved.source, Source::Family(name) if name.value == "debian-13"));
    assert_eq!(resolved.instance.disk.as_ref().unwrap().value, 40);
    let BuildItem::Run(run) = &resolved.build[0] else {
        panic!()
    };
    let values: Vec<_> = run.env.iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!(values, ["n2", "me", "web-debian-13-2"]);
    // One cell is resolved at a time.
    let several = template.resolve(with).unwrap_err().to_string();
    assert!(several.contains("2 of its cells are meant"), "{several}");
}
