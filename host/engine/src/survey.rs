//! Looking at everything that a template's inputs name, before anything is made.
//!
//! Only Describe calls are made, so that `plan` can do the same without a run. All that
//! is wrong is reported at once. `build` keeps the answer in its journal: a resumed run
//! builds from the same source image, even if the family has a newer one by then.
//! `source` finds what the image is made from, `place` where instances can be made.

use darkroom_contract::Machine;
use darkroom_ecs::action::{Action, DescribeImages, Image};
use darkroom_ecs::client::Client;
use darkroom_ecs::id::{
    ImageId, InstanceId, RegionId, SecurityGroupId, SnapshotId, VSwitchId, ZoneId,
};
use darkroom_journal::{Failure, RunId};
use darkroom_template::{Cloud, Resolved, Source};
use serde::{Deserialize, Serialize};

mod place;
mod source;

use crate::cloud::every_status;
use crate::families;
use crate::trouble::{Problem, Trouble, of_call};

/// What to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// The region in which the image is built.
    pub region: RegionId,
    /// The source image.
    pub source: SourceQuery,
    /// The instance types that the template names, in the order in which they are tried.
    #[serde(default)]
    pub instance_types: Vec<String>,
    /// Whether spot instances are made.
    #[serde(default)]
    pub spot: bool,
    /// The vSwitch, if the template names one.
    pub vswitch: Option<VSwitchId>,
    /// The security group, if the template names one.
    pub security_group: Option<SecurityGroupId>,
    /// The image's name, which must be free in each of these regions.
    pub image_name: String,
    /// The regions, the build region among them.
    pub regions: Vec<RegionId>,
}

impl Query {
    /// What to look at for a template, under this name of its image.
    ///
    /// # Errors
    /// Names that can't be ids, which the template has let through.
    pub fn of(resolved: &Resolved, image_name: String) -> Result<Self, Trouble> {
        let id = |text: &str| -> Trouble {
            Trouble::State {
                subject: text.into(),
                problem: "it can't be an id".into(),
                hint: None,
            }
        };
        let region: RegionId = resolved.region.parse().map_err(|_| id(&resolved.region))?;
        let mut regions = vec![region.clone()];
        for other in &resolved.distribute.regions {
            let other: RegionId = other.value.parse().map_err(|_| id(&other.value))?;
            if !regions.contains(&other) {
                regions.push(other);
            }
        }
        let source = match &resolved.source {
            Source::Family(family) => SourceQuery::Family(match resolved.cloud {
                Cloud::Local => family.value.clone(),
                Cloud::Aliyun => families::on_alibaba_cloud(&family.value).to_owned(),
            }),
            Source::Image(image) => {
                SourceQuery::Image(image.value.parse().map_err(|_| id(&image.value))?)
            }
            Source::Instance(instance) => {
                SourceQuery::Instance(instance.value.parse().map_err(|_| id(&instance.value))?)
            }
            Source::Snapshot(snapshot) => {
                SourceQuery::Snapshot(snapshot.value.parse().map_err(|_| id(&snapshot.value))?)
            }
        };
        let instance = &resolved.instance;
        Ok(Self {
            region,
            source,
            instance_types: instance.types.iter().map(|one| one.value.clone()).collect(),
            spot: instance.spot,
            vswitch: instance
                .vswitch
                .as_ref()
                .map(|one| one.value.parse().map_err(|_| id(&one.value)))
                .transpose()?,
            security_group: instance
                .security_group
                .as_ref()
                .map(|one| one.value.parse().map_err(|_| id(&one.value)))
                .transpose()?,
            image_name,
            regions,
        })
    }
}

/// How the source image is named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceQuery {
    /// The newest image of this family, in the cloud's words.
    Family(String),
    /// This image.
    Image(ImageId),
    /// This instance, of which an image is made.
    Instance(InstanceId),
    /// This snapshot of a system disk, of which an image is made.
    Snapshot(SnapshotId),
}

impl SourceQuery {
    /// Whether an image has to be made of it before anything else.
    pub fn is_no_image(&self) -> bool {
        matches!(self, Self::Instance(_) | Self::Snapshot(_))
    }
}

/// What there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// The source image; of an instance or a snapshot what is known of the image to be
    /// made of it, which has no id yet.
    pub image: ImageFacts,
    /// Where instances can be made, best first. Never empty.
    pub candidates: Vec<Candidate>,
    /// The security group; none where a temporary network is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_group: Option<SecurityGroupId>,
}

/// What the engine needs to know of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageFacts {
    /// Its id.
    pub id: ImageId,
    /// Its name.
    pub name: String,
    /// GiB of its system disk.
    pub size: u32,
    /// `linux` or `windows`.
    pub os_type: String,
    /// Such as `Debian 12.11 64bit`.
    pub os_name: String,
    /// Such as `Debian`.
    pub platform: String,
    /// `x86_64` or `arm64`.
    pub architecture: String,
}

/// One way to make an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The instance type.
    pub instance_type: String,
    /// The zone.
    pub zone: ZoneId,
    /// A vSwitch of that zone; none where a temporary network is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vswitch: Option<VSwitchId>,
}

/// The strategy of spot instances: at the market's price, up to that of an ordinary one.
pub(crate) const SPOT: &str = "SpotAsPriceGo";

impl ImageFacts {
    /// MiB of memory that its instances need at the least. Windows doesn't start with
    /// less than 2 GiB; with less than one the package managers of Linux fail.
    pub fn least_memory(&self) -> u64 {
        if self.os_type == "windows" {
            2048
        } else {
            1024
        }
    }

