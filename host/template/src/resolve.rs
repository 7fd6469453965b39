//! The final template for one cloud and one set of parameters: [`Resolved`].
//!
//! The engine plans and builds from it. Everything in it has been checked; values
//! that only the cloud can judge carry their place, so that the engine can report
//! them as mistakes of the file.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::mistake::{Mistake, Mistakes};
use crate::nearest::nearest;
use crate::read::{Reader, quoted, shortened};
use crate::reference;
use crate::rules;
use crate::section::build::{SpanTree, UsesRef};
use crate::section::overlay::Layer;
use crate::section::parameters;
use crate::section::repair::Repair;
use crate::section::source::Source;
use crate::span::{SourceFile, Span, Spanned};
use crate::template::Template;

/// The build region of a template that names none.
const DEFAULT_REGION: &str = "cn-hangzhou";

/// The clouds that a template can say something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cloud {
    /// The local cloud.
    Local,
    /// Alibaba Cloud.
    Aliyun,
}

impl Cloud {
    /// The word for it in templates and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Aliyun => "aliyun",
        }
    }
}

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A word that names no cloud.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a cloud; it can be `local` or `aliyun`")]
pub struct ParseCloudError(String);

impl FromStr for Cloud {
    type Err = ParseCloudError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        [Self::Local, Self::Aliyun]
            .into_iter()
            .find(|cloud| cloud.word() == word)
            .ok_or_else(|| ParseCloudError(word.to_owned()))
    }
}

/// What is known about a run beside the template.
#[derive(Clone, Copy, Debug)]
pub struct ResolveWith<'a> {
    /// The cloud whose overlay is used.
    pub cloud: Cloud,
    /// Parameters as given on the command line: name and text.
    pub parameters: &'a [(String, String)],
    /// The build region, if one was asked for.
    pub region: Option<&'a str>,
}

/// A template with nothing left to decide. See [`Template::resolve`].
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The template's name.
    pub name: Spanned<String>,
    /// The cloud that it was resolved for.
    pub cloud: Cloud,
    /// The region in which the image is built: the one asked for, else the first of
    /// `distribute.regions`, else `cn-hangzhou`.
    pub region: String,
    /// The value of every parameter.
    pub parameters: Map<String, Value>,
    /// The image that the build starts from.
    pub source: Source,
    /// What is repaired in it.
    pub repair: Spanned<Repair>,
    /// What is done, in order.
    pub build: Vec<BuildItem>,
    /// The testers of the finished image, in order.
    pub test: Vec<Uses>,
    /// The instances that it is built and tested on.
    pub instance: Instance,
    /// How the image is named.
    pub image: ImageSettings,
    /// Where it goes.
    pub distribute: Distribute,
    source_file: Arc<SourceFile>,
}

/// One item of `build`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildItem {
    /// A component.
    Uses(Uses),
    /// A script.
    Run(Run),
    /// A reboot.
    Reboot {
        /// Where the template asks for it.
        span: Span,
    },
}

impl BuildItem {
    /// What to mark when something is wrong with the item as a whole.
    pub fn span(&self) -> Span {
        match self {
            Self::Uses(uses) => uses.span,
            Self::Run(run) => run.span,
            Self::Reboot { span } => *span,
        }
    }
}

/// A component with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uses {
    /// What is named.
    pub reference: UsesRef,
    /// The arguments, as yet without the component's defaults.
    pub with: Map<String, Value>,
    /// Where the component is named.
    pub span: Span,
    /// The whole item.
    pub item: Span,
    pub(crate) arguments: Option<SpanTree>,
}

impl Uses {
    /// Where an argument stands, by its path in JSON (`["install", "0"]`), or the
    /// nearest value around it that the file has. Without `with` it is the name of
    /// the component.
    pub fn argument_span<S: AsRef<str>>(&self, path: &[S]) -> Span {
        match &self.arguments {
            Some(tree) if !path.is_empty() => match tree.find(path) {
                // An argument that is missing is reported where the component is named.
                span if span == tree.span => self.span,
                span => span,
            },
            _ => self.span,
        }
    }

    /// Where the name of an argument stands, for arguments that shouldn't be there.
    pub fn argument_key_span(&self, name: &str) -> Option<Span> {
        self.arguments.as_ref()?.key(name)
    }

