//! Files to instances and from them, over the wire only.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use darkroom_ecs::action::{
    ContentEncoding, DescribeSendFileResults, FileInvocation, InvocationStatus, SendFile,
};
use darkroom_ecs::id::{InstanceId, RegionId};
use darkroom_journal::{Attempt, Failure};
use flate2::read::GzDecoder;
use futures::{FutureExt, StreamExt, stream};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Cloud;
use crate::carry::wrap::{escape, hex};
use crate::carry::{Target, quote, slices};
use crate::folder::{Measured, private};
use crate::operation::{Operation, SecretForm};
use crate::tags;
use crate::trouble::Trouble;

/// Bytes of a fetched slice: less than 24 KB after base64, which is what the output of
/// a command holds.
pub(crate) const FETCHED: u64 = 16 << 10;

/// Slices fetched at the same time.
const AT_ONCE: usize = 8;

/// Seconds until the agent gives up on a slice.
const SEND_SECONDS: u64 = 60;

impl Cloud {
    /// Sends one slice and waits until the agent has written it.
    pub(super) async fn send_slice(
        &self,
        operation: &Operation,
        attempt: &Attempt,
    ) -> Result<Value, Failure<Trouble>> {
        let Operation::SendSlice {
            region,
            instance,
            file,
            offset,
            length,
            folder,
            name,
        } = operation
        else {
            return Ok(Value::Null);
        };
        let content = self.folder.kept(file, *offset, *length).map_err(|error| {
            Failure::Final(Trouble::file("read", format!("files/{file}"), &error))
        })?;
        let target = self.target(region, instance);
        self.send_file(&target, folder, name, &content, attempt.token)
            .await
    }

