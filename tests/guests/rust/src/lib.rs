//! The conformance component: every function of the contract, in Rust and without an SDK.
//!
//! `../README.md` says what it does; the other languages do exactly the same.

wit_bindgen::generate!({
    path: "../../../wit",
    world: "all-roles",
});

use darkroom::component::{inputs, machine, report, steps};
use exports::darkroom::component::{about, builder, repairer, tester};

struct Conformance;

export!(Conformance);

impl about::Guest for Conformance {
    fn describe() -> String {
        include_str!("../../describe.json").into()
    }
}

impl builder::Guest for Conformance {
    fn build() -> Result<(), String> {
        let greeting = inputs::text("greeting").unwrap_or_default();
        report::info(&format!(
            "{} {} on {}, root {}",
            machine::distribution(),
            machine::release(),
            machine::architecture(),
            machine::root()
        ));
        report::debug(&inputs::json_object());
        if machine::family() == "windows" {
            return windows(&greeting);
        }

        let look = steps::shell("look around", "cat /etc/os-release");
        let page = steps::write("write the page", "/srv/page.html", &format!("{greeting}\n"));
        steps::mode(page, 0o640);
        steps::owner(page, "www-data:www-data");
        steps::attempts(page, 2);
        let is_debian = steps::output(look).contains("ID=debian");
        let tool = if is_debian { "apt-get" } else { "dnf" };
        fail(&inputs::text("fail").unwrap_or_default(), look)?;

        let install = steps::shell("install", &format!("{tool} install -y -- \"$@\""));
        for package in inputs::texts("packages") {
            steps::argument(install, &package);
        }
        steps::environment(install, "DEBIAN_FRONTEND", "noninteractive");
        steps::run_as(install, "builder");
        steps::directory(install, "/opt");
        steps::timeout(install, 900);
        steps::attempts(install, 3);
        steps::expect_exit_codes(install, &[0, 100]);
        steps::expect_output(install, "done");
        steps::expect_no_output(install, "E:");
        steps::expect_match(install, "(?i)set up [0-9]+ packages?");
        if let Some(token) = inputs::text("token") {
            steps::environment(install, "TOKEN", &token);
            let path = "/etc/app/token";
            let file = steps::write("write the token", path, &format!("token={token}\n"));
            steps::mode(file, 0o600);
        }
        let bytes: Vec<u8> = (0..=255).collect();
        steps::write_bytes("write bytes", "/srv/bytes", &bytes);
        steps::write_asset("write the asset", "/srv/note.txt", "note.txt");
        let address = "https://mirror.example/archive.tar.gz";
        let digest = "0123456789abcdef".repeat(4);
        let archive = steps::download("fetch the archive", "/srv/archive", address, &digest);
        steps::timeout(archive, 60);

        let may = steps::shell("may fail", "exit 3");
        steps::tolerate(may);
        if !steps::succeeded(may) {
            report::warning(&format!("it failed with {}", steps::exit_code(may)));
        }
        let restart = steps::reboot("restart");
        steps::timeout(restart, 300);

        let log = steps::collect("keep the log", "/var/log/app.log", 4 << 20);
        let slice = u32::try_from(inputs::integer("slice").unwrap_or(8)).unwrap_or(8);
        let (mut total, mut sum) = (0, 0);
        while total < steps::size(log) {
            let bytes = steps::read(log, total, slice);
            total += bytes.len() as u64;
            sum += bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        }

        let mut items = Vec::new();
        for item in 1..=inputs::integer("count").unwrap_or(0) {
            let asked = steps::shell(&format!("item {item}"), &format!("echo {item}"));
            items.push(steps::output(asked));
        }
        if let Some(settings) = inputs::json_text("settings") {
            steps::write("write the settings", "/etc/app/settings.json", &settings);
        }
        if inputs::flag("loud") == Some(true) {
            let percent = inputs::number("ratio").unwrap_or(0.0) * 100.0;
            let shout = steps::shell("shout", "echo \"$GREETING! $PERCENT%\"");
            steps::environment(shout, "GREETING", &greeting);
            steps::environment(shout, "PERCENT", &format!("{percent:.0}"));
        }
        report::publish_text("tool", tool);
        report::publish("bytes", &total.to_string());
        report::publish("sum", &sum.to_string());
        report::publish("items", &format!("[{}]", items.join(",")));
        Ok(())
    }
}

fn windows(greeting: &str) -> Result<(), String> {
    let path = r"C:\srv\page.html";
    steps::write("write for Windows", path, &format!("{greeting}\r\n"));
    let shell = steps::powershell("ask PowerShell", "Write-Output $args[0]");
    steps::argument(shell, greeting);
    steps::directory(shell, r"C:\srv");
    let cmd = steps::cmd("ask cmd", "echo off\r\nset GREETING\r\n");
    steps::environment(cmd, "GREETING", greeting);
    if steps::output(shell) != greeting {
        return Err("PowerShell says something else".into());
    }
    steps::reboot("restart");
    Ok(())
}

/// Ends in the way that the argument `fail` names.
fn fail(how: &str, look: u32) -> Result<(), String> {
    match how {
        "error" => return Err("told to fail: \"quoted\"\nand a second line, é".into()),
        "crash" => {
            let nothing: Option<u32> = None;
            steps::timeout(look, nothing.expect("the flux capacitor is missing"));
        }
        "late" => steps::timeout(look, 60),
        "type" => drop(inputs::text("count")),
        "undeclared" => drop(inputs::text("nothing")),
        "negative" => drop(steps::output(u32::MAX)),
        "endless" => loop {
            std::hint::black_box(());
        },
        "greedy" => {
            let mut kept = Vec::new();
            loop {
                kept.push(std::hint::black_box(vec![1_u8; 1 << 20]));
            }
        }
        _ => {}
    }
    Ok(())
}

impl tester::Guest for Conformance {
    fn test() -> Result<(), String> {
        let page = steps::shell("the page greets", "cat /srv/page.html");
        steps::expect_output(page, &inputs::text("greeting").unwrap_or_default());
        let swap = steps::shell("look for a swap file", "test -e /swapfile");
        steps::tolerate(swap);
        if steps::exit_code(swap) == 0 {
            report::failed("no swap file", "there is /swapfile");
        } else {
            report::passed("no swap file");
        }
        report::skipped("mail", "no mail server was asked for");
        Ok(())
    }
}

impl repairer::Guest for Conformance {
    fn repair() -> Result<(), String> {
        let root = machine::root();
        let script = "grep -q no-such-disk \"$ROOT/etc/fstab\"";
        let look = steps::shell("look at fstab", script);
        steps::environment(look, "ROOT", &root);
        steps::tolerate(look);
        match steps::exit_code(look) {
            0 => {
                let script = "sed -i /no-such-disk/d \"$ROOT/etc/fstab\"";
                let mend = steps::shell("mend fstab", script);
                steps::environment(mend, "ROOT", &root);
                report::repaired("GUESTOS.Fstab", "a disk that isn't there was taken out");
            }
            1 => report::intact("GUESTOS.Fstab"),
            code => {
                let message = format!("it can't be read: exit code {code}");
                report::unrepaired("GUESTOS.Fstab", "high", &message);
            }
        }
        Ok(())
    }
}
