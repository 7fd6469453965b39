//! Sending files into instances. Their content passes through and is not kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use darkroom_ecs::action::{
    ContentEncoding, DescribeSendFileResults, DescribeSendFileResultsResponse, FileInvocation,
    FileInvocations, FileInvokeInstance, FileInvokeInstances, InvocationStatus, SendFile,
    SendFileResponse, TextBool,
};
use darkroom_ecs::id::{InstanceId, InvokeId};

use super::command::{check_list, reachable};
use super::page::{self, Paging};
use super::words::{fits, new_id, row_tags, seconds, shown_tags, tagged};
use super::{Context, Serve, Token};
use crate::driver::{DriverError, FileFault, FileSpec};
use crate::fault::Fault;
use crate::state::rows::{self, Delivery, FileRow};

/// The content as base64, at most.
const LARGEST_CONTENT: usize = 32 * 1024;
const MOST_INSTANCES: usize = 50;

impl Serve for SendFile {
    fn token(&self) -> Option<&str> {
        self.client_token.as_deref()
    }

    async fn serve(self, cx: &Context) -> Result<SendFileResponse, Fault> {
        let spec = spec(&self)?;
        let tags = row_tags(&self.tag)?;
        let (account, region) = (cx.account.clone(), self.region_id.clone());
        let instances = self.instance_id.clone();
        cx.cloud
            .store
            .read(move |tx| {
                instances
                    .iter()
                    .try_for_each(|id| reachable(tx, &account, &region, id).map(drop))
            })
            .await?;
        let mut deliveries = Vec::new();
        for instance in &self.instance_id {
            deliveries.push(deliver(cx, instance, &spec).await?);
        }
        let row = FileRow {
            id: spec.invoke.clone(),
            region: self.region_id,
            account: cx.account.clone(),
            name: spec.name,
            target_dir: spec.target_dir,
            description: self.description.unwrap_or_default(),
            owner: spec.owner,
            group: spec.group,
            mode: format!("{:04o}", spec.mode),
            overwrite: spec.overwrite,
            created_at: cx.now,
            deliveries,
            tags,
        };
        let response = SendFileResponse {
            invoke_id: spec.invoke,
            ..SendFileResponse::default()
        };
        let (answer, token) = (response.clone(), cx.token.clone());
        cx.cloud
            .store
            .write(move |tx| {
                rows::put(tx, &row)?;
                Token::keep(token.as_ref(), tx, &answer)
            })
            .await?;
        Ok(response)
    }
}

fn spec(request: &SendFile) -> Result<FileSpec, Fault> {
    check_list(&request.instance_id, MOST_INSTANCES)?;
    let name = request.name.as_str();
    if name.is_empty()
        || name.len() > 255
        || name.contains(['/', '\0'])
        || name == "."
        || name == ".."
    {
        return Err(Fault::invalid(
            "Name",
            "it must be a file name of at most 255 bytes",
        ));
    }
    let folder = request.target_dir.as_str();
    if folder.len() > 255 || !folder.starts_with('/') || folder.contains('\0') {
        return Err(Fault::invalid(
            "TargetDir",
            "it must be an absolute path of at most 255 bytes",
        ));
    }
    let base64 = request
        .content_type
        .as_ref()
        .is_some_and(|kind| *kind == ContentEncoding::Base64);
    let content = if base64 {
        let decoded = BASE64.decode(&request.content);
        decoded.map_err(|_| Fault::invalid("Content", "it is not base64"))?
    } else {
        request.content.clone().into_bytes()
    };
    if content.len().div_ceil(3) * 4 > LARGEST_CONTENT {
        return Err(Fault::invalid(
            "Content",
            "it exceeds 32 KB after Base64 encoding",
        ));
    }
    let mode = request.file_mode.as_deref().unwrap_or("0644");
    let mode = u32::from_str_radix(mode, 8)
        .ok()
        .filter(|mode| *mode <= 0o7777)
        .ok_or_else(|| Fault::invalid("FileMode", "it must be an octal number such as 0644"))?;
    let timeout = request.timeout.unwrap_or(60);
    if !(10..=86_400).contains(&timeout) {
        return Err(Fault::invalid("Timeout", "it must be 10 to 86400 seconds"));
    }
    let named = |wish: &Option<String>, parameter: &str| match wish.as_deref() {
        None | Some("") => Ok("root".to_owned()),
        Some(text) if text.len() > 64 => Err(Fault::invalid(parameter, "it is longer than 64")),
        Some(text) => Ok(text.to_owned()),
    };
    Ok(FileSpec {
        invoke: new_id("f-"),
        target_dir: folder.to_owned(),
        name: name.to_owned(),
        content,
        owner: named(&request.file_owner, "FileOwner")?,
        group: named(&request.file_group, "FileGroup")?,
        mode,
        overwrite: request.overwrite.unwrap_or(false),
    })
}

