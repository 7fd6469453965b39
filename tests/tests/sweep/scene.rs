//! What every trial of the sweep has in common: the build, the cloud that it begins in,
//! and what must be true when it is over.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use darkroom_chaos::{
    Books, Call, End, Fate, Ground, Life, Moment, SimulatedClock, Site, Subject, books,
};
use darkroom_engine::components::{Packages, Shelf};
use darkroom_engine::manifest::Manifest;
use darkroom_engine::{Ask, CheckWith, EngineError, Outcome, Secret, Status, check};
use darkroom_journal::RunId;
use darkroom_runtime::{Config, Runtime};
use darkroom_template::{Cloud, ResolveWith};
use darkroom_tests::guests;
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

/// What must be nowhere.
pub const PASSWORD: &str = "correct-horse-battery-staple";

/// Accounts that the image is shared with, beside the one that builds.
pub const ACCOUNTS: u32 = 12;

/// A file that goes in several slices, because nothing makes it smaller.
const LARGE: usize = 70_000;

/// The build, shared with these accounts.
pub fn template(accounts: &str) -> String {
    format!(
        "\
name: full
source: {{ family: debian-12 }}
secrets:
  password: {{ env: PASSWORD }}
build:
  - uses: darkroom:all-roles
    with: {{ greeting: good day }}
  - copy: {{ from: ./large.bin, to: /opt/large.bin }}
  - run: install --with \"$PASSWORD\"
    env: {{ PASSWORD: '${{{{ secrets.password }}}}' }}
  - reboot: {{}}
  - run: echo done
image: {{ family: full, tags: {{ team: web }} }}
distribute: {{ regions: [cn-hangzhou, cn-beijing]{accounts} }}
retain: {{ keep: 1 }}
"
    )
}

/// The stage that every trial is played on.
pub struct Scene {
    pub runtime: Arc<Runtime>,
    pub ground: Ground,
    pub subject: Subject,
    _folder: TempDir,
}

/// A run that nobody disturbed.
pub struct Reference {
    /// What it asked for that changes something.
    pub calls: Vec<Call>,
    /// What it left.
    pub told: Told,
}

/// What can be compared of a run that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub status: Status,
    pub books: Books,
    /// The manifest, without what differs from run to run.
    pub manifest: Value,
    /// How often each script was executed.
    pub executed: BTreeMap<String, usize>,
}

/// The scene, made once.
pub fn scene() -> &'static Scene {
    static SCENE: LazyLock<Scene> = LazyLock::new(|| Scene::with(guests::all_roles));
    &SCENE
}

/// The undisturbed run, made once.
pub fn reference() -> &'static Reference {
    // In a runtime of its own: whoever asks first may be in the middle of a trial.
    static REFERENCE: LazyLock<Reference> = LazyLock::new(|| {
        std::thread::scope(|scope| scope.spawn(|| scene().undisturbed()).join().unwrap())
    });
    &REFERENCE
}

pub fn ask() -> Ask {
    Arc::new(|_, _| Box::pin(async { Ok(Secret::new(PASSWORD.to_owned())) }))
}

