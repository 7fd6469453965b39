//! Where calls go: an endpoint for each region, and the function that finds it.
//!
//! The client asks a [`Resolver`], so that it can't tell a local cloud from the real
//! one, and so that a local cloud that had to be started again is found again.

use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use crate::action::VPC_VERSION;
use crate::credentials::sts::{self, STS_VERSION};
use crate::id::RegionId;

/// The address of a server: scheme, host and port, nothing more.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    scheme: &'static str,
    authority: String,
}

/// Finds the endpoint of a region. It may be asked again after a refused connection,
/// and may start a server then.
pub type Resolver =
    Arc<dyn Fn(RegionId) -> BoxFuture<'static, Result<Endpoint, EndpointError>> + Send + Sync>;

/// Why there is no endpoint.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EndpointError {
    /// A text that is no address of a server.
    #[error("'{text}' is no endpoint: {problem}")]
    Malformed {
        /// The text.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The server of a region can't be had.
    #[error("region {region} has no endpoint")]
    Unavailable {
        /// The region.
        region: RegionId,
        /// Why.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
}

impl Endpoint {
    /// `http` or `https`.
    pub fn scheme(&self) -> &str {
        self.scheme
    }

    /// Host, and port unless it is the scheme's.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Whether it is on this machine, by its name alone.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.authority)
    }

    /// A host that is reached by plain HTTP.
    pub(crate) fn plain(authority: &str) -> Self {
        Self {
            scheme: "http",
            authority: authority.to_owned(),
        }
    }

    /// Where an API of this version answers, beside this endpoint of ECS: the products Vpc
    /// and STS have hosts of their own on Alibaba Cloud. Any other server answers all that it can do
    /// itself, so that nobody has to be told two addresses.
    ///
    /// # Errors
    /// The region's id can't be part of a host name.
    pub fn of_version(self, version: &str, region: &RegionId) -> Result<Self, EndpointError> {
        if version == VPC_VERSION && self == public_endpoint(region)? {
            return vpc_endpoint(region);
        }
        if version == STS_VERSION && self == public_endpoint(region)? {
            return sts::endpoint(None, false);
        }
        Ok(self)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    /// Reads `https://host`, `http://localhost:8080` or a bare host, which means https.
    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let malformed = |problem| EndpointError::Malformed {
            text: text.to_owned(),
            problem,
        };
        let (scheme, rest) = match text.split_once("://") {
            Some(("http", rest)) => ("http", rest),
            Some(("https", rest)) => ("https", rest),
            Some(_) => return Err(malformed("its scheme is neither http nor https")),
            None => ("https", text),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b);
        if authority.is_empty() {
            return Err(malformed("it has no host"));
        }
        if !authority.bytes().all(plain) {
            return Err(malformed("it is more than a host and a port"));
        }
        let default = if scheme == "http" { ":80" } else { ":443" };
        let authority = authority.strip_suffix(default).unwrap_or(authority);
        Ok(Self {
            scheme,
            authority: authority.to_ascii_lowercase(),
        })
    }
}

/// Whether host and port name this machine.
pub(crate) fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(host, _)| host),
        None => authority
            .split_once(':')
            .map_or(authority, |(host, _)| host),
    };
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Regions whose public endpoint is not `ecs.<region>.aliyuncs.com`.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("cn-beijing-gov-1", "ecs.aliyuncs.com"),
    ("cn-hangzhou", "ecs-cn-hangzhou.aliyuncs.com"),
    ("cn-hangzhou-finance", "ecs.aliyuncs.com"),
    ("cn-north-2-gov-1", "ecs.aliyuncs.com"),
    ("cn-shanghai-finance-1", "ecs-cn-hangzhou.aliyuncs.com"),
    ("cn-shenzhen-finance-1", "ecs-cn-hangzhou.aliyuncs.com"),
    ("cn-zhangbei", "ecs.aliyuncs.com"),
];

/// The public endpoint of a region of Alibaba Cloud.
///
/// # Errors
/// The id can't be part of a host name. Whether the region exists is not known here.
pub fn public_endpoint(region: &RegionId) -> Result<Endpoint, EndpointError> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !region.as_str().bytes().all(plain) {
        return Err(EndpointError::Malformed {
            text: region.to_string(),
            problem: "a region id is lower-case letters, digits and '-'",
        });
    }
    let exception = EXCEPTIONS
        .iter()
        .find(|(known, _)| *known == region.as_str());
    let host = match exception {
        Some((_, host)) => (*host).to_owned(),
        None => format!("ecs.{region}.aliyuncs.com"),
    };
    host.parse()
}

