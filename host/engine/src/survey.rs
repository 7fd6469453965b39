//! Looking at everything that a template's inputs name, before anything is made.
//!
//! Only Describe calls are made, so that `plan` can do the same without a run. All that
//! is wrong is reported at once. `build` keeps the answer in its journal: a resumed run
//! builds from the same source image, even if the family has a newer one by then.

use darkroom_contract::Machine;
use darkroom_ecs::action::{
    Action, CommaList, DescribeAvailableResource, DescribeImageFromFamily, DescribeImages,
    DescribeInstanceTypes, DescribeSecurityGroups, DescribeVSwitches, Image, VSwitch,
};
use darkroom_ecs::client::Client;
use darkroom_ecs::id::{ImageId, RegionId, SecurityGroupId, VSwitchId, ZoneId};
use darkroom_journal::Failure;
use serde::{Deserialize, Serialize};

use crate::cloud::every_status;
use crate::trouble::{Problem, Trouble, of_call};

/// How many instance types are tried when the first has no stock.
const CANDIDATES: usize = 6;

/// What to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// The region in which the image is built.
    pub region: RegionId,
    /// The source image.
    pub source: SourceQuery,
    /// The instance type, if the template names one.
    pub instance_type: Option<String>,
    /// The vSwitch, if the template names one.
    pub vswitch: Option<VSwitchId>,
    /// The security group, if the template names one.
    pub security_group: Option<SecurityGroupId>,
    /// The image's name, which must be free in each of these regions.
    pub image_name: String,
    /// The regions, the build region among them.
    pub regions: Vec<RegionId>,
}

/// How the source image is named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceQuery {
    /// The newest image of this family, in the cloud's words.
    Family(String),
    /// This image.
    Image(ImageId),
}

/// What there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// The source image.
    pub image: ImageFacts,
    /// Where instances can be made, best first. Never empty.
    pub candidates: Vec<Candidate>,
    /// The security group.
    pub security_group: SecurityGroupId,
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
    /// A vSwitch of that zone.
    pub vswitch: VSwitchId,
}

impl ImageFacts {
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
        problems: Vec::new(),
    };
    surveyor.look().await
}

struct Surveyor<'a> {
    client: &'a Client,
    query: &'a Query,
    problems: Vec<Problem>,
}

