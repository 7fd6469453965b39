//! What people read when a template is wrong: every message with its place and its
//! help, as golden files.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fmt::Write as _;

use darkroom_template::{Cloud, Mistakes, ResolveWith, Resolved, parse};

/// A template whose only content is the given lines beside name and source.
fn with(lines: &str) -> String {
    format!("name: web\nsource: {{ family: debian-12 }}\n{lines}")
}

fn plain(mistakes: &Mistakes) -> String {
    let mut text = String::new();
    for mistake in &mistakes.0 {
        writeln!(text, "{mistake}").unwrap();
        writeln!(text, "    [{}]", mistake.label).unwrap();
        if let Some(help) = &mistake.help {
            writeln!(text, "    help: {help}").unwrap();
        }
    }
    text
}

fn mistakes(source: &str) -> String {
    plain(&parse(source, "image.yaml").unwrap_err())
}

fn resolve(source: &str, cloud: Cloud, given: &[(&str, &str)]) -> Result<Resolved, String> {
    let given: Vec<_> = given
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect();
    let template = parse(source, "image.yaml").map_err(|mistakes| plain(&mistakes))?;
    let with = ResolveWith {
        cloud,
        parameters: &given,
        region: None,
    };
    template.resolve(with).map_err(|mistakes| plain(&mistakes))
}

macro_rules! golden {
    ($($test:ident: $source:expr;)*) => {
        $(#[test]
        fn $test() {
            insta::assert_snapshot!(mistakes(&$source));
        })*
    };
}

golden! {
    unknown_keys: with("biuld: []\ninstance: { kind: x, securityGroup: sg-1 }\nquark: 1\n");
    wrong_types: with(
        "build: yes please\ntest: {}\ninstance: { disk: '40', internet: 1.5, spot: 'yes', type: 7 }\n\
         image: web\ndistribute: { regions: cn-hangzhou }\nrepair: 7\nparameters: [a]\n"
    );
    wrong_values: with(
        "instance: { type: g7.large, internet: 101, vswitch: sg-1, security-group: vsw-1, disk: 0 }\n\
         image: { name: 1web, family: acs:web, description: x, tags: { 'acs:a': b, c: 'http://x' } }\n\
         distribute:\n  regions: [cn_hangzhou, mars, cn-beijing, cn-beijing]\n  accounts: [123, '1234567890123456']\n\
         repair: standrad\n"
    );
    bad_names: "name: Web_Server\nsource: { image: 'm 1' }\n";
    bad_pattern: with(
        "parameters:\n  a: { pattern: '^[a-z' }\n  b: { pattern: '(?=x)' }\n  c: { pattern: '((a{999}){999}){999}' }\n"
    );
    bad_parameters: with(
        "parameters:\n  1a: {}\n  b: { type: text }\n  c: { type: integer, default: '5' }\n  \
         d: { default: 5 }\n  e: { type: integer, minimum: 2, default: 1 }\n  f: { enum: [a, b], default: c }\n  \
         g: { type: boolean, pattern: x }\n  h: hello\n  i: { type: list, default: [a, 1] }\n  \
         j: { type: number, enum: [1, x] }\n  k: { max-length: 2, default: abc }\n  l: { secret: true }\n  m:\n  \
         n: { default: '${{ parameters.d }}' }\n"
    );
    several_at_once: "nmae: web\nsource: { familly: debian-12 }\nbuild:\n  - use: darkroom:files\n  \
         - uses: ../x.wasm\n  - run: [a]\ninstance: { disk: big }\n";
    bad_references: with(
        "parameters:\n  greeting: { default: hi }\n  names: { type: list, default: [] }\nbuild:\n  \
         - uses: darkroom:files\n    with: { a: '${{ parameters.greting }}', b: ['x ${{ parameters.names }}'], \
         c: '${{ env.HOME }}', d: '${{ parameters.greeting', '${{ parameters.greeting }}': 1 }\n  \
         - run: 'true'\n    env: { A: '${{ parameters.names }}', B: '${{ parameters.zzz }}' }\n"
    );
    reference_without_parameters: with(
        "build:\n  - run: 'true'\n    env: { A: '${{ parameters.greeting }}' }\n"
    );
    reference_in_run: with(
        "parameters:\n  page-title: { default: hi }\nbuild:\n  - run: |\n      echo one\n      echo ${{ parameters.page-title }}\n"
    );
    reference_elsewhere: with(
        "image: { description: 'for ${{ parameters.x }}' }\ndistribute: { regions: ['${{ parameters.r }}'] }\n"
    );
    not_supported_yet: "name: web\nsource: { snapshot: s-1 }\nbuild:\n  - copy: { from: a, to: b }\n\
         retain: { keep: 3 }\nrebuild: { max-age: 7d }\nsecrets: {}\non-test-failure: delete\n\
         test:\n  - run: 'true'\n";
    overlay_mistakes: with(
        "on:\n  aliyun:\n    instance: { vswitch: x, dsik: 40 }\n    distribute: { accounts: [1] }\n    build: []\n  \
         aws: {}\n  local: { source: { file: 'oss://x' }, retain: {} }\n"
    );
    items: with(
        "build:\n  - reboot\n  - darkroom:files\n  - {}\n  - { with: {} }\n  - { uses: ./a.wasm, run: b }\n  \
         - { uses: ./a.wasm, env: {} }\n  - { run: a, with: {} }\n  - { reboot: { now: true } }\n  - { run: '' }\n  \
         - { run: a, env: { 1A: b, C: [d], E: } }\n  - { run: a, name: '' }\ntest:\n  - {}\n  - darkroom:service\n"
    );
    components: with(
        "build:\n  - uses: packages\n  - uses: greeting.wasm\n  - uses: /etc/passwd\n  - uses: ./a/../../b.wasm\n  \
         - uses: acme:tool@1.0\n  - uses: darkroom:files@latest\n  - uses: ./\n"
    );
    both_sources: "name: web\nsource: { family: debian-12, image: m-1 }\n";
    no_source: "name: web\nsource: {}\n";
    nothing: "";
    only_a_comment: "# name: web\n";
    not_a_mapping: "- a\n- b\n";
    duplicate_keys: with("build: []\ntest: []\nbuild: []\nsource: { image: m-1 }\n");
    tabs: "name: web\nsource:\n\tfamily: debian-12\n";
    not_yaml: "name: web\nsource: { family: debian-12\nbuild: [\n";
    unknown_anchor: "name: *other\n";
    two_documents: "name: web\nsource: { family: debian-12 }\n---\nname: other\n";
    tags_and_odd_keys: with("image: !custom { name: web }\n");
    a_list_as_a_key: with("? [a]\n: b\n");
    infinity: with("instance: { disk: .inf }\n");
    places_count_characters: "name: web\nsource: { family: debian-12 }\n# zażółć gęślą jaźń 镜像\nimage: { description: 'ü 镜像', nmae: x }\n";
}

