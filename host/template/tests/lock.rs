//! `darkroom.lock` as it is written and read, and what people are told of one that was
//! edited.

use std::fmt::Write as _;

use darkroom_template::lock::{Lock, LockedComponent};

fn digest(digit: char) -> String {
    format!("sha256:{}", digit.to_string().repeat(64))
}

#[test]
fn written_sorted_and_read_back() {
    let component = |name: &str, version: &str| LockedComponent {
        name: name.into(),
        version: version.into(),
        digest: digest('a'),
        registry: None,
        signer: None,
    };
    let foreign = LockedComponent {
        registry: Some("ghcr.io/acme".into()),
        signer: Some("key \"one\"\\".into()),
        ..component("acme:tool", "1.2.3")
    };
    let system = component("darkroom:packages", "0.1.0");
    let lock = Lock::new([
        system.clone(),
        foreign.clone(),
        component("acme:tool", "1.10.0"),
    ]);
    let text = lock.to_text();
    insta::assert_snapshot!(text);
    assert_eq!(Lock::parse(&text, "darkroom.lock").unwrap(), lock);
    let turned = Lock::new([component("acme:tool", "1.10.0"), foreign, system]);
    assert_eq!(turned.to_text(), text);
    assert_eq!(Lock::parse("version = 1\n", "x").unwrap(), Lock::default());
    assert_eq!(
        Lock::parse("\u{feff}version = 1\r\n", "x").unwrap(),
        Lock::default()
    );
}

#[test]
fn mistakes_have_places() {
    let text = format!(
        "verison = 1\n\n[[component]]\nname = \"packages\"\nversion = \"0.1\"\ndigset = \"x\"\n\n\
         [[component]]\nname = 3\nversion = \"0.1.0\"\ndigest = \"md5:1\"\n\n\
         [[component]]\nname = \"A:bb\"\nversion = \"0.1.0\"\ndigest = \"{0}\"\n\n\
         [[component]]\nname = \"aa:bb\"\nversion = \"0.1.0\"\ndigest = \"{0}\"\n\n\
         [[component]]\nname = \"aa:bb\"\nversion = \"0.1.0\"\ndigest = \"{0}\"\n",
        digest('b')
    );
    let mut said = String::new();
    for source in [
        text.as_str(),
        "version = 2\n",
        "version = 'x'\ncomponent = 3\n",
        "version = 1\ncomponent = [1]\n",
        "version 1\nx = [\n",
        "",
    ] {
        for mistake in Lock::parse(source, "darkroom.lock").unwrap_err().0 {
            let help = mistake.help.as_deref().unwrap_or("-");
            writeln!(said, "{mistake}\n    help: {help}").unwrap();
        }
        said += "--\n";
    }
    insta::assert_snapshot!(said);
}
