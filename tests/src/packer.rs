//! Packer, where it is installed, against the local cloud of a [`House`]: its smallest build
//! with the builder `alicloud-ecs`, 19 calls. It reaches the cloud as its HTTP proxy.
//!
//! Used by a test of whether it comes to its end.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::house::House;

/// Packer's program on the path, with the builder in it; else why there is none.
///
/// # Errors
/// When it is not installed, or its plugin is not there: why, for a test to say.
pub fn program() -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join("packer"))
        .find(|file| file.is_file())
        .ok_or("packer is not installed")?;
    // Newer versions have this builder as a plugin that is fetched from GitHub.
    let version = Command::new(&found)
        .arg("version")
        .env("CHECKPOINT_DISABLE", "1")
        .output()
        .map_err(|error| format!("{}: {error}", found.display()))?;
    let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
    if version.starts_with("Packer v1.6.") {
        Ok(found)
    } else {
        Err(format!("{version} has no builder alicloud-ecs in itself"))
    }
}

/// A build of an image of this name, to its end.
pub fn build(house: &House, name: &str) -> Output {
    let account = house.account(0);
    let template = json!({ "builders": [{
        "type": "alicloud-ecs",
        "access_key": account.access_key_id,
        "secret_key": account.access_key_secret,
        "region": "cn-hangzhou",
        "skip_region_validation": true,
        "source_image": source(house),
        "instance_type": "ecs.g7.large",
        "image_name": name,
        "associate_public_ip_address": true,
        "communicator": "none",
        "ssh_username": "root",
        "ssh_password": "Passw0rd!",
    }]});
    let file = house.write("packer.json", &template.to_string());
    Command::new(program().unwrap())
        .args(["build", "-color=false"])
        .arg(file)
        .current_dir(house.path(""))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", house.path("home"))
        .env("PACKER_CONFIG_DIR", house.path("packer"))
        .env("CHECKPOINT_DISABLE", "1")
        .env("HTTP_PROXY", house.server().url)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// The public image of the simulation.
pub fn source(house: &House) -> String {
    let asked = darkroom_ecs::action::DescribeImageFromFamily {
        region_id: crate::laboratory::region("cn-hangzhou"),
        image_family: "debian-12".into(),
    };
    let client = house.client(0);
    let region = crate::laboratory::region("cn-hangzhou");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let answer = runtime.block_on(client.call(&region, &asked)).unwrap();
    answer.image.unwrap().image_id.to_string()
}

/// Starts the house's cloud in which things take this long, such as `{"start": 3}`.
pub fn set(house: &House, latencies: &Value) {
    // Whatever looks at the cloud starts it.
    house.succeed(&["image", "list"]);
    let server = house.server();
    let change = json!({ "latencies": latencies }).to_string();
    let output = Command::new("curl")
        .args(["-sS", "--fail-with-body", "--noproxy", "*", "-X", "PUT"])
        .arg("-H")
        .arg(format!("Authorization: Bearer {}", server.token))
        .args(["-d", &change])
        .arg(format!("{}/-/sim", server.url))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// The actions that the cloud was asked for after this request, and the last one's number.
pub fn asked(house: &House, after: i64) -> (Vec<String>, i64) {
    let mut actions = Vec::new();
    let mut last = after;
    loop {
        let page = house.admin(&format!("/-/requests?limit=1000&after={last}"));
        let requests = page["requests"].as_array().unwrap();
        if requests.is_empty() {
            return (actions, last);
        }
        for request in requests {
            last = last.max(request["number"].as_i64().unwrap());
            if request["account"].is_string() {
                actions.push(request["action"].as_str().unwrap_or_default().to_owned());
            }
        }
    }
}