    /// The machine as components see it: the image's record, never the instance.
    pub fn machine(&self) -> Machine {
        let platform = self.platform.to_lowercase();
        let distribution = match platform.as_str() {
            "aliyun" => "alinux".into(),
            "redhat" => "rhel".into(),
            "opensuse" => "opensuse-leap".into(),
            "suse" => "sles".into(),
            other => other.replace(' ', "-"),
        };
        let release = self
            .os_name
            .split_whitespace()
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
            .and_then(|word| {
                let main = word.split('.').next().unwrap_or(word);
                let version = if distribution == "debian" { main } else { word };
                (!version.is_empty()).then(|| version.to_owned())
            });
        Machine {
            family: if self.os_type == "windows" {
                "windows".into()
            } else {
                "linux".into()
            },
            distribution,
            release: release.unwrap_or_default(),
            architecture: self.architecture.clone(),
            root: "/".into(),
        }
    }
}

impl From<Image> for ImageFacts {
    fn from(image: Image) -> Self {
        Self {
            id: image.image_id,
            name: image.image_name,
            size: image.size,
            os_type: image.os_type,
            os_name: image.os_name,
            platform: image.platform,
            architecture: image.architecture,
        }
    }
}

type Found<T> = Result<T, Failure<Trouble>>;

/// Looks at everything; a [`Trouble::Inputs`] names all that is wrong.
///
/// # Errors
/// What is wrong with the inputs, or why the cloud can't be asked.
pub async fn look(client: &Client, query: &Query) -> Found<Survey> {
    let surveyor = Surveyor {
        client,
        query,
        run: None,
        problems: Vec::new(),
    };
    surveyor.look().await
}

/// The same for a run: a name that it has made of its own id is free.
///
/// # Errors
/// As of [`look`].
pub(crate) async fn look_for(client: &Client, query: &Query, run: &RunId) -> Found<Survey> {
    let surveyor = Surveyor {
        client,
        query,
        run: Some(run),
        problems: Vec::new(),
    };
    surveyor.look().await
}

struct Surveyor<'a> {
    client: &'a Client,
    query: &'a Query,
    run: Option<&'a RunId>,
    problems: Vec<Problem>,
}

impl Surveyor<'_> {
    async fn look(mut self) -> Found<Survey> {
        let image = self.image().await?;
        let ground = self.ground().await?;
        let candidates = match (&image, &ground) {
            (Some(image), Some(ground)) => self.candidates(image, ground).await?,
            _ => Vec::new(),
        };
        let own = |run: &RunId| self.query.image_name.contains(run.as_str());
        if !self.run.is_some_and(own) {
            for region in &self.query.regions {
                self.name_is_free(region).await?;
            }
        }
        match (image, ground) {
            (Some(image), Some(ground)) if self.problems.is_empty() => Ok(Survey {
                image,
                candidates,
                security_group: ground.security_group,
            }),
            _ => Err(Failure::Final(Trouble::Inputs {
                problems: self.problems,
            })),
        }
    }

    async fn call<A: Action>(&self, region: &RegionId, action: &A) -> Found<A::Response> {
        self.client
            .call(region, action)
            .await
            .map_err(|error| of_call(A::NAME, region.as_str(), &error))
    }

    fn note(&mut self, subject: impl Into<String>, problem: &str, hint: Option<&str>) {
        self.problems.push(Problem {
            subject: subject.into(),
            problem: problem.into(),
            hint: hint.map(ToOwned::to_owned),
        });
    }

    async fn name_is_free(&mut self, region: &RegionId) -> Found<()> {
        let action = DescribeImages {
            region_id: region.clone(),
            image_name: Some(self.query.image_name.clone()),
            image_owner_alias: Some("self".into()),
            status: Some(every_status()),
            ..DescribeImages::default()
        };
        let found = self.call(region, &action).await?.images.image;
        let taken = found
            .iter()
            .find(|image| image.image_name == self.query.image_name)
            .map(|image| image.image_id.to_string());
        if let Some(image) = taken {
            let subject = format!("image name {}", self.query.image_name);
            self.note(
                subject,
                &format!("it is taken in {region}, by {image}"),
                Some("change image.name, or leave it out to have the run's id in the name"),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(platform: &str, os_name: &str) -> Machine {
        ImageFacts {
            id: "m-1".parse().unwrap(),
            name: String::new(),
            size: 20,
            os_type: "linux".into(),
            os_name: os_name.into(),
            platform: platform.into(),
            architecture: "x86_64".into(),
        }
        .machine()
    }

    #[test]
    fn a_machine_is_read_from_the_images_record() {
        let debian = machine("Debian", "Debian  12.11 64 bit");
        assert_eq!(
            (debian.distribution.as_str(), debian.release.as_str()),
            ("debian", "12")
        );
        let ubuntu = machine("Ubuntu", "Ubuntu  22.04 64 bit");
        assert_eq!(
            (ubuntu.distribution.as_str(), ubuntu.release.as_str()),
            ("ubuntu", "22.04")
        );
        let alinux = machine("Aliyun", "Alibaba Cloud Linux  3.2104 LTS 64 bit");
        assert_eq!(
            (alinux.distribution.as_str(), alinux.release.as_str()),
            ("alinux", "3.2104")
        );
        assert_eq!(machine("", "").release, "");
    }
}
