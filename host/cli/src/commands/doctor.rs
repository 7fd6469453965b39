//! `darkroom doctor`: what would be in the way of a build, and what to do about it.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use darkroom_ecs::endpoint::{self, Endpoint, Resolver};
use darkroom_ecs::id::RegionId;
use darkroom_template::{Cloud, Resolved};
use serde_json::json;

use super::policy;
use crate::args::{TemplateArgs, Where, parameter};
use crate::cloud::access::{Access, DEFAULT_REGION, transport};
use crate::cloud::local_cloud::LocalCloud;
use crate::doctor::{
    Check, Finding, Report, Subject, disk, egress, keys, place, reach, rights, sandbox,
};
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::places::roots::Roots;
use crate::places::template_file::TemplateFile;
use crate::settings::{Config, Key, Settings};
use crate::terminal::Terminal;

/// Look for what would be in the way of a build, and say what to do about it
///
/// It looks at this machine (what instances of the local cloud need, room on disks), at the
/// way to the cloud (address, TLS, clock) and at the keys; with a template also at what it
/// needs to be allowed, its source image, stock, quotas, and whether instances reach the
/// Cloud Assistant. Nothing is changed and nothing that is billed is made; what can't be
/// known without that is said. It ends with 1 when it has found an error.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom doctor\n  \
    darkroom doctor image.yaml\n  \
    darkroom doctor image.yaml --on aliyun --region cn-hangzhou\n  \
    darkroom doctor --endpoint https://ecs.cn-hangzhou.aliyuncs.com --json")]
pub(crate) struct Doctor {
    /// A template, or the folder of an `image.yaml`; without it the machine and the account
    #[arg(value_name = "TEMPLATE", value_hint = ValueHint::FilePath)]
    pub(crate) template: Option<PathBuf>,
    /// The value of a parameter; can be given for each
    #[arg(short = 'p', long = "parameter", value_name = "NAME=VALUE", value_parser = parameter, requires = "template")]
    parameters: Vec<(String, String)>,
    #[command(flatten)]
    place: Where,
    /// Another server that speaks ECS, such as one within a VPC; keys are found as with `--on aliyun`
    #[arg(long, value_name = "URL", conflicts_with = "on")]
    endpoint: Option<Endpoint>,
}

impl Doctor {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let file = self
            .template
            .as_deref()
            .map(TemplateFile::read)
            .transpose()?;
        let folder = file
            .as_ref()
            .map_or(".".as_ref(), |file| file.folder.as_path());
        let config = Config::load(folder)?;
        let mut settings = Settings::of(&self.place, &config)?;
        if self.endpoint.is_some() {
            settings.cloud = Cloud::Aliyun;
        }
        let words = self
            .template
            .as_ref()
            .map(|path| path.display().to_string());
        let template = match (&file, self.template) {
            (Some(file), Some(template)) => {
                let template = TemplateArgs {
                    template,
                    parameters: self.parameters,
                };
                Some(policy::resolved(file, &template, &settings)?)
            }
            _ => None,
        };
        let visit = Visit {
            roots: Roots::of_process()?,
            settings,
            template,
            words: words.unwrap_or_default(),
            endpoint: self.endpoint,
            sim: config.text(Key::Driver, None)?.as_deref() == Some("sim"),
        };
        let mut report = Report::new(terminal);
        visit.look(&mut report).await;
        let (errors, warnings) = report.counts();
        terminal.json(&json!({ "result": { "errors": errors, "warnings": warnings } }));
        terminal.line("");
        terminal.line(summary(errors, warnings));
        Ok(if errors == 0 { exit::DONE } else { exit::FOUND })
    }
}

fn summary(errors: usize, warnings: usize) -> String {
    let noun = |count: usize, noun: &str| {
        let end = if count == 1 { "" } else { "s" };
        format!("{count} {noun}{end}")
    };
    match (errors, warnings) {
        (0, 0) => "Nothing is in the way.".to_owned(),
        _ => format!("{}, {}.", noun(errors, "error"), noun(warnings, "warning")),
    }
}

