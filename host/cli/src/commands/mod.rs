//! One file for each verb. A verb reads its arguments, calls a library, and gives what
//! came of it to the terminal; logic that two verbs need lives outside of this folder.

pub(crate) mod build;
pub(crate) mod bundle;
pub(crate) mod cache;
pub(crate) mod chaos;
pub(crate) mod completions;
pub(crate) mod component;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod fetch;
pub(crate) mod fmt;
pub(crate) mod gc;
pub(crate) mod image;
pub(crate) mod init;
pub(crate) mod local;
pub(crate) mod man;
pub(crate) mod plan;
pub(crate) mod policy;
pub(crate) mod resume;
pub(crate) mod runs;
pub(crate) mod schema;
pub(crate) mod update;
pub(crate) mod validate;

use crate::args::{Cli, Verb};
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::places::namespace;
use crate::settings;
use crate::terminal::Terminal;
use crate::terminal::json;

/// Lets the terminal look as the settings say, and runs the verb of a command line.
pub(crate) fn start(cli: Cli, terminal: &mut Terminal) -> Result<Exit, Failure> {
    terminal.configure(&cli.global, &cli.verb.project())?;
    run(cli, terminal)
}

fn run(cli: Cli, terminal: &Terminal) -> Result<Exit, Failure> {
    match cli.verb {
        // Without threads and descriptors of ours: an instance's supervisor forks.
        Verb::Local(local::Local {
            verb: local::LocalVerb::Supervise(supervise),
        }) => Ok(supervise.run()),
        Verb::Local(local::Local {
            verb: local::LocalVerb::Abilities(_),
        }) => local::abilities::Abilities::run(),
        Verb::Component(component) => component.run(terminal),
        Verb::Cache(cache) => cache.run(terminal),
        Verb::Policy(policy) => policy.run(terminal),
        Verb::Completions(completions) => completions.run(),
        Verb::Man(man) => man.run(terminal),
        Verb::Fmt(fmt) => fmt.run(terminal),
        Verb::Schema(schema) => schema.run(terminal),
        Verb::Config(config) => config.run(terminal, &cli.global.said()),
        Verb::ExitCodes => Ok(topic(&exit::table())),
        Verb::Configuration => Ok(topic(&settings::table())),
        Verb::Json => Ok(topic(&json::table())),
        Verb::Local(local) => {
            if local.touches_files() {
                // Without threads, too.
                namespace::enter()?;
            }
            runtime()?.block_on(local.run(terminal))
        }
        verb => runtime()?.block_on(run_async(verb, terminal)),
    }
}

async fn run_async(verb: Verb, terminal: &Terminal) -> Result<Exit, Failure> {
    match verb {
        Verb::Init(init) => init.run(terminal).await,
        Verb::Build(build) => build.run(terminal).await,
        Verb::Plan(plan) => plan.run(terminal).await,
        Verb::Validate(validate) => validate.run(terminal).await,
        Verb::Bundle(bundle) => bundle.run(terminal).await,
        Verb::Fetch(fetch) => fetch.run(terminal).await,
        Verb::Update(update) => update.run(terminal).await,
        Verb::Resume(resume) => resume.run(terminal).await,
        Verb::Runs(runs) => runs.run(terminal).await,
        Verb::Chaos(chaos) => chaos.run(terminal).await,
        Verb::Gc(gc) => gc.run(terminal).await,
        Verb::Doctor(doctor) => doctor.run(terminal).await,
        Verb::Image(image) => image.run(terminal).await,
        // They were run before there was a runtime.
        Verb::Component(_)
        | Verb::Cache(_)
        | Verb::Policy(_)
        | Verb::Local(_)
        | Verb::Completions(_)
        | Verb::Man(_)
        | Verb::Config(_)
        | Verb::Fmt(_)
        | Verb::Schema(_)
        | Verb::ExitCodes
        | Verb::Configuration
        | Verb::Json => Ok(exit::DONE),
    }
}

fn topic(text: &str) -> Exit {
    Terminal::raw(text.as_bytes());
    exit::DONE
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::internal)
}