    /// Sends what a step is given of secrets: the text with the values in it, its digest,
    /// and what must not be in the step's log.
    pub(super) async fn send_secret(
        &self,
        operation: &Operation,
        attempt: &Attempt,
    ) -> Result<Value, Failure<Trouble>> {
        let Operation::SendSecret {
            region,
            instance,
            file,
            form,
            folder,
        } = operation
        else {
            return Ok(Value::Null);
        };
        let path = format!("files/{file}");
        let text = self
            .folder
            .read(&path)
            .and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other))
            .map_err(|error| Failure::Final(Trouble::file("read", &path, &error)))?;
        let filled = self
            .vault()
            .fill(&text, |value| match form {
                SecretForm::Environment => escape(value),
                SecretForm::Text => value.to_owned(),
            })
            .map_err(|error| Failure::Unavailable(Trouble::from(error)))?;
        let digest = hex(&Sha256::digest(filled.as_bytes()));
        let masks = Zeroizing::new(
            self.vault()
                .masker()
                .lines()
                .collect::<Vec<_>>()
                .join(&b'\n'),
        );
        let target = &self.target(region, instance);
        let parts = [
            ("value", filled.as_bytes()),
            ("digest", digest.as_bytes()),
            ("mask", masks.as_slice()),
        ];
        let files: Vec<_> = parts
            .iter()
            .flat_map(|(part, content)| {
                // An empty part is a file all the same.
                let rest = content.is_empty().then(|| ("000000".to_owned(), *content));
                let slices = slices(content).chain(rest);
                slices.map(move |(name, slice)| (format!("{part}-{name}"), slice))
            })
            .map(|(name, slice)| async move {
                // A resume may have been given another value, which is another request.
                let token = Uuid::new_v5(&attempt.token, name.as_bytes());
                let token = Uuid::new_v5(&token, &Sha256::digest(slice));
                self.send_file(target, folder, &name, slice, token).await
            })
            .map(FutureExt::boxed)
            .collect();
        let mut sent = stream::iter(files).buffer_unordered(AT_ONCE);
        while let Some(result) = sent.next().await {
            result?;
        }
        Ok(json!({}))
    }

    /// Sends a file that fits into one request, and waits until the agent has written it.
    async fn send_file(
        &self,
        target: &Target,
        folder: &str,
        name: &str,
        content: &[u8],
        token: Uuid,
    ) -> Result<Value, Failure<Trouble>> {
        let Target {
            region, instance, ..
        } = target;
        let action = SendFile {
            region_id: region.clone(),
            instance_id: vec![instance.clone()],
            name: name.to_owned(),
            target_dir: folder.to_owned(),
            content: STANDARD.encode(content),
            content_type: Some(ContentEncoding::Base64),
            file_mode: Some("0600".into()),
            overwrite: Some(true),
            timeout: Some(SEND_SECONDS),
            client_token: Some(token.to_string()),
            tag: vec![tags::tag(tags::RUN, self.run.to_string())],
            ..SendFile::default()
        };
        let sent = self.call(region, &action).await?;
        let mut polls = 0;
        loop {
            let action = DescribeSendFileResults {
                region_id: region.clone(),
                invoke_id: Some(sent.invoke_id.clone()),
                ..DescribeSendFileResults::default()
            };
            let answer = self.call(region, &action).await?;
            if let Some(ended) = answer.invocations.invocation.first()
                && ended.invocation_status.is_final()
            {
                return written(ended, instance, folder);
            }
            self.pause(self.pace.interval(polls)).await;
            polls += 1;
        }
    }

    /// Fetches slices of a compressed file into a file of the run, which is synced
    /// before the outcome can be recorded.
    pub(super) async fn fetch(
        &self,
        operation: &Operation,
        attempt: &Attempt,
    ) -> Result<Value, Failure<Trouble>> {
        let Operation::Fetch {
            region,
            instance,
            path,
            from,
            count,
            to,
        } = operation
        else {
            return Ok(Value::Null);
        };
        let failed = |act: &'static str| {
            move |error: io::Error| Failure::Final(Trouble::file(act, to.clone(), &error))
        };
        let local = self.folder.file(to);
        if let Some(parent) = local.parent() {
            private(parent).map_err(failed("make the folder of"))?;
        }
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&local)
            .map_err(failed("write"))?;
        let target = self.target(region, instance);
        let slices: Vec<_> = (*from..from + count)
            .map(|index| self.slice(&target, path, index, attempt.token).boxed())
            .collect();
        let mut slices = stream::iter(slices).buffer_unordered(AT_ONCE);
        while let Some(slice) = slices.next().await {
            let (index, bytes) = slice?;
            file.write_all_at(&bytes, index * FETCHED)
                .map_err(failed("write"))?;
        }
        file.sync_data().map_err(failed("sync"))?;
        Ok(json!({}))
    }

    /// Fetches a whole compressed file and unpacks and masks it into a file of the run.
    /// What is fetched lies in a file without a name: after a crash it is gone.
    pub(super) async fn fetch_masked(
        &self,
        operation: &Operation,
        attempt: &Attempt,
    ) -> Result<Value, Failure<Trouble>> {
        let Operation::FetchMasked {
            region,
            instance,
            path,
            count,
            content,
            to,
        } = operation
        else {
            return Ok(Value::Null);
        };
        let failed = |act: &'static str| {
            move |error: io::Error| Failure::Final(Trouble::file(act, to.clone(), &error))
        };
        let packed = self.folder.nameless(to).map_err(failed("write"))?;
        let target = self.target(region, instance);
        let slices: Vec<_> = (0..*count)
            .map(|index| self.slice(&target, path, index, attempt.token).boxed())
            .collect();
        let mut slices = stream::iter(slices).buffer_unordered(AT_ONCE);
        while let Some(slice) = slices.next().await {
            let (index, bytes) = slice?;
            packed
                .write_all_at(&bytes, index * FETCHED)
                .map_err(failed("write"))?;
        }
        let mut unpacked = Tee {
            from: GzDecoder::new(io::BufReader::new(packed)),
            size: 0,
            hasher: Sha256::new(),
        };
        let masker = self.vault().masker();
        self.folder
            .write_with(to, |file| masker.copy(&mut unpacked, file))
            .map_err(failed("unpack"))?;
        let arrived = Measured {
            size: unpacked.size,
            sha256: hex(&unpacked.hasher.finalize()),
        };
        if arrived != *content {
            return Err(Failure::Final(Trouble::State {
                subject: format!("instance {instance}"),
                problem: format!("{path} did not arrive as it was"),
                hint: None,
            }));
        }
        let masked = self.folder.measure(to).map_err(failed("read"))?;
        serde_json::to_value(masked)
            .map_err(|error| Failure::Final(Trouble::internal("FetchMasked", &error)))
    }

    async fn slice(
        &self,
        target: &Target,
        path: &str,
        index: u64,
        token: Uuid,
    ) -> Result<(u64, Vec<u8>), Failure<Trouble>> {
        let content = format!(
            "dd if={} bs={FETCHED} skip={index} count=1 2>/dev/null | base64\n",
            quote(path)
        );
        let token = Uuid::new_v5(&token, &index.to_be_bytes());
        let ended = self.bare(target, "read a slice", &content, token).await?;
        let bytes = ended
            .succeeded()
            .then(|| ended.text().split_whitespace().collect::<String>())
            .and_then(|text| STANDARD.decode(text).ok());
        match bytes {
            Some(bytes) => Ok((index, bytes)),
            // Final, also where the agent was lost: the token stands for this command, so
            // that only another operation can bring the slice.
            None => Err(Failure::Final(Trouble::Agent {
                instance: target.instance.to_string(),
                act: format!("read slice {index} of {path}"),
                code: ended.error_code.clone(),
                info: ended.words(),
            })),
        }
    }

    fn target(&self, region: &RegionId, instance: &InstanceId) -> Target {
        Target {
            region: region.clone(),
            instance: instance.clone(),
            run: self.run.clone(),
        }
    }
}

/// Measures what is read through it.
struct Tee<R> {
    from: R,
    size: u64,
    hasher: Sha256,
}

impl<R: Read> Read for Tee<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.size += read as u64;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

/// What the agent said of a file.
fn written(
    ended: &FileInvocation,
    instance: &InstanceId,
    folder: &str,
) -> Result<Value, Failure<Trouble>> {
    if ended.invocation_status == InvocationStatus::Success {
        return Ok(json!({}));
    }
    let one = ended.invoke_instances.invoke_instance.first();
    Err(Failure::Final(Trouble::Agent {
        instance: instance.to_string(),
        act: format!("write to {folder}"),
        code: one.map_or_else(
            || ended.invocation_status.to_string(),
            |one| one.error_code.clone(),
        ),
        info: one.map_or_else(String::new, |one| one.error_info.clone()),
    }))
}
