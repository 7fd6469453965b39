//! Hostile values through the real binary: what a template gives reaches the instance
//! unchanged, as a variable, a directory, a user, the path of a file and its text.

use darkroom_tests::house::{House, sandbox_can_run};
use serde_json::{Value, json};

use crate::support::{HERE, Machine, built, image_in};

/// What has broken quoting before, somewhere; the longest one must go by file.
fn hostile() -> Vec<String> {
    let some = [
        "",
        "it's \"q\" $(touch /escaped) `touch /escaped` \\ * ? ; & | < > # ! ~ %PATH% ^",
        "a\nb\r\nc\r",
        "ends with newlines\n\n",
        "\ttab, é, 镜像, 😀, ’",
        "-n",
        "'; touch /escaped; '",
    ];
    let long = "it's \"long\" $(id)\n".repeat(3700);
    some.into_iter()
        .map(ToOwned::to_owned)
        .chain([long])
        .collect()
}

/// A user and a directory with names that no tool would make.
const USER: &str = "o'dd $(id) \"x\"";
const DIRECTORY: &str = "/srv/-it's $(id)\n`x`";
const FILE: &str = "/srv/a \"file\"'s $(name)\\n";

/// A script that writes each of its variables as a line of base64.
fn script(count: usize, to: &str) -> String {
    let line = |n| format!("printf '%s' \"$V{n}\" | base64 -w 0; echo");
    let lines: Vec<_> = (0..count).map(line).collect();
    format!("{{ {}; }} > {to}", lines.join("; "))
}

fn template(values: &[String]) -> String {
    let variables = values.iter().enumerate();
    let variables: Value = variables
        .map(|(n, value)| (format!("V{n}"), json!(value)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let prepare = "printf '%s\\n' \"$USER_NAME:x:4321:4321::/srv:/bin/sh\" >> /etc/passwd\n\
                   mkdir -p -- \"$FOLDER\" && chmod 777 \"$FOLDER\"";
    let as_user = format!(
        "{}\npwd > pwd; id -un > user\n",
        script(values.len(), "values")
    );
    // JSON is YAML, and has a way to write every text.
    let build = json!([
        { "run": prepare, "env": { "USER_NAME": USER, "FOLDER": DIRECTORY } },
        { "run": script(values.len(), "/srv/values"), "env": variables },
        { "uses": "darkroom:shell", "with": {
            "script": as_user, "env": variables, "user": USER, "directory": DIRECTORY,
        } },
        { "uses": "darkroom:files", "with": { "path": FILE, "text": values.concat() } },
    ]);
    format!("name: hostile\nsource: {{ family: debian-12 }}\nrepair: none\nbuild: {build}\n")
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_values_reach_the_instance_unchanged() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    let values = hostile();
    let manifest = built(&house, &template(&values));
    let image = image_in(&manifest, HERE);
    let machine = Machine::boot(house.client(0), HERE, &image).await;
    let wanted: String = values.iter().map(|value| base64(value) + "\n").collect();
    let digest = darkroom_contract::sha256(wanted.as_bytes());
    for place in ["/srv/values", "/srv/-it*/values"] {
        let found = machine.sh(&format!("cat -- {place} | sha256sum")).await;
        assert!(found.starts_with(&digest), "{place}: {found}");
    }
    let text = darkroom_contract::sha256(values.concat().as_bytes());
    let found = machine.sh("cat -- /srv/a* | sha256sum").await;
    assert!(found.starts_with(&text), "{found}");
    let found = machine.sh("ls -d -- /srv/a* | base64 -w 0").await;
    assert_eq!(found, base64(&format!("{FILE}\n")));
    let pwd = machine.sh("base64 -w 0 /srv/-it*/pwd").await;
    assert_eq!(pwd, base64(&format!("{DIRECTORY}\n")));
    let user = machine.sh("base64 -w 0 /srv/-it*/user").await;
    assert_eq!(user, base64(&format!("{USER}\n")));
    assert_eq!(machine.run("test ! -e /escaped").await.0, Some(0));
    machine.delete().await;
}
