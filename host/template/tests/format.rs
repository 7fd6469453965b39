//! The one layout: comments and meaning stay, and formatting twice changes nothing.

#![expect(clippy::panic, reason = "a test that can't go on has failed")]

use std::path::Path;

use darkroom_template::format;

fn formatted(source: &str) -> String {
    format(source, "image.yaml").unwrap_or_else(|error| panic!("{error}\n{source}"))
}

#[test]
fn a_template_of_every_kind() {
    let source = "\u{feff}# Head
name:   web-server   # trailing
source: { family: debian-12 , }


parameters:
    greeting: {type: string, default: \"hello\", pattern: \"^[a-z ]+$\"}
build:
- uses: darkroom:packages@0.1
  with: { install: [nginx,   curl], text: \"it's\" }
# between
- run: |
    printf '%s\\n'   \"$GREETING\" \n      indented

    end
  env: { GREETING: \"${{ parameters.greeting }}\" }

- {reboot: {}}
- run: >-
    folded text
    more
- uses: ./a.wasm
  with: &same
    mode: 0644
    list:
    - a
    -   b   # why
- uses: ./b.wasm
  with: *same
instance: { type: [ecs.g7.large, ecs.g7.xlarge], internet: 10, vswitch: vsw-1234567890abcdef, security-group: sg-1234567890 }
image:
    description: \"zażółć \\u00e9\"
    tags: { 'a': \"b\" }
# end
";
    let text = formatted(source);
    insta::assert_snapshot!(text);
    assert_eq!(formatted(&text), text);
}

/// Every good template that there is: the examples, and the texts of this test.
#[test]
fn nothing_but_the_layout_changes() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut seen = 0;
    for folder in std::fs::read_dir(&examples).unwrap_or_else(|error| panic!("{error}")) {
        let Ok(source) =
            folder.and_then(|one| std::fs::read_to_string(one.path().join("image.yaml")))
        else {
            continue;
        };
        seen += 1;
        let text = formatted(&source);
        assert_eq!(formatted(&text), text);
        let bare = |text: &str| text.split_whitespace().collect::<String>();
        assert_eq!(bare(&text).len(), bare(&source).len(), "{text}");
    }
    assert!(seen > 0, "no example in {}", examples.display());
    let mut refused = Vec::new();
    for source in [
        "a: |+\n  x\n\n\nb: 1\n",
        "a: >2\n    x\n   y\n",
        "? a\n: b\n",
        "a:\n  # only a comment\n",
        "# only\n# comments\na: # after\n  - 1 # one\n  # two\n  - 2\n",
        "--- # start\na: 1\n...\n",
        "%YAML 1.2\n---\na: 1\n",
        "a: \"x\\ty\"\nb: 'it''s'\nc: \"a 'b' \\\"c\\\"\"\n",
        "a: {\n  b: 1,\n  c: [\n    2, # two\n    3\n  ]\n}\n",
        "a: 1\r\nb:\r\n  - |\r\n    x\r\n    y\r\n",
        "a: 'b\n  c\n\n  d'\n",
        "a: b\n  c\n   d\n",
        "a: !!str 1\nb: !!int '3'\n",
        "a: 1.0\nb: 0x1f\nc: 0644\nd: ~\ne:\n",
    ] {
        match format(source, "image.yaml") {
            Ok(text) => assert_eq!(formatted(&text), text, "{source}"),
            Err(_) => refused.push(source),
        }
    }
    // What `pretty_yaml` would change the meaning of is seen and left alone.
    assert_eq!(refused, ["a: |+\n  x\n\n\nb: 1\n"]);
}

#[test]
fn what_is_no_yaml_keeps_its_place() {
    let error = format("name: [a\nb: c\n", "image.yaml").map_err(|error| error.to_string());
    assert!(error.is_err_and(|error| error.starts_with("image.yaml:2:")));
}