impl Scene {
    /// With this as its component.
    pub fn with(component: impl Fn(&Runtime) -> Vec<u8>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            cwasm_cache: Some(folder.path().join("compiled")),
            ..Config::default()
        };
        let runtime = Arc::new(Runtime::new(config).unwrap());
        let components = folder.path().join("components");
        guests::system_folder(&runtime, &components);
        std::fs::write(components.join("all-roles.wasm"), component(&runtime)).unwrap();
        std::fs::write(folder.path().join("large.bin"), large()).unwrap();
        let begin: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        let everybody: Vec<_> = (1..=ACCOUNTS + 1).map(account).collect();
        let older = subject(&runtime, folder.path(), &template(""));
        let ground = SimulatedClock::run(begin, async |clock| {
            let mut site = Site::new(&clock, &runtime, &everybody).await.unwrap();
            let plan = json!({
                "latencies": {
                    "start": 4.0, "agent": 2.0, "stop": 2.0, "reboot": 4.0, "delete": 1.0,
                    "image": 8.0, "copy": 12.0, "command": 1.0,
                },
                "rules": [{ "match": "cat /var/www/html/index.html", "output": "good day" }],
            });
            site.admin("PUT", "/-/sim", plan).await.unwrap();
            // The older image, which retention removes.
            let run = site.start(&older, 0).await.unwrap();
            let life = site.life(Fate::None);
            // It may be trapping.
            drop(site.live(&[run], &life, &ask()).await.unwrap());
            site.clock().sleep(Duration::from_mins(10)).await;
            site.keep().await.unwrap()
        });
        Self {
            subject: subject(&runtime, folder.path(), &template(&shared_with())),
            runtime,
            ground,
            _folder: folder,
        }
    }

    /// Plays a trial in a time and a cloud of its own.
    pub fn play<T>(&self, trial: impl AsyncFnOnce(&mut Trial<'_>) -> T) -> T {
        SimulatedClock::run(self.ground.at(), async |clock| {
            let site = Site::on(&self.ground, &clock, &self.runtime).await.unwrap();
            let run = site.start(&self.subject, 1).await.unwrap();
            trial(&mut Trial {
                scene: self,
                site,
                run,
            })
            .await
        })
    }

    /// Plays a trial that goes on from what another has left, once more.
    pub fn go_on<T>(&self, kept: &Kept, trial: impl AsyncFnOnce(&mut Trial<'_>) -> T) -> T {
        SimulatedClock::run(kept.ground.at(), async |clock| {
            let site = Site::on(&kept.ground, &clock, &self.runtime).await.unwrap();
            trial(&mut Trial {
                scene: self,
                site,
                run: kept.run.clone(),
            })
            .await
        })
    }

    fn undisturbed(&self) -> Reference {
        self.play(async |trial| {
            let (life, outcome) = trial.resume().await;
            let outcome = outcome.unwrap();
            let manifest = &outcome.manifest;
            assert_eq!(manifest.status, Status::Success, "{:?}", manifest.error);
            let told = trial.told(&outcome).await;
            // The recorder has seen these calls and no others.
            let seen = trial.recorded().await;
            let mut calls: Vec<String> = life.calls().into_iter().map(|call| call.action).collect();
            calls.sort();
            assert_eq!(calls, seen);
            Reference {
                calls: life.calls(),
                told,
            }
        })
    }
}

/// The id of an account.
pub fn account(number: u32) -> String {
    let text = format!("{number}00000000000{number:04}");
    text[text.len() - 16..].to_owned()
}

/// What no compression makes smaller.
pub fn large() -> Vec<u8> {
    let mut large = Vec::new();
    let mut number = 7_u32;
    while large.len() < LARGE {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        large.extend(number.to_be_bytes());
    }
    large
}

/// The accounts of the template that is swept.
pub fn shared_with() -> String {
    let accounts: Vec<_> = (2..=ACCOUNTS + 1).map(account).collect();
    format!(", accounts: ['{}']", accounts.join("', '"))
}

fn subject(runtime: &Runtime, folder: &Path, text: &str) -> Subject {
    let checked = check(
        runtime,
        text,
        &CheckWith {
            file_name: "image.yaml",
            resolve: ResolveWith {
                cloud: Cloud::Local,
                parameters: &[],
                region: None,
            },
            shelf: Shelf::Live {
                system: &folder.join("components"),
                template: folder,
                packages: &Packages::new(),
            },
        },
    );
    Subject {
        checked: checked.unwrap_or_else(|mistakes| panic!("{mistakes:?}")),
        file: "image.yaml".into(),
        folder: folder.to_owned(),
        parameters: Vec::new(),
        secrets: ask(),
    }
}

/// What a life has left.
pub struct Kept {
    ground: Ground,
    run: RunId,
}

/// One run, life after life.
pub struct Trial<'a> {
    scene: &'a Scene,
    pub site: Site,
    pub run: RunId,
}

impl Trial<'_> {
    /// A life that ends at a moment of a call; whether it did.
    pub async fn cut(&mut self, call: &Call, moment: Moment) -> Result<(), String> {
        let life = self.site.life(Fate::Cut(call.clone(), moment));
        self.crash(&life).await
    }

    /// A life that must not end by itself.
    pub async fn crash(&mut self, life: &Life) -> Result<(), String> {
        let run = self.run.clone();
        match self.site.live(&[run], life, &ask()).await.unwrap() {
            End::Crashed => Ok(()),
            End::Over(over) => Err(format!("the crash did not happen: {}", brief(&over))),
        }
    }

    /// Keeps what is there after a crash, for [`Scene::go_on`].
    pub async fn keep(&self) -> Kept {
        Kept {
            ground: self.site.keep().await.unwrap(),
            run: self.run.clone(),
        }
    }

    /// A life without a crash.
    pub async fn resume(&mut self) -> (Life, Result<Outcome, EngineError>) {
        let life = self.site.life(Fate::None);
        let outcome = self.resume_as(&life).await;
        (life, outcome)
    }

    /// The same with this life.
    pub async fn resume_as(&mut self, life: &Life) -> Result<Outcome, EngineError> {
        let run = self.run.clone();
        match self.site.live(&[run], life, &ask()).await.unwrap() {
            End::Over(mut over) => over.pop().unwrap(),
            End::Crashed => panic!("a life without a fate has crashed"),
        }
    }

    /// What is told of a run that is over.
    pub async fn told(&self, outcome: &Outcome) -> Told {
        Told {
            status: outcome.manifest.status,
            books: Books::read(&self.site).await.unwrap(),
            manifest: comparable(json!(outcome.manifest)),
            executed: books::executions(&self.site).await.unwrap(),
        }
    }

    /// The mutating calls of the run that the server's recorder has seen, in order of
    /// their names.
    async fn recorded(&self) -> Vec<String> {
        let since = self.scene.ground.at().to_string();
        let page = "/-/requests?limit=10000";
        let all = self.site.admin("GET", page, json!(null)).await.unwrap();
        let mut seen: Vec<String> = all["requests"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|one| one["at"].as_str().unwrap() >= since.as_str())
            .filter_map(|one| one["action"].as_str())
            .filter(|name| darkroom_ecs::action::info(name).is_some_and(|info| info.mutating))
            .map(ToOwned::to_owned)
            .collect();
        seen.sort();
        seen
    }

    /// Compares with the undisturbed run, and looks for the secret.
    pub async fn judge(&self, outcome: Result<Outcome, EngineError>) -> Result<(), String> {
        let outcome = outcome.map_err(|error| format!("it did not end: {error:?}"))?;
        let wanted = &reference().told;
        let told = self.told(&outcome).await;
        let differs = |what: &str, is: &dyn std::fmt::Debug, was: &dyn std::fmt::Debug| {
            Err(format!("{what} is {is:?} and not {was:?}"))
        };
        if told.status != wanted.status {
            return differs("the status", &outcome.manifest.error, &wanted.status);
        }
        if told.books.counts != wanted.books.counts {
            return differs("what is left", &told.books.counts, &wanted.books.counts);
        }
        let regions: HashSet<_> = told.books.images.iter().map(|(region, _)| region).collect();
        if regions.len() != told.books.images.len() {
            return Err(format!("two images in a region: {:?}", told.books.images));
        }
        if told.manifest != wanted.manifest {
            return differs("the manifest", &told.manifest, &wanted.manifest);
        }
        if told.executed != wanted.executed {
            return differs("what was executed", &told.executed, &wanted.executed);
        }
        look_for_the_secret(&self.site.state())
    }
}

