//! The words of the command line: verbs, options and their help.
//!
//! Options that exist in many verbs are here; each verb's own stand in its file under
//! `commands`. Defaults that files can change are not decided here but in `settings`.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::ArgValueCandidates;

use crate::commands;
use crate::completion;
use crate::exit;
use crate::places::template_file::folder_of;
use crate::settings::{self, Key};
use crate::terminal::json;

/// Build, test and distribute cloud machine images.
///
/// Darkroom makes an image from a template, `image.yaml`: it starts an instance, runs
/// the template's components on it, makes an image of it, tests that image on a fresh
/// instance, copies and shares it, and cleans up. With `--on local` (the default) all
/// of this happens on this machine, with no cloud account; with `--on aliyun` it
/// happens on Alibaba Cloud ECS, with the same template.
#[derive(Parser, Debug)]
#[command(
    name = "darkroom",
    version,
    propagate_version = true,
    disable_help_subcommand = false,
    max_term_width = 100,
    after_help = "Examples:\n  \
        darkroom build examples/01-web-server/image.yaml\n  \
        darkroom build image.yaml -p greeting='good day'\n  \
        darkroom plan image.yaml --on aliyun --region cn-hangzhou\n  \
        darkroom resume last\n\n\
        `darkroom help <command>` says more. `darkroom help exit-codes`, `darkroom help configuration`\n\
        and `darkroom help json` list the exit codes, the settings and the shapes of JSON."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Options of every verb.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// Print events and results as JSON, one object a line; `darkroom help json` has the shapes
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// How a run is shown; a tree on a terminal, plain lines elsewhere or with CI=true
    ///
    /// `json` writes events as JSON to standard error and leaves results for people
    /// [env: `DARKROOM_PROGRESS`]
    #[arg(long, global = true, value_name = "KIND", value_parser = words(Key::Progress))]
    pub(crate) progress: Option<String>,
    /// When to use colours; `NO_COLOR` and `CLICOLOR_FORCE` are followed as well
    ///
    /// [env: `DARKROOM_COLOR`]
    #[arg(long, global = true, value_name = "WHEN", value_parser = words(Key::Color))]
    pub(crate) color: Option<String>,
    /// Log what happens inside to standard error; give it twice for more
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

impl Global {
    /// The settings that these options say.
    pub(crate) fn said(&self) -> [(Key, Option<String>); 2] {
        [
            (Key::Progress, self.progress.clone()),
            (Key::Color, self.color.clone()),
        ]
    }
}

/// The words that a setting's flag takes: those of the table.
pub(crate) fn words(key: Key) -> PossibleValuesParser {
    PossibleValuesParser::new(key.known().values)
}

/// Which cloud, region and account a verb works with.
#[derive(Args, Debug, Clone, Default)]
pub(crate) struct Where {
    /// The cloud: this machine, or Alibaba Cloud ECS [env: `DARKROOM_ON`]
    #[arg(long, value_name = "CLOUD", value_parser = words(Key::On))]
    pub(crate) on: Option<String>,
    /// The region, such as `cn-hangzhou` [env: `DARKROOM_REGION`]
    #[arg(long, value_name = "REGION", add = ArgValueCandidates::new(completion::regions))]
    pub(crate) region: Option<String>,
    /// Whose keys: an account of the local cloud (`first`, `second`), or a profile of
    /// ~/.aliyun/config.json [env: `DARKROOM_ACCOUNT`]
    #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(completion::accounts))]
    pub(crate) account: Option<String>,
}

/// A template and the values of its parameters.
#[derive(Args, Debug, Clone)]
pub(crate) struct TemplateArgs {
    /// The template, or the folder of an `image.yaml`
    #[arg(value_name = "TEMPLATE", default_value = "image.yaml", value_hint = ValueHint::FilePath)]
    pub(crate) template: PathBuf,
    /// The value of a parameter; can be given for each
    #[arg(short = 'p', long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
    pub(crate) parameters: Vec<(String, String)>,
}

/// `NAME=VALUE`, as `-p` takes it.
pub(crate) fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| format!("write `-p {text}=VALUE`"))?;
    if name.is_empty() {
        return Err("the name before `=` is missing".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// The verbs.
#[derive(Subcommand, Debug)]
pub(crate) enum Verb {
    Init(commands::init::Init),
    Build(commands::build::Build),
    Plan(commands::plan::Plan),
    Validate(commands::validate::Validate),
    Policy(commands::policy::Policy),
    Doctor(commands::doctor::Doctor),
    Fmt(commands::fmt::Fmt),
    Schema(commands::schema::Schema),
    Fetch(commands::fetch::Fetch),
    Bundle(commands::bundle::Bundle),
    Update(commands::update::Update),
    Resume(commands::resume::Resume),
    Runs(commands::runs::Runs),
    Chaos(commands::chaos::Chaos),
    Gc(commands::gc::Gc),
    Image(commands::image::Image),
    Local(commands::local::Local),
    Component(commands::component::Component),
    Cache(commands::cache::Cache),
    Completions(commands::completions::Completions),
    Man(commands::man::Man),
    Config(commands::config::Config),
    /// The exit codes and what they mean
    #[command(hide = true, long_about = exit::table())]
    ExitCodes,
    /// The settings, and where each can be set
    #[command(hide = true, long_about = settings::table())]
    Configuration,
    /// What each command prints with `--json`
    #[command(hide = true, long_about = json::table())]
    Json,
}

impl Verb {
    /// The folder in which the verb works: its template's, else the current one. The
    /// project's settings lie in it.
    pub(crate) fn project(&self) -> PathBuf {
        let template = match self {
            Self::Update(update) => return folder_of(&update.template),
            Self::Doctor(doctor) => {
                let template = doctor.template.as_deref();
                return template.map_or_else(|| PathBuf::from("."), folder_of);
            }
            Self::Build(build) => {
                return build
                    .template
                    .first()
                    .map_or_else(|| PathBuf::from("."), |path| folder_of(path));
            }
            Self::Plan(plan) => &plan.template,
            Self::Validate(validate) => &validate.template,
            Self::Chaos(chaos) => &chaos.template,
            Self::Policy(policy) => &policy.template,
            Self::Fetch(fetch) => &fetch.template,
            Self::Bundle(bundle) => &bundle.template,
            _ => return PathBuf::from("."),
        };
        folder_of(&template.template)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn parameters_have_a_name_and_a_value() {
        assert_eq!(parameter("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(parameter("a="), Ok(("a".into(), String::new())));
        assert!(parameter("a").is_err());
        assert!(parameter("=a").is_err());
    }

    #[test]
    fn the_verbs_and_their_help() {
        let mut command = Cli::command().term_width(100);
        command.build();
        insta::assert_snapshot!("help", command.render_help());
        let build = command.find_subcommand_mut("build").unwrap();
        insta::assert_snapshot!("help_build", build.render_long_help());
    }
}
