//! Driving a run to its end, and cleaning up after one that was kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use darkroom_ecs::id::RegionId;
use darkroom_journal::{Failure, RunId, Session, StageSummary, Stop};
use darkroom_template::{Cloud as Where, ResolveWith};
use serde_json::{Map, Value, json};

use super::{Drive, Engine, EngineError, Header, Outcome, PIPELINE, RunView};
use crate::check::{CheckWith, Checked};
use crate::cloud::Cloud;
use crate::components::Shelf;
use crate::event::{Events, Kind, Level, Watcher};
use crate::folder::RunFolder;
use crate::manifest::{self, Manifest, StageTime};
use crate::mask::SHORTEST;
use crate::pipeline::{self, About, Desk};
use crate::secret::{Ask, Vault};
use crate::stage::Work;
use crate::trouble::Trouble;
use crate::verb::{self, ImageVerb};

impl Engine {
    /// Drives a run to its end: a new one from its beginning, an interrupted one from
    /// where it was.
    ///
    /// # Errors
    /// Why it has not come to an end. What went wrong inside the run is in the outcome.
    pub async fn drive(&self, run: &RunId, drive: Drive) -> Result<Outcome, EngineError> {
        // That there is such a run, before a lock is made for it.
        self.view(run).await?;
        let lock = self.journal.lock(run)?;
        // Whoever held the lock until now may have ended it.
        let view = self.view(run).await?;
        if let Some(status) = view.status {
            return Err(EngineError::Ended {
                run: run.clone(),
                status,
            });
        }
        let folder = self.folder(run);
        let events = self.events(run, &folder, &drive.watcher)?;
        self.announce(run, &view.header, &events).await?;
        let cloud = Arc::new(self.cloud(run, &drive, &folder, &events));
        let world = Arc::clone(&cloud);
        let session = self.journal.session(lock, world, PIPELINE).await?;
        self.claim(&session).await?;
        let finished = self.finished(run).await?;
        let manifest = if pipeline::is_over(&finished, session.is_cancelled()) {
            let (region, roles) = (region_of(run, &view.header)?, Mutex::default());
            let desk = Desk {
                run,
                started: view.begun,
                region: &region,
                events: &events,
                about: about(&view.header, &folder),
                roles: &roles,
            };
            pipeline::abandon(&session, &desk, &finished).await
        } else {
            Box::pin(self.play(&session, &cloud, &view, &drive, &folder, &events)).await?
        };
        let manifest = manifest.map_err(|stop| stopped(run, stop))?;
        let outcome = self.end(manifest, &folder, &events).await?;
        session.close().await?;
        self.waiter.keep();
        Ok(outcome)
    }

    /// Removes what a run has kept to be looked at. One that has not ended is cancelled.
    ///
    /// # Errors
    /// When it can't be done now, or something is left.
    pub async fn cleanup(&self, run: &RunId, drive: Drive) -> Result<(), EngineError> {
        let view = self.view(run).await?;
        let Some(status) = view.status else {
            self.cancel(run).await?;
            return self.drive(run, drive).await.map(drop);
        };
        let lock = self.journal.lock(run)?;
        let folder = self.folder(run);
        let events = self.events(run, &folder, &drive.watcher)?;
        let cloud = Arc::new(self.cloud(run, &drive, &folder, &events));
        let session = self.journal.session(lock, cloud, PIPELINE).await?;
        self.claim(&session).await?;
        let left = pipeline::unwind(&session, &events)
            .await
            .map_err(|stop| stopped(run, stop))?;
        session.close().await?;
        if left.is_empty() {
            return Ok(());
        }
        let run = run.clone();
        Err(EngineError::Left { run, status, left })
    }

    /// Makes this session the one that the run belongs to, by the marks on what earlier
    /// ones have made.
    async fn claim(&self, session: &Session<Cloud>) -> Result<(), EngineError> {
        let (run, epoch) = (session.run(), session.epoch());
        let world = session.world();
        world.take(epoch.clone());
        if epoch.number == 1 {
            return Ok(());
        }
        let entries = session.undo_entries().await?;
        world.claim(&entries).await.map_err(|failure| {
            let (Failure::Final(trouble) | Failure::Unavailable(trouble)) = failure;
            stopped(run, Stop::Unavailable(trouble))
        })
    }

