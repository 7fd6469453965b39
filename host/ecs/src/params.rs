//! Requests as flat parameters, and back: `Tag.1.Key`, `SystemDisk.Size`.
//!
//! Clients write with [`to_params`]; servers read with [`from_params`] what any client
//! sent. Reading is lenient where real clients differ (`True`, gaps in lists, a list as
//! one JSON text, unknown parameters) and exact in its errors: they name the parameter
//! as the client spelt it. Encoding for a URL is the business of [`sign`](crate::sign).

mod read;
mod write;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use read::from_params;
pub use write::to_params;

/// Parameters of a request: texts by name, sorted by the bytes of the name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Params(BTreeMap<String, String>);

impl Params {
    /// No parameters.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets one and returns what it was.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<String>) -> Option<String> {
        self.0.insert(name.into(), value.into())
    }

    /// The value of one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Takes one out.
    pub fn remove(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// Whether there is one of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// All, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Params {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let owned = pairs
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        Self(owned.collect())
    }
}

impl<N: Into<String>, V: Into<String>> Extend<(N, V)> for Params {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, pairs: I) {
        let owned = pairs
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        self.0.extend(owned);
    }
}

/// A parameter that can't be read, or a value that can't be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("parameter {name}: {problem}")]
pub struct ParamError {
    /// The parameter as spelt on the wire, such as `Tag.1.Key`.
    pub name: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a parameter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It is required and not there, or empty.
    #[error("it is missing")]
    Missing,
    /// Its value is not what it must be.
    #[error("{0}")]
    Invalid(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::{
        ContentEncoding, DescribeImages, DescribeInstances, ImageStatus, RunCommand, RunInstances,
        StopInstance, SystemDisk, Tag,
    };

    fn params(pairs: &[(&str, &str)]) -> Params {
        pairs.iter().copied().collect()
    }

    #[test]
    fn a_request_survives_the_way_there_and_back() {
        let request = RunInstances {
            region_id: "cn-hangzhou".parse().unwrap(),
            image_id: Some("m-1".parse().unwrap()),
            vswitch_id: Some("vsw-1".parse().unwrap()),
            system_disk: Some(SystemDisk {
                size: Some(40),
                ..SystemDisk::default()
            }),
            deletion_protection: Some(false),
            spot_price_limit: Some(0.25),
            tag: (1..=11)
                .map(|n| Tag {
                    key: format!("k{n}"),
                    value: String::new(),
                })
                .collect(),
            ..RunInstances::default()
        };
        let flat = to_params(&request).unwrap();
        assert_eq!(flat.get("VSwitchId"), Some("vsw-1"));
        assert_eq!(flat.get("SystemDisk.Size"), Some("40"));
        assert_eq!(flat.get("DeletionProtection"), Some("false"));
        assert_eq!(flat.get("Tag.11.Key"), Some("k11"));
        assert_eq!(flat.get("Tag.11.Value"), Some(""));
        assert_eq!(flat.get("Amount"), None);
        // Sorted by bytes, Tag.10 and Tag.11 come before Tag.2.
        assert_eq!(from_params::<RunInstances>(&flat).unwrap(), request);
    }

    #[test]
    fn lists_in_one_text_are_written_and_read() {
        let request = DescribeInstances {
            region_id: "cn-hangzhou".parse().unwrap(),
            instance_ids: Some(
                ["i-1", "i-2"]
                    .map(|id| id.parse().unwrap())
                    .into_iter()
                    .collect(),
            ),
            ..DescribeInstances::default()
        };
        let flat = to_params(&request).unwrap();
        assert_eq!(flat.get("InstanceIds"), Some(r#"["i-1","i-2"]"#));
        assert_eq!(from_params::<DescribeInstances>(&flat).unwrap(), request);

        let flat = params(&[("RegionId", "r"), ("Status", "Creating, Available,Odd")]);
        let read: DescribeImages = from_params(&flat).unwrap();
        let statuses = read.status.unwrap().0;
        assert_eq!(
            statuses,
            [
                ImageStatus::Creating,
                ImageStatus::Available,
                ImageStatus::Other("Odd".into())
            ]
        );
    }

    #[test]
    fn what_clients_write_differently_is_read_alike() {
        let flat = params(&[
            ("InstanceId", "i-1"),
            ("ForceStop", "True"),
            ("DryRun", ""),
            ("StoppedMode", ""),
            ("OwnerAccount", "ignored"),
        ]);
        let read: StopInstance = from_params(&flat).unwrap();
        assert_eq!(
            (read.force_stop, read.dry_run, read.stopped_mode),
            (Some(true), None, None)
        );

        let common = [
            ("RegionId", "r"),
            ("Type", "RunShellScript"),
            ("CommandContent", "ZWNobw=="),
            ("ContentEncoding", "Base64"),
            ("Timeout", "3600"),
        ];
        let mut indexed = params(&common);
        indexed.extend([
            ("InstanceId.3", "i-2"),
            ("InstanceId.1", "i-1"),
            ("Tag.1.key", "a"),
        ]);
        let read: RunCommand = from_params(&indexed).unwrap();
        assert_eq!(
            read.instance_id
                .iter()
                .map(AsRef::as_ref)
                .collect::<Vec<&str>>(),
            ["i-1", "i-2"]
        );
        assert_eq!(
            read.tag,
            [Tag {
                key: "a".into(),
                value: String::new()
            }]
        );
        assert_eq!(read.content_encoding, Some(ContentEncoding::Base64));
        assert_eq!(read.timeout, Some(3600));

        let mut one_text = params(&common);
        one_text.insert("InstanceId", r#"["i-1","i-2"]"#);
        let read_again: RunCommand = from_params(&one_text).unwrap();
        assert_eq!(read_again.instance_id, read.instance_id);
    }

    #[test]
    fn errors_name_the_parameter_as_it_was_spelt() {
        let error =
            |pairs: &[(&str, &str)]| from_params::<RunInstances>(&params(pairs)).unwrap_err();
        assert_eq!(
            error(&[]),
            ParamError {
                name: "RegionId".into(),
                problem: Problem::Missing
            }
        );
        assert_eq!(error(&[("RegionId", "")]).problem, Problem::Missing);
        let cases = [
            (
                ("Amount", "two"),
                "Amount",
                "'two' is not a number from 0 to 4294967295",
            ),
            (
                ("Amount", "-1"),
                "Amount",
                "'-1' is not a number from 0 to 4294967295",
            ),
            (
                ("DryRun", "yes"),
                "DryRun",
                "'yes' is neither true nor false",
            ),
            (
                ("SystemDisk.Size", "big"),
                "SystemDisk.Size",
                "'big' is not a number",
            ),
            (("SystemDisk", "big"), "SystemDisk", "has parts"),
            (("Tag.1.Value", "v"), "Tag.1.Key", "it is missing"),
            (("Tag.x.Key", "v"), "Tag.x", "not the number"),
            (("Tag.0.Key", "v"), "Tag.0", "not the number"),
            (("Tag.01.Key", "v"), "Tag.01", "not the number"),
            (
                ("SecurityGroupIds.1", "a b"),
                "SecurityGroupIds.1",
                "white space",
            ),
            (
                ("SecurityGroupIds.1", ""),
                "SecurityGroupIds.1",
                "it is missing",
            ),
            (("ImageId.1", "m-1"), "ImageId", "one text"),
        ];
        for (pair, name, problem) in cases {
            let error = error(&[("RegionId", "r"), pair]);
            assert_eq!(error.name, name, "{error}");
            assert!(error.problem.to_string().contains(problem), "{error}");
        }
        let flat = params(&[("RegionId", "r"), ("InstanceIds", "i-1")]);
        let error = from_params::<DescribeInstances>(&flat).unwrap_err();
        assert_eq!(error.name, "InstanceIds");
        assert!(error.to_string().contains("JSON array"), "{error}");
    }
}