#[test]
fn missing_and_wrong_parameters() {
    let source = with(
        "parameters:\n  greeting: { type: string }\n  port: { type: integer, maximum: 9 }\n  names: { type: list, pattern: '^[a-z]+$' }\n",
    );
    let given = [
        ("greting", "a"),
        ("port", "x"),
        ("names", "a,B"),
        ("zzz", "1"),
    ];
    insta::assert_snapshot!(resolve(&source, Cloud::Local, &given).unwrap_err());
    let given = [
        ("greeting", "a"),
        ("port", "10"),
        ("names", "[1]"),
        ("port", "1"),
    ];
    insta::assert_snapshot!(resolve(&source, Cloud::Local, &given).unwrap_err());
    insta::assert_snapshot!(resolve(&with(""), Cloud::Local, &[("a", "b")]).unwrap_err());
}

#[test]
fn no_source_for_this_cloud() {
    let source = "name: web\non: { aliyun: { source: { image: m-1 } } }\n";
    assert!(resolve(source, Cloud::Aliyun, &[]).is_ok());
    insta::assert_snapshot!(resolve(source, Cloud::Local, &[]).unwrap_err());
}

#[test]
fn a_region_of_the_command_line() {
    let template = parse(&with(""), "image.yaml").unwrap();
    let with = ResolveWith {
        cloud: Cloud::Local,
        parameters: &[],
        region: Some("cn-hangzou1_"),
    };
    insta::assert_snapshot!(plain(&template.resolve(with).unwrap_err()));
}

/// As the command line draws them, without colours.
#[test]
fn drawn_with_the_lines_of_the_file() {
    let source = with("biuld: []\nbuild:\n  - run: |\n      echo ${{ parameters.a }}\n");
    let mistakes = parse(&source, "image.yaml").unwrap_err();
    let theme = miette::GraphicalTheme::unicode_nocolor();
    let handler = miette::GraphicalReportHandler::new_themed(theme).with_width(80);
    let mut text = String::new();
    for mistake in &mistakes.0 {
        handler.render_report(&mut text, mistake).unwrap();
    }
    insta::assert_snapshot!(text);
}