    /// Whether something that the run has made is to be removed yet.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub async fn has_leftovers(&self, run: &RunId) -> Result<bool, EngineError> {
        let entries = self.journal.undo_entries(run).await?;
        let pending = |entry: &darkroom_journal::UndoEntry| {
            entry.state == darkroom_journal::UndoState::Pending
        };
        Ok(entries.iter().any(pending))
    }

    /// Plays a run that is not over.
    async fn play(
        &self,
        session: &Session<Cloud>,
        cloud: &Cloud,
        view: &RunView,
        drive: &Drive,
        folder: &RunFolder,
        events: &Events,
    ) -> Result<Result<Manifest, Stop<Trouble>>, EngineError> {
        let (run, header) = (&view.run, &view.header);
        let region = region_of(run, header)?;
        if let Some(verb) = &header.verb
            && !matches!(verb, ImageVerb::Try(_))
        {
            let roles = Mutex::default();
            let desk = Desk {
                run,
                started: view.begun,
                region: &region,
                events,
                about: about(header, folder),
                roles: &roles,
            };
            let (progress, result) = verb::run(session, &desk, verb).await;
            return Ok(
                pipeline::conclude(session, &desk, progress, result, &drive.on_failure).await,
            );
        }
        let checked = self.recheck(run, header, folder)?;
        for warning in &checked.warnings {
            warn(events, warning.to_string());
        }
        let vault = self.vault(run, &checked, &drive.secrets).await?;
        warn_of_short(&vault, events);
        cloud.hold(vault);
        let work = Work {
            run: run.clone(),
            started: view.begun,
            refresh: header.refresh,
            reuses: header.reuses,
            layers: header.layers,
            region,
            checked: &checked,
            runtime: &self.runtime,
            folder: folder.clone(),
            events: events.clone(),
            patience: drive.pace.agent,
            roles: Mutex::default(),
        };
        let desk = work.desk();
        Ok(match &header.verb {
            Some(ImageVerb::Try(image)) => {
                let (progress, result) =
                    verb::try_out::run(session, &work, image, drive.look.as_ref()).await;
                pipeline::conclude(session, &desk, progress, result, &drive.on_failure).await
            }
            _ => pipeline::run(session, &work, &desk, &drive.on_failure).await,
        })
    }

    fn cloud(&self, run: &RunId, drive: &Drive, folder: &RunFolder, events: &Events) -> Cloud {
        Cloud::new(
            run.clone(),
            Arc::clone(&drive.client),
            folder.clone(),
            events.clone(),
            Arc::clone(&self.clock),
            Arc::clone(&self.waiter),
            drive.pace,
        )
    }

    fn events(
        &self,
        run: &RunId,
        folder: &RunFolder,
        watcher: &Watcher,
    ) -> Result<Events, EngineError> {
        let path = folder.file("events.ndjson");
        Events::open(
            &path,
            run.clone(),
            Arc::clone(&self.clock),
            Arc::clone(watcher),
        )
        .map_err(|source| EngineError::Folder {
            act: "write",
            path,
            source,
        })
    }

    /// The stages whose records an earlier process has left.
    async fn finished(&self, run: &RunId) -> Result<BTreeSet<String>, EngineError> {
        let stages = self.journal.stages(run).await?;
        let finished = stages.into_iter().filter(|stage| stage.finished.is_some());
        Ok(finished.map(|stage| stage.name).collect())
    }

    /// Writes the manifest, tells the end, then records it, in this order: a run that has
    /// ended has both, and one that was killed in between tells its end again.
    async fn end(
        &self,
        manifest: Manifest,
        folder: &RunFolder,
        events: &Events,
    ) -> Result<Outcome, EngineError> {
        let run = manifest.run.clone();
        let stages = self.journal.stages(&run).await?;
        let manifest = Manifest {
            finished: self.clock.now(),
            stages: stages.iter().map(stage_time).collect(),
            ..manifest
        };
        let file = folder.file(manifest::FILE);
        let text = serde_json::to_vec_pretty(&manifest).map_err(|error| EngineError::Record {
            run: run.clone(),
            problem: error.to_string(),
        })?;
        folder
            .write(manifest::FILE, &text)
            .map_err(|source| EngineError::Folder {
                act: "write",
                path: file.clone(),
                source,
            })?;
        if !manifest.left.is_empty() {
            return Err(EngineError::Left {
                run,
                status: manifest.status,
                left: manifest.left,
            });
        }
        let images = pipeline::images(&manifest);
        events.tell(Kind::RunFinished {
            status: manifest.status,
            images: images.clone(),
            error: manifest.error.clone(),
        });
        darkroom_failpoint::reach("engine.told").await;
        let result = json!({ "status": manifest.status, "images": images });
        self.journal.finish(&run, result).await?;
        Ok(Outcome { manifest, file })
    }

    async fn announce(
        &self,
        run: &RunId,
        header: &Header,
        events: &Events,
    ) -> Result<(), EngineError> {
        if self.journal.stages(run).await?.is_empty() {
            events.tell(Kind::RunStarted {
                template: header.template.clone(),
                cloud: header.cloud.clone(),
                region: header.region.clone(),
            });
        } else {
            events.tell(Kind::RunResumed {
                pid: std::process::id(),
            });
        }
        Ok(())
    }

    /// The secrets of a run: those that it was begun with, or asked for again.
    async fn vault(
        &self,
        run: &RunId,
        checked: &Checked,
        ask: &Ask,
    ) -> Result<Arc<Vault>, EngineError> {
        let begun_with = self
            .vaults
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(run);
        match begun_with {
            Some(vault) => Ok(vault),
            None => Ok(Arc::new(Vault::ask(&checked.secrets(), ask).await?)),
        }
    }

    /// The checked template of a run that has begun, from its own copies.
    fn recheck(
        &self,
        run: &RunId,
        header: &Header,
        folder: &RunFolder,
    ) -> Result<Checked, EngineError> {
        let path = folder.file(TEMPLATE);
        let text = std::fs::read_to_string(&path).map_err(|source| EngineError::Folder {
            act: "read",
            path,
            source,
        })?;
        let cloud: Where = header.cloud.parse().map_err(|_| EngineError::Record {
            run: run.clone(),
            problem: format!("{} can't be a cloud", header.cloud),
        })?;
        let with = CheckWith {
            file_name: &header.file,
            resolve: ResolveWith {
                cloud,
                parameters: &header.parameters,
                region: Some(&header.region),
            },
            shelf: Shelf::Kept {
                folder,
                digests: &header.components,
                copies: &header.copies,
            },
        };
        Ok(self.check(&text, &with)?)
    }
}

