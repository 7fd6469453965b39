//! Cells in which the process is a real one: `darkroom build` over real sockets, which gets
//! SIGKILL where the cell says, and SIGTERM.
//!
//! Where a moment is in the journal, a fail point holds the process there; where it is on
//! the wire, the server holds the request, or the answer, until the process is gone.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use darkroom_chaos::{Books, Call, Moment, books};
use darkroom_local::{Account, AccountsFile, files};
use darkroom_runtime::{Config, Runtime};
use darkroom_tests::guests;
use darkroom_tests::house::{Driver, House, is_dead, kill, wait_for};
use serde_json::{Value, json};

use crate::cells::each;
use crate::draw::{Draw, is_long};
use crate::scene::{
    ACCOUNTS, PASSWORD, account, comparable, large, look_for_the_secret, reference, shared_with,
    template,
};

/// Processes that are killed in `make test`, and in the long tier.
const KILLED: usize = 2;
const ALL_KILLED: usize = 100;

/// Processes that are asked to end in `make test`, and in the long tier.
const ASKED: usize = 1;
const ALL_ASKED: usize = 10;

/// Longer than any test.
const LONG: f64 = 3600.0;

/// Builds in a cloud of its own, one after the other.
struct Yard {
    house: House,
    /// What a build leaves that nobody disturbs.
    wanted: Left,
}

/// What a build leaves.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    /// What there is more of than before the build and the one of an older image.
    counts: BTreeMap<String, usize>,
    manifest: Value,
    /// How many scripts its steps executed.
    scripts: usize,
}

impl Yard {
    fn new() -> Self {
        let house = House::new(Driver::Sim);
        let accounts = (1..=ACCOUNTS + 1).map(|number| Account {
            name: format!("account-{number}"),
            id: account(number).parse().unwrap(),
            access_key_id: format!("LTAIsimulated{number}"),
            access_key_secret: "simulated".into(),
        });
        let file = AccountsFile {
            version: 1,
            accounts: accounts.collect(),
        };
        house.write(
            &format!("local/{}", files::ACCOUNTS),
            &json!(file).to_string(),
        );
        let runtime = Arc::new(Runtime::new(Config::default()).unwrap());
        guests::system_folder(&runtime, &house.path("components"));
        std::fs::write(house.path("large.bin"), large()).unwrap();
        house.write("older.yaml", &template(""));
        house.write("image.yaml", &template(&shared_with()));
        house.succeed(&["image", "list"]);
        let mut yard = Self {
            house,
            wanted: Left {
                counts: BTreeMap::new(),
                manifest: Value::Null,
                scripts: 0,
            },
        };
        let answer = json!({ "match": "cat /var/www/html/index.html", "output": "good day" });
        yard.put("/-/sim", &json!({ "rules": [answer] }));
        yard.makes_an_older_image().unwrap();
        yard.ends_well(&["build", "image.yaml", "--refresh"])
            .unwrap();
        yard.wanted = yard.left(&BTreeMap::new());
        assert!(yard.wanted.scripts > 5, "{:?}", yard.wanted);
        yard
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.house.command(arguments);
        command.env("PASSWORD", PASSWORD);
        command
    }

    /// Makes an image that the next build's retention removes, because it is not shared.
    fn makes_an_older_image(&self) -> Result<(), String> {
        self.ends_well(&["build", "older.yaml", "--refresh"])
    }

    /// What the cloud bills.
    fn counts(&self) -> BTreeMap<String, usize> {
        Books::of(&self.house.admin("/-/ledger")).counts
    }

    fn ends_well(&self, arguments: &[&str]) -> Result<(), String> {
        let output = self.command(arguments).output().unwrap();
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(format!(
            "{arguments:?} ended with {}: {said}",
            output.status
        ))
    }

