//! From a template to what is built: [`Template::resolve`].
//!
//! The overlay of a cloud is merged, parameters get their values and expressions theirs,
//! and the document is read again with them. What comes out is [`Resolved`].

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use darkroom_contract::secret::Marker;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::body::{self, Body};
use crate::cells::{self, Named};
use crate::expression::{Evaluator, Scope};
use crate::mistake::{Mistake, Mistakes};
use crate::nearest::nearest;
use crate::places::{self, Place};
use crate::read::{Reader, quoted, shortened};
use crate::resolved::{Distribute, ImageSettings, Instance, Resolved};
use crate::rules;
use crate::section::parameters;
use crate::template::Template;
use crate::yaml::Node;

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
    /// Each of them.
    pub(crate) const ALL: [Self; 2] = [Self::Local, Self::Aliyun];

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
        Self::ALL
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
    /// Parameters as given on the command line: name and text. `matrix.name` and a text
    /// choose a cell of the matrix.
    pub parameters: &'a [(String, String)],
    /// The build region, if one was asked for.
    pub region: Option<&'a str>,
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
        if let Some(Err(help)) = with.region.map(rules::region) {
            let region = with.region.unwrap_or_default();
            let message = format!("`{region}` can't be a region id");
            let mistake = reader.mistake(self.name.span, message);
            reader.note(mistake.label("not in this file").help(help));
        }
        let cell = self.cell(&reader, with.parameters);
        // Without its parameters a template's values mean nothing.
        let Some(cell) = cell.filter(|_| !reader.has_mistakes()) else {
            return Mistakes::none_or(reader.into_mistakes(), None).and_then(|none| self.or(none));
        };
        let document = self.evaluated(&reader, with, &parameters, cell);
        let body = body::read(&reader, &document, &[with.cloud]);
        let resolved = body.and_then(|body| self.finish(&reader, with, parameters, cell, body));
        Mistakes::none_or(reader.into_mistakes(), resolved).and_then(|resolved| self.or(resolved))
    }

    /// The document with the values of its expressions. Those of `distribute` come first:
    /// they may say which region the others mean.
    fn evaluated(
        &self,
        reader: &Reader,
        with: ResolveWith<'_>,
        parameters: &Map<String, Value>,
        cell: &Named,
    ) -> Node {
        let mut document = self.document.clone();
        let mut pass = |region: Option<&str>, wanted: fn(Place) -> bool| {
            let scope = Scope {
                parameters,
                matrix: &cell.values,
                name: &cell.name,
                cloud: with.cloud.word(),
                region,
            };
            let evaluator = Evaluator::new(reader, &scope);
            places::visit(&mut document, &[with.cloud], &mut |place, node| {
                if wanted(place) {
                    evaluator.evaluate(node);
                }
            });
            let first = body::first_region(&document, with.cloud).unwrap_or(DEFAULT_REGION);
            with.region.unwrap_or(first).to_owned()
        };
        let region = pass(None, |place| place == Place::Distribute);
        pass(Some(&region), |place| place != Place::Distribute);
        document
    }

    /// What no mistake explains can only be a fault of this crate; it is told as one.
    fn or(&self, resolved: Option<Resolved>) -> Result<Resolved, Mistakes> {
        let message = "the template can't be resolved";
        resolved.ok_or_else(|| self.mistake_at(self.name.span, message, None).into())
    }

    fn finish(
        &self,
        reader: &Reader,
        with: ResolveWith<'_>,
        parameters: Map<String, Value>,
        cell: &Named,
        body: Body,
    ) -> Option<Resolved> {
        let layer = body.everywhere.overlaid(body.overlays.take(with.cloud));
        if layer.source.is_none() && !reader.has_mistakes() {
            let cloud = with.cloud;
            let message = format!("the template names no source for `{cloud}`");
            let help = format!("add `source:`, or `on: {{ {cloud}: {{ source: … }} }}`");
            reader.note(reader.mistake(self.name.span, message).help(help));
        }
        let regions = layer.distribute.regions.unwrap_or_default();
        let region = match (with.region, regions.first()) {
            (Some(region), _) => region.to_owned(),
            (None, Some(first)) => first.value.clone(),
            (None, None) => DEFAULT_REGION.to_owned(),
        };
        Some(Resolved {
            name: cell.name.clone(),
            cloud: with.cloud,
            region,
            parameters,
            matrix: cell.values.clone(),
            secrets: body.secrets,
            source: layer.source?,
            repair: body.repair,
            build: body.build,
            test: body.test,
            instance: Instance {
                types: layer.instance.types.unwrap_or_default(),
                internet: layer.instance.internet,
                vswitch: layer.instance.vswitch,
                security_group: layer.instance.security_group,
                disk: layer.instance.disk,
                spot: layer.instance.spot.is_some_and(|spot| spot.value),
                disks: layer.instance.disks.unwrap_or_default(),
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
            on_test_failure: body.on_test_failure,
            retain: body.retain,
            rebuild: body.rebuild,
            checkpoint: body.checkpoint,
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
            } else if !cells::is_choice(name)
                && !self
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
            if let Some((_, text)) = text
                && !Marker::find(text).is_empty()
            {
                // It would be filled with the secret wherever the parameter stands.
                let message = format!("the given value of `{name}` holds the marker of a secret");
                let mistake = reader.mistake(name.span, message).label("defined here");
                let help = "a secret is named in the template: `${{ secrets.name }}`";
                reader.note(mistake.help(help));
                continue;
            }
            let value = match (text, &parameter.default) {
                (Some((_, text)), _) => parameter.value_of(text).map_err(|problem| {
                    reader
                        .mistake(name.span, format!("the given value of `{name}` {problem}"))
                        .label("defined here")
                        .help(format!(
                            "`{}` was given; write `-p {name}=…`",
                            shortened(text)
                        ))
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