/// The template's file in the run's folder.
pub(super) const TEMPLATE: &str = "template.yaml";

fn region_of(run: &RunId, header: &Header) -> Result<RegionId, EngineError> {
    header.region.parse().map_err(|_| EngineError::Record {
        run: run.clone(),
        problem: format!("{} can't be a region", header.region),
    })
}

/// What a run is about, as far as it is known without looking into its template.
fn about(header: &Header, folder: &RunFolder) -> About {
    let parameters = header.parameters.iter();
    About {
        template: header.template.clone(),
        template_text: folder
            .read(TEMPLATE)
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .unwrap_or_default(),
        parameters: parameters
            .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
            .collect::<Map<_, _>>(),
        cloud: header.cloud.clone(),
        components: header.components.clone(),
        inputs: BTreeMap::new(),
    }
}

fn warn_of_short(vault: &Vault, events: &Events) {
    for name in vault.short() {
        let text = format!(
            "the secret {name} has less than {SHORTEST} bytes: it can't be masked in outputs"
        );
        warn(events, text);
    }
}

fn warn(events: &Events, text: String) {
    events.tell(Kind::Message {
        path: "prepare".into(),
        level: Level::Warning,
        text,
    });
}

fn stage_time(stage: &StageSummary) -> StageTime {
    let finished = stage.finished.unwrap_or(stage.opened);
    StageTime {
        stage: stage.name.clone(),
        seconds: finished.duration_since(stage.opened).as_secs_f64(),
    }
}

fn stopped(run: &RunId, stop: Stop<Trouble>) -> EngineError {
    match stop {
        Stop::Unavailable(trouble @ Trouble::Superseded { .. }) => EngineError::Superseded {
            run: run.clone(),
            trouble,
        },
        Stop::Unavailable(trouble) => EngineError::Unavailable {
            run: run.clone(),
            trouble,
        },
        Stop::Store(error) => EngineError::Store(error),
        stop => EngineError::Stopped {
            run: run.clone(),
            stop: Box::new(stop),
        },
    }
}