    /// Starts the build, with a fail point if one is wanted.
    fn build(&self, point: Option<&str>) -> Child {
        let mut command = self.command(&["build", "image.yaml", "--refresh"]);
        if let Some(point) = point {
            let hit = self.house.path("hit");
            drop(std::fs::remove_file(&hit));
            let armed = format!("{point}={}", hit.display());
            command.env(darkroom_failpoint::VARIABLE, armed);
        }
        let log = std::fs::File::create(self.house.path("build.log")).unwrap();
        command
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn put(&self, page: &str, body: &Value) {
        let server = self.house.server();
        let status = Command::new("curl")
            .args(["-sS", "--fail", "--noproxy", "*", "-X", "PUT", "-o"])
            .args(["/dev/null", "-H"])
            .arg(format!("Authorization: Bearer {}", server.token))
            .args(["-d", &body.to_string()])
            .arg(format!("{}{page}", server.url))
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// The answers that calls of this kind have got so far; none: not yet.
    fn answers(&self, call: &Call) -> Vec<Option<u64>> {
        let page = format!("/-/requests?action={}&limit=10000", call.action);
        let asked = self.house.admin(&page);
        let all = asked["requests"].as_array().unwrap().iter();
        all.filter(|one| one["region"].as_str().unwrap_or_default() == call.region)
            .map(|one| one["status"].as_u64())
            .collect()
    }

    fn left(&self, before: &BTreeMap<String, usize>) -> Left {
        let manifest = self.house.manifest();
        let run = manifest["run"].as_str().unwrap();
        let executed = books::executions_of(&self.house.admin(books::COMMANDS));
        let ours = executed.iter().filter(|(what, _)| what.contains(run));
        let twice: Vec<_> = ours.clone().filter(|(_, count)| **count > 1).collect();
        assert!(twice.is_empty(), "executed twice: {twice:?}");
        let mut counts = self.counts();
        for (what, count) in &mut counts {
            *count -= before.get(what).copied().unwrap_or_default();
        }
        Left {
            counts,
            scripts: ours.count(),
            manifest: without_name(comparable(manifest)),
        }
    }

    /// The same as after a build that nobody disturbs.
    fn judge(&self, before: &BTreeMap<String, usize>) -> Result<(), String> {
        let left = self.left(before);
        if left != self.wanted {
            return Err(format!("left: {left:?}\nwanted: {:?}", self.wanted));
        }
        look_for_the_secret(&self.house.path("state"))
    }

    /// Waits until the call is there, or its answer is; false when the build has ended
    /// before. Who is slow to look may find that a call has been answered meanwhile.
    fn is_held(&self, build: &mut Child, call: &Call, before: usize, answered: bool) -> bool {
        let calls = &reference().calls;
        let same = |one: &&Call| one.action == call.action && one.region == call.region;
        let at = calls.iter().position(|one| one == call).unwrap();
        let after = calls.iter().take(at).filter(same).count();
        wait_for(&format!("{call:?}"), || {
            let answers = self.answers(call);
            let ours = answers.get(before + after);
            if ours.is_some_and(|one| one.is_some() || !answered) {
                return Some(true);
            }
            build.try_wait().unwrap().map(|_| false)
        })
    }

    /// Holds the call, or its answer, in the server.
    fn hold(&self, call: &Call, fault: &Value) {
        let calls = &reference().calls;
        let at = calls.iter().position(|one| one == call).unwrap();
        let same = |one: &&Call| one.action == call.action && one.region == call.region;
        let mut rule = json!({
            "action": call.action,
            "after": calls.iter().take(at).filter(same).count(),
            "times": 1,
            "fault": fault,
        });
        if !call.region.is_empty() {
            rule["params"] = json!({ "RegionId": call.region });
        }
        self.put("/-/faults", &json!({ "rules": [rule] }));
    }

    /// Kills a build at a moment of a call; it is resumed.
    fn kill(&self, call: &Call, moment: Moment) -> Result<(), String> {
        let before = self.counts();
        self.makes_an_older_image()?;
        let on_wire = match moment {
            Moment::BeforeCall => Some(json!({ "delay": LONG })),
            Moment::AfterEffect => Some(json!({ "delay-response": LONG })),
            _ => None,
        };
        let mut build = if let Some(fault) = &on_wire {
            let asked = self.answers(call).len();
            self.hold(call, fault);
            let mut build = self.build(None);
            let answered = moment == Moment::AfterEffect;
            if !self.is_held(&mut build, call, asked, answered) {
                return Err("it ended before it was held".into());
            }
            build
        } else {
            let name = match moment {
                Moment::BeforeIntent => "journal.asked",
                Moment::BeforeOutcome => "journal.effect",
                _ => "journal.outcome",
            };
            let mut build = self.build(Some(&format!("{name}#{}", call.place)));
            let hit = self.house.path("hit");
            let held = wait_for(name, || {
                let ended = build.try_wait().unwrap().map(|_| false);
                hit.exists().then_some(true).or(ended)
            });
            if !held {
                return Err("it ended before it was held".into());
            }
            build
        };
        kill(build.id());
        assert!(is_dead(build.id()));
        build.wait().unwrap();
        self.put("/-/faults", &json!({ "rules": [] }));
        self.ends_well(&["resume", "last"])?;
        self.judge(&before)
    }

    /// Asks a build to end while the server is at a call of it.
    fn ask(&self, call: &Call) -> Result<(), String> {
        self.makes_an_older_image()?;
        let before = self.counts();
        let asked = self.answers(call).len();
        self.hold(call, &json!({ "delay": 2.0 }));
        let mut build = self.build(None);
        if !self.is_held(&mut build, call, asked, false) {
            let said = std::fs::read_to_string(self.house.path("build.log")).unwrap();
            return Err(format!("it ended before it was asked to: {said}"));
        }
        let status = Command::new("kill")
            .args(["-TERM", &build.id().to_string()])
            .status();
        assert!(status.unwrap().success());
        let code = build.wait().unwrap().code();
        self.put("/-/faults", &json!({ "rules": [] }));
        look_for_the_secret(&self.house.path("state"))?;
        // What it had published when it was asked it has kept.
        let manifest = self.house.manifest();
        let kept = manifest["regions"]
            .as_array()
            .is_some_and(|all| !all.is_empty());
        let counts = self.counts();
        let others = |what: &str| !what.starts_with("image ") && !what.starts_with("snapshot ");
        let is_clean = if kept {
            !counts.keys().any(|what| others(what))
        } else {
            counts == before
        };
        match (code, is_clean) {
            (Some(0 | 130), true) => Ok(()),
            _ => Err(format!("it ended with {code:?} and left {counts:?}")),
        }
    }
}

/// A manifest without the image's name, which bears the run's.
fn without_name(mut manifest: Value) -> Value {
    if let Some(fields) = manifest.as_object_mut() {
        fields.remove("image_name");
    }
    manifest
}

/// Draws so many, or as many as the long tier has.
fn drawn<T>(test: &str, all: Vec<T>, few: usize, many: usize) -> Vec<T> {
    Draw::new(test).take(all, if is_long() { many } else { few })
}

/// Splits what is to be done among yards.
fn halves<T: Clone>(all: &[T]) -> Vec<Vec<T>> {
    let threads = if is_long() { 2 } else { 1 };
    all.chunks(all.len().div_ceil(threads).max(1))
        .map(<[T]>::to_vec)
        .collect()
}

#[test]
fn real_processes_are_killed_and_asked_to_end() {
    let start = Instant::now();
    // Marks of a session have no place in the journal.
    let calls = reference()
        .calls
        .iter()
        .filter(|call| !call.place.is_empty());
    let calls: Vec<Call> = calls.cloned().collect();
    let cells = calls
        .iter()
        .flat_map(|call| Moment::ALL.map(|moment| (call.clone(), Some(moment))));
    let mut cells = drawn("real kills", cells.collect(), KILLED, ALL_KILLED);
    // A real build sends fewer commands than one in simulated time, so that the wire can't
    // tell which of them is the nth of there.
    let others = calls.into_iter().filter(|call| call.action != "RunCommand");
    let asked = drawn("real polite ends", others.collect(), ASKED, ALL_ASKED);
    cells.extend(asked.into_iter().map(|call| (call, None)));
    let failed = each(&halves(&cells), |cells| {
        let yard = Yard::new();
        for (call, moment) in cells {
            match moment {
                Some(moment) => yard.kill(call, *moment),
                None => yard.ask(call),
            }
            .map_err(|problem| format!("{moment:?} of {call:?}: {problem}"))?;
        }
        Ok(())
    });
    println!(
        "real processes: {} killed or asked to end, {:.1} s",
        cells.len(),
        start.elapsed().as_secs_f64()
    );
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