impl Surveyor<'_> {
    async fn look(mut self) -> Found<Survey> {
        let image = self.image().await?;
        let vswitches = self.vswitches().await?;
        let candidates = match &image {
            Some(image) => self.candidates(image, &vswitches).await?,
            None => Vec::new(),
        };
        let security_group = self.security_group(&vswitches).await?;
        for region in &self.query.regions {
            self.name_is_free(region).await?;
        }
        match (image, security_group) {
            (Some(image), Some(security_group)) if self.problems.is_empty() => Ok(Survey {
                image,
                candidates,
                security_group,
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

    async fn image(&mut self) -> Found<Option<ImageFacts>> {
        let region = &self.query.region;
        let found = match &self.query.source {
            SourceQuery::Family(family) => {
                let action = DescribeImageFromFamily {
                    region_id: region.clone(),
                    image_family: family.clone(),
                };
                match self.call(region, &action).await {
                    Ok(answer) => answer.image.filter(|image| !image.image_id.is_empty()),
                    Err(Failure::Final(Trouble::Refused { code, .. }))
                        if code == "InvalidImageFamily.NotFound"
                            || code == "InvalidImage.NotFound" =>
                    {
                        None
                    }
                    Err(failure) => return Err(failure),
                }
            }
            SourceQuery::Image(image) => {
                let action = DescribeImages {
                    region_id: region.clone(),
                    image_id: Some(CommaList(vec![image.clone()])),
                    ..DescribeImages::default()
                };
                self.call(region, &action)
                    .await?
                    .images
                    .image
                    .into_iter()
                    .next()
            }
        };
        if found.is_none() {
            let (subject, hint) = match &self.query.source {
                SourceQuery::Family(family) => (
                    format!("source family {family}"),
                    format!(
                        "on the local cloud, `darkroom local bootstrap {family}` makes it; else check source.family"
                    ),
                ),
                SourceQuery::Image(image) => (
                    format!("source image {image}"),
                    "check source.image; an image is found only in its own region".into(),
                ),
            };
            let problem = format!("there is none in {region}");
            self.note(subject, &problem, Some(&hint));
        }
        Ok(found.map(ImageFacts::from))
    }

    async fn vswitches(&mut self) -> Found<Vec<VSwitch>> {
        let action = DescribeVSwitches {
            region_id: self.query.region.clone(),
            vswitch_id: self.query.vswitch.clone(),
            page_size: Some(50),
            ..DescribeVSwitches::default()
        };
        let answer = self.call(&self.query.region, &action).await?;
        let mut found = answer.vswitches.vswitch;
        found.sort_by_key(|vswitch| !vswitch.is_default);
        if found.is_empty() {
            let subject = match &self.query.vswitch {
                Some(id) => format!("vSwitch {id}"),
                None => "vSwitch".into(),
            };
            let problem = format!("there is none in {}", self.query.region);
            self.note(
                subject,
                &problem,
                Some("name one of the region in instance.vswitch"),
            );
        }
        Ok(found)
    }

    async fn security_group(&mut self, vswitches: &[VSwitch]) -> Found<Option<SecurityGroupId>> {
        let action = DescribeSecurityGroups {
            region_id: self.query.region.clone(),
            security_group_id: self.query.security_group.clone(),
            vpc_id: vswitches.first().map(|vswitch| vswitch.vpc_id.clone()),
            max_results: Some(100),
            ..DescribeSecurityGroups::default()
        };
        let answer = self.call(&self.query.region, &action).await?;
        let found = answer.security_groups.security_group.into_iter().next();
        if found.is_none() && !vswitches.is_empty() {
            let subject = match &self.query.security_group {
                Some(id) => format!("security group {id}"),
                None => "security group".into(),
            };
            self.note(
                subject,
                "there is none in the vSwitch's network",
                Some("name one in instance.security-group"),
            );
        }
        Ok(found.map(|group| group.security_group_id))
    }

    /// The smallest types in stock that fit, with a zone and a vSwitch in it.
    async fn candidates(
        &mut self,
        image: &ImageFacts,
        vswitches: &[VSwitch],
    ) -> Found<Vec<Candidate>> {
        let region = &self.query.region;
        let action = DescribeAvailableResource {
            region_id: region.clone(),
            destination_resource: "InstanceType".into(),
            instance_charge_type: Some("PostPaid".into()),
            instance_type: self.query.instance_type.clone(),
            ..DescribeAvailableResource::default()
        };
        let zones = self
            .call(region, &action)
            .await?
            .available_zones
            .available_zone;
        let mut found = Vec::new();
        for zone in &zones {
            let Some(vswitch) = vswitches.iter().find(|one| one.zone_id == zone.zone_id) else {
                continue;
            };
            let resources = zone.available_resources.available_resource.iter();
            for resource in resources.flat_map(|one| &one.supported_resources.supported_resource) {
                if resource.status == "Available" {
                    found.push(Candidate {
                        instance_type: resource.value.clone(),
                        zone: zone.zone_id.clone(),
                        vswitch: vswitch.vswitch_id.clone(),
                    });
                }
            }
        }
        let sizes = self.sizes(&found, image).await?;
        found.retain(|one| sizes.iter().any(|(name, _)| *name == one.instance_type));
        found.sort_by_key(|one| {
            sizes
                .iter()
                .position(|(name, _)| *name == one.instance_type)
        });
        found.truncate(CANDIDATES);
        if found.is_empty() && !vswitches.is_empty() {
            let subject = match &self.query.instance_type {
                Some(name) => format!("instance type {name}"),
                None => "instance type".into(),
            };
            self.note(
                subject,
                &format!("none is in stock in {region} for {}", image.architecture),
                Some("name another one in instance.type, or another region"),
            );
        }
        Ok(found)
    }

    /// The types of the image's architecture, smallest first.
    async fn sizes(
        &self,
        found: &[Candidate],
        image: &ImageFacts,
    ) -> Found<Vec<(String, (u32, u64))>> {
        let mut names: Vec<String> = found.iter().map(|one| one.instance_type.clone()).collect();
        names.sort();
        names.dedup();
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let action = DescribeInstanceTypes {
            instance_types: names,
            ..DescribeInstanceTypes::default()
        };
        let wanted = if image.architecture == "arm64" {
            "ARM"
        } else {
            "X86"
        };
        let answer = self.call(&self.query.region, &action).await?;
        let mut sizes: Vec<(String, (u32, u64))> = answer
            .instance_types
            .instance_type
            .into_iter()
            .filter(|one| one.cpu_architecture.is_empty() || one.cpu_architecture == wanted)
            .map(|one| {
                // MiB, so that half a GiB is told apart.
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "memory in MiB is a small positive number"
                )]
                let memory = (one.memory_size * 1024.0) as u64;
                (one.instance_type_id, (one.cpu_core_count, memory))
            })
            .collect();
        sizes.sort_by(|a, b| a.1.cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
        Ok(sizes)
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
