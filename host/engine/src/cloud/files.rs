//! Files to instances and from them, over the wire only.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use darkroom_ecs::action::{
    ContentEncoding, DescribeSendFileResults, FileInvocation, InvocationStatus, SendFile,
};
use darkroom_ecs::id::{InstanceId, RegionId};
use darkroom_ecs::params::from_params;
use darkroom_journal::{Attempt, Failure};
use futures::{FutureExt, StreamExt, stream};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Cloud, params_of};
use crate::carry::{Target, quote};
use crate::folder::private;
use crate::operation::Operation;
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
        let action = SendFile {
            region_id: region.clone(),
            instance_id: vec![instance.clone()],
            name: name.clone(),
            target_dir: folder.clone(),
            content: STANDARD.encode(content),
            content_type: Some(ContentEncoding::Base64),
            file_mode: Some("0600".into()),
            overwrite: Some(true),
            timeout: Some(SEND_SECONDS),
            tag: vec![tags::tag(tags::RUN, self.run.to_string())],
            ..SendFile::default()
        };
        let mut params = params_of(&action)?;
        params.insert("ClientToken", attempt.token.to_string());
        let action: SendFile = from_params(&params)
            .map_err(|error| Failure::Final(Trouble::internal("SendFile", &error)))?;
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