async fn deliver(cx: &Context, instance: &InstanceId, spec: &FileSpec) -> Result<Delivery, Fault> {
    let sent = if cx.cloud.has_agent(instance).await? {
        cx.cloud.driver.send_file(instance, spec).await
    } else {
        Ok(Err(FileFault::ClientNotRunning))
    };
    let fault = match sent {
        Ok(Ok(())) => None,
        Ok(Err(fault)) => Some(fault),
        Err(
            DriverError::NoAgent { .. }
            | DriverError::NoInstance { .. }
            | DriverError::WrongState { .. },
        ) => Some(FileFault::ClientNotRunning),
        Err(error) => return Err(error.into()),
    };
    let status = if fault.is_none() {
        InvocationStatus::Success
    } else {
        InvocationStatus::Failed
    };
    Ok(Delivery {
        instance: instance.clone(),
        status,
        error_code: fault.map_or("", FileFault::as_str).to_owned(),
        error_info: fault
            .map(|fault| format!("{}: {}/{}", fault.as_str(), spec.target_dir, spec.name))
            .unwrap_or_default(),
        finished_at: cx.cloud.clock.now(),
    })
}

impl Serve for DescribeSendFileResults {
    async fn serve(self, cx: &Context) -> Result<DescribeSendFileResultsResponse, Fault> {
        let (region, account) = (self.region_id.clone(), cx.account.clone());
        let id = self.invoke_id.clone();
        let mut found = cx
            .cloud
            .store
            .read(move |tx| {
                let id = id.as_ref().map(InvokeId::as_str);
                rows::own::<FileRow>(tx, &region, &account, id)
            })
            .await?;
        found.retain(|placed| {
            let row = &placed.row;
            let here = |id: &InstanceId| row.deliveries.iter().any(|one| one.instance == *id);
            self.instance_id.as_ref().is_none_or(here)
                && self.name.as_ref().is_none_or(|name| fits(name, &row.name))
                && self
                    .invocation_status
                    .as_ref()
                    .is_none_or(|wanted| *wanted == overall(row))
                && tagged(&row.tags, &self.tag)
        });
        let paging = Paging {
            number: self.page_number,
            size: self.page_size,
            max_results: self.max_results,
            next_token: self.next_token,
            least: 1,
            most: 50,
        };
        let page = page::cut(found, &paging)?;
        Ok(DescribeSendFileResultsResponse {
            invocations: FileInvocations {
                invocation: page.rows.into_iter().map(shown).collect(),
            },
            total_count: page.total,
            page_number: page.number,
            page_size: page.size,
            next_token: page.next_token,
            ..DescribeSendFileResultsResponse::default()
        })
    }
}

fn overall(row: &FileRow) -> InvocationStatus {
    let good = |one: &&Delivery| one.status == InvocationStatus::Success;
    match row.deliveries.iter().filter(good).count() {
        count if count == row.deliveries.len() => InvocationStatus::Success,
        0 => InvocationStatus::Failed,
        _ => InvocationStatus::PartialFailed,
    }
}

fn shown(row: FileRow) -> FileInvocation {
    let status = overall(&row);
    let created = seconds(row.created_at);
    let instances = row.deliveries.into_iter().map(|one| FileInvokeInstance {
        instance_id: one.instance,
        invocation_status: one.status,
        error_code: one.error_code,
        error_info: one.error_info,
        creation_time: created.clone(),
        start_time: created.clone(),
        finish_time: seconds(one.finished_at),
        update_time: seconds(one.finished_at),
    });
    let instances: Vec<FileInvokeInstance> = instances.collect();
    FileInvocation {
        invoke_id: row.id,
        name: row.name,
        target_dir: row.target_dir,
        description: row.description,
        // Not kept.
        content: String::new(),
        content_type: "PlainText".to_owned(),
        file_owner: row.owner,
        file_group: row.group,
        file_mode: row.mode,
        overwrite: TextBool(row.overwrite),
        vm_count: u32::try_from(instances.len()).unwrap_or(u32::MAX),
        creation_time: created,
        invocation_status: status,
        invoke_instances: FileInvokeInstances {
            invoke_instance: instances,
        },
        tags: shown_tags(&row.tags),
    }
}
