//! The text of a new template: as a person would write it, with comments that say what
//! else there is. Whatever the answers are, it is YAML that means them.

use std::fmt::Write as _;

use super::answers::Answers;

/// The template of some answers.
pub(super) fn template(answers: &Answers) -> String {
    let mut text = String::new();
    let name = &answers.name;
    line(
        &mut text,
        format_args!(
            "# `darkroom plan` shows what this does, `darkroom build` does it on this machine,\n\
             # `darkroom build --on aliyun` in Alibaba Cloud. The image is called {}-RUN.",
            plain(name)
        ),
    );
    line(&mut text, format_args!("name: {}", scalar(name)));
    let kind = kind_of(&answers.source);
    let source = scalar(&answers.source);
    line(&mut text, format_args!("source: {{ {kind}: {source} }}"));
    if answers.install.is_empty() && answers.run.is_empty() {
        text.push_str("build:\n  - run: echo 'say here what makes the image yours'\n");
    } else {
        text.push_str("build:\n");
    }
    if !answers.install.is_empty() {
        let packages: Vec<_> = answers.install.iter().map(|name| scalar(name)).collect();
        line(
            &mut text,
            format_args!(
                "  - uses: darkroom:packages\n    with: {{ install: [{}] }}",
                packages.join(", ")
            ),
        );
    }
    for command in &answers.run {
        line(&mut text, format_args!("  - run: {}", scalar(command)));
    }
    text.push_str(
        "# That it boots is always tested; what else must hold on a fresh instance of it:\n\
         # test:\n#   - uses: darkroom:service\n#     with: { name: nginx, port: 80 }\n",
    );
    if answers.internet > 0 {
        line(
            &mut text,
            format_args!("instance: {{ internet: {} }}", answers.internet),
        );
    }
    line(
        &mut text,
        format_args!("image: {{ family: {} }}", scalar(&answers.family)),
    );
    text
}

/// Which key of `source` an id or a name belongs to.
fn kind_of(source: &str) -> &'static str {
    match source.split_once('-') {
        Some(("m", _)) => "image",
        Some(("i", _)) => "instance",
        Some(("s", _)) => "snapshot",
        _ => "family",
    }
}

/// A text in a flow mapping: as it is where that is safe, else as JSON has it, which is
/// YAML as well.
fn scalar(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '+' | '/');
    let first = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic());
    let word = matches!(
        text.to_ascii_lowercase().as_str(),
        "true" | "false" | "yes" | "no" | "on" | "off" | "null" | "y" | "n"
    );
    if first && !word && text.chars().all(safe) {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}

/// A text in a comment: in one line.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// Writing into a text can't fail.
fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(arguments);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use darkroom_template::{BuildItem, Cloud, ResolveWith, parse};

    use super::*;

    fn answers() -> Answers {
        Answers {
            name: "web".into(),
            source: "debian-12".into(),
            install: vec!["nginx".into(), "c++".into()],
            run: vec!["echo \"it's\" > '/tmp/x: y' # no".into()],
            internet: 10,
            family: "web".into(),
        }
    }

    #[test]
    fn a_template_with_everything() {
        insta::assert_snapshot!(template(&answers()));
    }

    #[test]
    fn a_template_with_nothing() {
        let empty = Answers {
            install: Vec::new(),
            run: Vec::new(),
            internet: 0,
            source: "m-bp1abc".into(),
            ..answers()
        };
        insta::assert_snapshot!(template(&empty));
        assert!(empty.template("image.yaml").is_ok());
    }

    #[test]
    fn whatever_the_answers_are_the_template_means_them() {
        for run in [
            "- x", "{a", "yes", "a: b", "\"", "'", "%", "\u{7}", "a\nb", "#",
        ] {
            let answers = Answers {
                run: vec![run.into()],
                ..answers()
            };
            let text = answers.template("image.yaml").unwrap();
            let with = ResolveWith {
                cloud: Cloud::Local,
                parameters: &[],
                region: None,
            };
            let resolved = parse(&text, "image.yaml").unwrap().resolve(with).unwrap();
            let Some(BuildItem::Run(told)) = resolved.build.last() else {
                panic!("{text}");
            };
            assert_eq!(told.script, run);
        }
        let wrong = Answers {
            name: "No Name".into(),
            ..answers()
        };
        assert!(wrong.template("image.yaml").is_err());
    }
}