    fn with_values(&self, parameters: &Map<String, Value>) -> Self {
        let with = self
            .with
            .iter()
            .map(|(key, value)| (key.clone(), reference::replace(value, parameters)));
        Self {
            with: with.collect(),
            ..self.clone()
        }
    }
}

/// A script of the template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The script for the machine's shell.
    pub script: String,
    /// Variables and their values, in the order of the file.
    pub env: Vec<(String, String)>,
    /// What the template calls it.
    pub name: Option<String>,
    /// Where the script stands.
    pub span: Span,
    /// The whole item.
    pub item: Span,
}

impl Run {
    /// What to call it: its name, or the first line of the script.
    pub fn title(&self) -> String {
        let line = self
            .script
            .lines()
            .map(str::trim)
            .find(|line| !line.is_empty());
        match &self.name {
            Some(name) => name.clone(),
            None => shortened(line.unwrap_or("run")),
        }
    }
}

/// The instances of a build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    /// The type; without one the cheapest that fits is chosen.
    pub instance_type: Option<Spanned<String>>,
    /// Bandwidth to the internet in Mbit/s; without it there is no way out.
    pub internet: Option<Spanned<u32>>,
    /// The vSwitch.
    pub vswitch: Option<Spanned<String>>,
    /// The security group.
    pub security_group: Option<Spanned<String>>,
    /// The size of the system disk in GiB; without it the image's own.
    pub disk: Option<Spanned<u32>>,
    /// Whether spot instances are used.
    pub spot: bool,
}

/// How the finished image is named and described.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageSettings {
    /// Its name, which must be free; without one it is `{name}-{run}`.
    pub name: Option<Spanned<String>>,
    /// The family that it joins after its tests.
    pub family: Option<Spanned<String>>,
    /// Its description.
    pub description: Option<Spanned<String>>,
    /// Its tags, in the order of the file.
    pub tags: Vec<(String, Spanned<String>)>,
}

/// Where the finished image goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribute {
    /// The regions that have it in the end, in the order of the file.
    pub regions: Vec<Spanned<String>>,
    /// The accounts that may use it.
    pub accounts: Vec<Spanned<String>>,
}

impl Resolved {
    /// The file and its text.
    pub fn source_file(&self) -> &Arc<SourceFile> {
        &self.source_file
    }

    /// A mistake in the template that only others can find: a component that doesn't
    /// exist, an argument that it doesn't take.
    pub fn mistake_at(
        &self,
        span: Span,
        message: impl Into<String>,
        help: Option<String>,
    ) -> Mistake {
        let reader = Reader::new(&self.source_file);
        let mistake = reader.mistake(span, message);
        help.into_iter().fold(mistake, Mistake::help)
    }
}

impl Template {
    /// Merges the overlay of a cloud, gives the parameters their values and puts
    /// them where they are used.
    ///
    /// # Errors
    /// Every mistake in the given parameters and region, and a source that this
    /// cloud doesn't have.
    pub fn resolve(&self, with: ResolveWith<'_>) -> Result<Resolved, Mistakes> {
        let reader = Reader::new(&self.source_file);
        let parameters = self.values(&reader, with.parameters);
        let over = match with.cloud {
            Cloud::Local => &self.overlays.local,
            Cloud::Aliyun => &self.overlays.aliyun,
        };
        let layer = self.everywhere.clone().overlaid(over.clone());
        if layer.source.is_none() {
            let cloud = with.cloud;
            let message = format!("the template names no source for `{cloud}`");
            let help = format!("add `source:`, or `on: {{ {cloud}: {{ source: … }} }}`");
            reader.note(reader.mistake(self.name.span, message).help(help));
        }
        if let Some(Err(help)) = with.region.map(rules::region) {
            let region = with.region.unwrap_or_default();
            let message = format!("`{region}` can't be a region id");
            let mistake = reader.mistake(self.name.span, message);
            reader.note(mistake.label("not in this file").help(help));
        }
        let mistakes = reader.into_mistakes();
        Mistakes::none_or(mistakes, self.finish(with, parameters, layer))?.ok_or_else(|| {
            self.mistake_at(self.name.span, "the template names no source", None)
                .into()
        })
    }