/// The value of the secret is in no file of a state folder.
pub fn look_for_the_secret(state: &Path) -> Result<(), String> {
    for file in files(state) {
        let bytes = std::fs::read(&file).unwrap();
        let secret = PASSWORD.as_bytes();
        if bytes.windows(secret.len()).any(|part| part == secret) {
            return Err(format!("the secret is in {}", file.display()));
        }
    }
    Ok(())
}

/// Nothing but images is left: where the run has not succeeded, those that were there
/// before it and those that it says it has kept.
pub async fn is_clean(trial: &Trial<'_>, manifest: &Manifest) -> Result<(), String> {
    look_for_the_secret(&trial.site.state())?;
    let ended = matches!(manifest.status, Status::Failed | Status::Cancelled);
    if ended && manifest.regions.is_empty() {
        return is_as_before(trial).await;
    }
    let books = Books::read(&trial.site).await.unwrap();
    let images = |what: &str| what.starts_with("image ") || what.starts_with("snapshot ");
    let others: Vec<_> = books.counts.keys().filter(|what| !images(what)).collect();
    if !others.is_empty() {
        return Err(format!("left: {others:?}"));
    }
    let before = trial.scene.before();
    let listed = json!(manifest.regions);
    let is_listed = |image: &str| listed.to_string().contains(&format!("\"{image}\""));
    let unknown: Vec<_> = books
        .images
        .iter()
        .filter(|one| !before.images.contains(one) && !is_listed(&one.1))
        .collect();
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(format!("images of nobody: {unknown:?}"))
    }
}

/// What is left when all of a run is undone: what was there before it.
pub async fn is_as_before(trial: &Trial<'_>) -> Result<(), String> {
    let now = Books::read(&trial.site).await.unwrap();
    let before = trial.scene.before();
    if now == before {
        Ok(())
    } else {
        Err(format!(
            "left: {:?}, before: {:?}",
            now.counts, before.counts
        ))
    }
}

impl Scene {
    fn before(&self) -> Books {
        let ground = &self.ground;
        // In a runtime of its own: the caller's time must not move.
        std::thread::scope(|scope| {
            let look = || {
                SimulatedClock::run(ground.at(), async |clock| {
                    let site = Site::on(ground, &clock, &self.runtime).await.unwrap();
                    Books::read(&site).await.unwrap()
                })
            };
            scope.spawn(look).join().unwrap()
        })
    }
}

/// How runs ended, in a line.
pub fn brief(over: &[Result<Outcome, EngineError>]) -> String {
    let words: Vec<_> = over
        .iter()
        .map(|one| match one {
            Ok(outcome) => format!("{:?} {:?}", outcome.manifest.status, outcome.manifest.error),
            Err(error) => format!("{error:?}"),
        })
        .collect();
    words.join("; ")
}

/// A manifest without times and ids of the cloud's choice.
pub fn comparable(mut manifest: Value) -> Value {
    if let Some(fields) = manifest.as_object_mut() {
        for name in ["started", "finished", "stages", "boot", "run", "roles"] {
            fields.remove(name);
        }
        if let Some(Value::Array(regions)) = fields.get_mut("regions") {
            for region in regions {
                region["image"] = json!(region["image"].is_string());
            }
        }
    }
    manifest
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}