/// Regions whose endpoint of the product Vpc is not `vpc.<region>.aliyuncs.com`, but the
/// central one.
const CENTRAL_VPC: &[&str] = &[
    "ap-southeast-1",
    "cn-beijing",
    "cn-beijing-gov-1",
    "cn-hangzhou",
    "cn-hangzhou-finance",
    "cn-hongkong",
    "cn-north-2-gov-1",
    "cn-qingdao",
    "cn-shanghai",
    "cn-shanghai-finance-1",
    "cn-shenzhen",
    "cn-shenzhen-finance-1",
    "cn-zhangbei",
    "us-east-1",
    "us-west-1",
];

/// The public endpoint of the product Vpc for a region that has passed
/// [`public_endpoint`].
fn vpc_endpoint(region: &RegionId) -> Result<Endpoint, EndpointError> {
    if CENTRAL_VPC.contains(&region.as_str()) {
        return "vpc.aliyuncs.com".parse();
    }
    format!("vpc.{region}.aliyuncs.com").parse()
}

/// Finds the public endpoints.
pub fn public() -> Resolver {
    Arc::new(|region| async move { public_endpoint(&region) }.boxed())
}

/// Has the same endpoint for every region.
pub fn fixed(endpoint: Endpoint) -> Resolver {
    Arc::new(move |_| futures::future::ready(Ok(endpoint.clone())).boxed())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn an_endpoint_is_a_server_and_nothing_more() {
        let read = |text: &str| {
            text.parse::<Endpoint>()
                .map(|endpoint| endpoint.to_string())
        };
        assert_eq!(
            read("ecs.aliyuncs.com").unwrap(),
            "https://ecs.aliyuncs.com"
        );
        assert_eq!(
            read("https://ecs.aliyuncs.com:443/").unwrap(),
            "https://ecs.aliyuncs.com"
        );
        let local = format!("http://{}:8080", Ipv4Addr::LOCALHOST);
        assert_eq!(read(&local).unwrap(), local);
        for odd in [
            "",
            "ftp://a",
            "http://",
            "https://user@host",
            "https://host/path",
            "https://host?x",
            "a b",
        ] {
            assert!(read(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn this_machine_is_known_by_name() {
        let own = Ipv4Addr::LOCALHOST;
        // The whole range is this machine's, and its neighbour isn't.
        let last = Ipv4Addr::from_bits(own.to_bits() | 0xFF_FFFF);
        let beyond = Ipv4Addr::from_bits(last.to_bits() + 1);
        for here in [
            format!("http://{own}:1"),
            "http://localhost".to_owned(),
            format!("http://[{}]:1", Ipv6Addr::LOCALHOST),
            format!("http://{last}"),
        ] {
            assert!(here.parse::<Endpoint>().unwrap().is_loopback(), "{here}");
        }
        for there in [
            format!("http://{own}.example.org"),
            "http://localhost.example.org".to_owned(),
            format!("http://{beyond}"),
        ] {
            assert!(!there.parse::<Endpoint>().unwrap().is_loopback(), "{there}");
        }
    }

    #[test]
    fn regions_have_public_endpoints() {
        let of =
            |region: &str| public_endpoint(&region.parse().unwrap()).map(|found| found.to_string());
        assert_eq!(
            of("cn-hangzhou").unwrap(),
            "https://ecs-cn-hangzhou.aliyuncs.com"
        );
        assert_eq!(
            of("ap-southeast-1").unwrap(),
            "https://ecs.ap-southeast-1.aliyuncs.com"
        );
        assert!(of("evil.example.org/").is_err());
    }

    #[test]
    fn the_product_vpc_has_hosts_of_its_own_and_another_server_has_not() {
        let beside = |endpoint: Endpoint, version: &str, region: &str| {
            let found = endpoint.of_version(version, &region.parse().unwrap());
            found.unwrap().to_string()
        };
        for (region, ecs, vpc) in [
            ("cn-hangzhou", "ecs-cn-hangzhou", "vpc"),
            ("eu-west-1", "ecs.eu-west-1", "vpc.eu-west-1"),
        ] {
            let public = public_endpoint(&region.parse().unwrap()).unwrap();
            let ecs = format!("https://{ecs}.aliyuncs.com");
            assert_eq!(beside(public.clone(), "2014-05-26", region), ecs);
            let vpc = format!("https://{vpc}.aliyuncs.com");
            assert_eq!(beside(public, VPC_VERSION, region), vpc);
        }
        let local: Endpoint = "http://localhost:8080".parse().unwrap();
        let found = beside(local.clone(), VPC_VERSION, "cn-hangzhou");
        assert_eq!(found, local.to_string());
    }
}