    fn finish(
        &self,
        with: ResolveWith<'_>,
        parameters: Map<String, Value>,
        layer: Layer,
    ) -> Option<Resolved> {
        let regions = layer.distribute.regions.unwrap_or_default();
        let region = match (with.region, regions.first()) {
            (Some(region), _) => region.to_owned(),
            (None, Some(first)) => first.value.clone(),
            (None, None) => DEFAULT_REGION.to_owned(),
        };
        let build = self.build.iter().map(|item| match item {
            BuildItem::Uses(uses) => BuildItem::Uses(uses.with_values(&parameters)),
            BuildItem::Run(run) => BuildItem::Run(Run {
                env: run
                    .env
                    .iter()
                    .map(|(name, text)| (name.clone(), reference::replace_text(text, &parameters)))
                    .collect(),
                ..run.clone()
            }),
            BuildItem::Reboot { span } => BuildItem::Reboot { span: *span },
        });
        Some(Resolved {
            name: self.name.clone(),
            cloud: with.cloud,
            region,
            source: layer.source?,
            repair: self.repair.clone(),
            build: build.collect(),
            test: self
                .test
                .iter()
                .map(|uses| uses.with_values(&parameters))
                .collect(),
            instance: Instance {
                instance_type: layer.instance.instance_type,
                internet: layer.instance.internet,
                vswitch: layer.instance.vswitch,
                security_group: layer.instance.security_group,
                disk: layer.instance.disk,
                spot: layer.instance.spot.is_some_and(|spot| spot.value),
            },
            image: ImageSettings {
                name: layer.image.name,
                family: layer.image.family,
                description: layer.image.description,
                tags: layer.image.tags,
            },
            distribute: Distribute {
                regions,
                accounts: layer.distribute.accounts.unwrap_or_default(),
            },
            parameters,
            source_file: Arc::clone(&self.source_file),
        })
    }

    /// The value of every parameter; mistakes in what was given are noted.
    fn values(&self, reader: &Reader, given: &[(String, String)]) -> Map<String, Value> {
        for (index, (name, _)) in given.iter().enumerate() {
            if given[..index].iter().any(|(earlier, _)| earlier == name) {
                let span = parameters::section_span(&self.parameters, self.name.span);
                let message = format!("the parameter `{name}` was given twice");
                reader.note(reader.mistake(span, message).help("keep one of them"));
            } else if !self
                .parameters
                .iter()
                .any(|known| known.name.value == *name)
            {
                reader.note(self.unknown_parameter(reader, name));
            }
        }
        let mut values = Map::new();
        for parameter in &self.parameters {
            let name = &parameter.name;
            let text = given.iter().find(|(given, _)| *given == name.value);
            let value = match (text, &parameter.default) {
                (Some((_, text)), _) => parameter.value_of(text).map_err(|problem| {
                    reader
                        .mistake(name.span, format!("the given value of `{name}` {problem}"))
                        .label("defined here")
                        .help(format!("`{}` was given", shortened(text)))
                }),
                (None, Some(default)) => Ok(default.value.clone()),
                (None, None) => Err(reader
                    .mistake(name.span, format!("the parameter `{name}` has no value"))
                    .label("has no `default`")
                    .help(format!("give it with `-p {name}=…`, or add a `default`"))),
            };
            match value {
                Ok(value) => drop(values.insert(name.value.clone(), value)),
                Err(mistake) => reader.note(mistake),
            }
        }
        values
    }

    fn unknown_parameter(&self, reader: &Reader, name: &str) -> Mistake {
        let span = parameters::section_span(&self.parameters, self.name.span);
        let names = || {
            self.parameters
                .iter()
                .map(|known| known.name.value.as_str())
        };
        let mistake = reader
            .mistake(span, format!("the template has no parameter `{name}`"))
            .label("the parameters of this template");
        match nearest(name, names()) {
            Some(near) => mistake.help(format!("did you mean `-p {near}=…`?")),
            None if self.parameters.is_empty() => mistake
                .label("this template has no parameters")
                .help(format!("leave `-p {name}=…` out")),
            None => mistake.help(format!("the parameters are {}", quoted(names()))),
        }
    }
}