/// Everything that was decided before anything is looked at.
struct Visit {
    roots: Roots,
    settings: Settings,
    template: Option<Resolved>,
    words: String,
    endpoint: Option<Endpoint>,
    /// The local cloud only simulates instances.
    sim: bool,
}

impl Visit {
    async fn look(&self, report: &mut Report<'_>) {
        let (cloud, template) = (self.settings.cloud, self.template.as_ref());
        match (cloud, self.sim) {
            (Cloud::Local, false) => sandbox::look(&self.roots, template, report).await,
            (Cloud::Local, true) => report.add(Finding::ok(
                Check::Sandbox,
                "instances are simulated (DARKROOM_DRIVER), which needs nothing of this machine",
            )),
            (Cloud::Aliyun, _) => {}
        }
        let copies = template.map_or(0, |template| {
            let regions = template.distribute.regions.iter();
            regions
                .filter(|region| region.value != template.region)
                .count()
        });
        disk::look(&self.roots, cloud, copies, report);
        if !self.at_the_cloud(report).await {
            report.add(Finding::warning(
                Check::Rights,
                "rights, quotas, stock and egress were not looked at: the errors above come first",
            ));
        }
    }

    /// Looks at the cloud; whether everything could be.
    async fn at_the_cloud(&self, report: &mut Report<'_>) -> bool {
        let Some(region) = self.region(report) else {
            return false;
        };
        let (resolver, transport) = match (self.resolver().await, transport()) {
            (Ok(resolver), Ok(transport)) => (resolver, transport),
            (Err(failure), _) => {
                report.add(Finding::failed(Check::Endpoint, &failure));
                return false;
            }
            (_, Err(error)) => {
                report.add(Finding::failed(Check::Endpoint, &error.into()));
                return false;
            }
        };
        let reached = reach::look(&transport, &resolver, &region, report).await;
        let access = Access::open_at(resolver, transport, &self.settings, &self.roots).await;
        let access = match access {
            Ok(access) => access,
            Err(failure) => {
                report.add(Finding::failed(Check::Credentials, &failure));
                return false;
            }
        };
        if !reached {
            let text = format!("keys from {}; whose they are can't be asked", access.from);
            report.add(Finding::ok(Check::Credentials, text));
            return false;
        }
        let client = access.client();
        let cloud = self.settings.cloud;
        if !keys::look(&access, &client, &region, cloud, report).await {
            return false;
        }
        let Some(template) = &self.template else {
            place::quota(&client, &region, None, report).await;
            return true;
        };
        let subject = Subject {
            client: &client,
            region: &region,
            template,
            words: &self.words,
        };
        let survey = place::look(&subject, report).await;
        rights::look(&subject, survey.as_ref(), report).await;
        let known = survey.as_ref().map(|survey| (template, survey));
        place::quota(&client, &region, known, report).await;
        if let Some(survey) = &survey {
            egress::look(&subject, survey, report).await;
        }
        true
    }

    fn region(&self, report: &mut Report<'_>) -> Option<RegionId> {
        let named = self
            .template
            .as_ref()
            .map(|template| template.region.as_str());
        let named = named.or(self.settings.region.as_deref());
        let text = named.unwrap_or(DEFAULT_REGION);
        let region = text.parse();
        if region.is_err() {
            let text = format!("{text} can't be a region");
            let hint = "regions are like cn-hangzhou";
            report.add(Finding::error(Check::Region, text).hint(hint));
        }
        region.ok()
    }

    /// The way to the cloud. The local one is started if it isn't running.
    async fn resolver(&self) -> Result<Resolver, Failure> {
        Ok(match (&self.endpoint, self.settings.cloud) {
            (Some(endpoint), _) => endpoint::fixed(endpoint.clone()),
            (None, Cloud::Aliyun) => endpoint::public(),
            (None, Cloud::Local) => {
                let cloud = LocalCloud::new(self.roots.clone());
                cloud.ensure().await?;
                cloud.resolver()
            }
        })
    }
}
