//! Requests that write, done by the library: blobs in pieces, and manifests.
//!
//! A blob that is there already isn't sent. Every write says the same twice, so what may
//! pass is tried again. Nothing here decides whether something may be written.

use bytes::Bytes;
use oci_client::errors::{OciDistributionError, OciErrorCode};
use reqwest::header::HeaderValue;

use super::authorize::{Authorization, Right};
use super::connection::{Connection, classify};
use super::error::Fault;
use super::read::{Get, repeat, said};
use super::settings::Settings;
use crate::digest::Digest;
use crate::name::shortened;

impl Connection {
    pub(super) async fn has_blob(
        &self,
        repository: &str,
        digest: &Digest,
        settings: &Settings,
    ) -> Result<bool, Fault> {
        let get = Get {
            right: Right::Write,
            head: true,
            ..Get::new(
                format!("/v2/{repository}/blobs/{digest}"),
                repository,
                "the blob",
                0,
            )
        };
        match self.get(&get, settings).await {
            Ok(_) => Ok(true),
            Err(Fault::NotFound) => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    pub(super) async fn put_blob(
        &self,
        repository: &str,
        bytes: &Bytes,
        settings: &Settings,
    ) -> Result<Digest, Fault> {
        let digest = Digest::of(bytes);
        if self.has_blob(repository, &digest, settings).await? {
            return Ok(digest);
        }
        let reference = self.reference(repository, "latest");
        let name = digest.to_string();
        let located = self
            .write(repository, settings, async |library| {
                match library.push_blob(&reference, bytes.clone(), &name).await {
                    Err(OciDistributionError::RegistryNoLocationError) => Ok(false),
                    other => other.map(|_| true),
                }
            })
            .await?;
        // Some don't say where it is, which the library takes for a failure, although
        // it is there.
        if !located && !self.has_blob(repository, &digest, settings).await? {
            return Err(Fault::Malformed {
                what: "the registry's answer",
                why: "it doesn't say where to upload".into(),
            });
        }
        Ok(digest)
    }

    pub(super) async fn put_manifest(
        &self,
        repository: &str,
        at: &str,
        bytes: &Bytes,
        media_type: &str,
        settings: &Settings,
    ) -> Result<(), Fault> {
        let kind = HeaderValue::from_str(media_type).map_err(|_| Fault::Malformed {
            what: "the media type",
            why: shortened(media_type),
        })?;
        let reference = self.reference(repository, at);
        self.write(repository, settings, async |library| {
            let sent = library.push_manifest_raw(&reference, bytes.clone(), kind.clone());
            sent.await
        })
        .await?;
        Ok(())
    }

    async fn write<T>(
        &self,
        repository: &str,
        settings: &Settings,
        mut work: impl AsyncFnMut(&oci_client::Client) -> Result<T, OciDistributionError>,
    ) -> Result<T, Fault> {
        let mut anew = false;
        repeat(settings, async || {
            let first = self.write_once(repository, settings, anew, &mut work).await;
            match first {
                // The token may have grown old, also in the middle of a long upload.
                Err(Fault::Unauthorized { .. }) if !anew => {
                    anew = true;
                    self.write_once(repository, settings, true, &mut work).await
                }
                other => other,
            }
        })
        .await
    }

    async fn write_once<T>(
        &self,
        repository: &str,
        settings: &Settings,
        anew: bool,
        work: &mut impl AsyncFnMut(&oci_client::Client) -> Result<T, OciDistributionError>,
    ) -> Result<T, Fault> {
        let done = async {
            let sent = self.authorize(repository, Right::Write, anew).await?;
            let library = self.library().await?;
            work(library)
                .await
                .map_err(|error| self.fault(error, &sent))
        };
        let done = tokio::time::timeout(settings.timeout, done).await;
        done.map_err(|_| Fault::Timeout)?
    }

    /// What the library's error means. Addresses and raw bodies stay behind.
    pub(super) fn fault(&self, error: OciDistributionError, sent: &Authorization) -> Fault {
        let known = self.is_known();
        let of_status = |status: u16, message: String| match status {
            401 => Fault::Unauthorized { known },
            403 => Fault::Forbidden { message },
            404 => Fault::NotFound,
            429 => Fault::TooMany { wait: None },
            500.. => Fault::Server {
                status,
                wait: None,
                message,
            },
            _ => Fault::Unexpected { status, message },
        };
        match error {
            OciDistributionError::RequestError(error) => classify(error),
            OciDistributionError::UnauthorizedError { .. } => Fault::Unauthorized { known },
            OciDistributionError::ServerError { code, message, .. } => {
                of_status(code, self.scrub(&said(message.as_bytes()), sent))
            }
            OciDistributionError::RegistryError { envelope, .. } => {
                let first = envelope.errors.into_iter().next();
                let (code, message) = first.map_or_else(
                    || (OciErrorCode::Other(String::new()), String::new()),
                    |error| (error.code, error.message),
                );
                let status = match code {
                    OciErrorCode::Unauthorized => 401,
                    OciErrorCode::Denied => 403,
                    OciErrorCode::Toomanyrequests => 429,
                    OciErrorCode::NameUnknown | OciErrorCode::NotFound => 404,
                    _ => 400,
                };
                of_status(status, self.scrub(&message, sent))
            }
            OciDistributionError::SpecViolationError(why) => Fault::Malformed {
                what: "the registry's answer",
                why: shortened(&why),
            },
            other => Fault::Malformed {
                what: "the registry's answer",
                why: shortened(&other.to_string()),
            },
        }
    }
}
