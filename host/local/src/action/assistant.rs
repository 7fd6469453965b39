//! Whether the agents of instances live, and bringing them where they are missing.

use darkroom_ecs::action::{
    DescribeCloudAssistantStatus, DescribeCloudAssistantStatusResponse, InstallCloudAssistant,
    InstallCloudAssistantResponse, InstanceCloudAssistantStatus, InstanceCloudAssistantStatusSet,
    InstanceStatus, TextBool,
};
use darkroom_ecs::error::ErrorCode;
use rusqlite::Transaction;

use super::command::check_list;
use super::page::{self, Paging};
use super::words::{maybe_seconds, seconds};
use super::{Context, Serve, in_region, instance};
use crate::driver::{Agent, Observed};
use crate::fault::Fault;
use crate::state::lookup::{self, Look};
use crate::state::rows::{self, DiskRow, InstanceRow};
use crate::state::store::StoreError;

/// What the agent of this cloud says its version is.
const VERSION: &str = "2.2.3.1000";

/// How many instances get the agent in one request.
const MOST_INSTALLED: usize = 50;

impl Serve for DescribeCloudAssistantStatus {
    async fn serve(self, cx: &Context) -> Result<DescribeCloudAssistantStatusResponse, Fault> {
        if self.instance_id.len() > 100 {
            return Err(Fault::forbidden(
                ErrorCode::InstanceIdsExceedLimit,
                "The number of instance IDs exceeds the upper limit.",
            ));
        }
        let (region, account) = (self.region_id.clone(), cx.account.clone());
        let look = Look::default().ids(&self.instance_id);
        let mut found = cx
            .cloud
            .store
            .read(move |tx| lookup::find::<InstanceRow>(tx, &region, Some(&account), &look))
            .await?;
        let windows = self
            .os_type
            .as_ref()
            .is_some_and(|kind| kind.eq_ignore_ascii_case("windows"));
        found.retain(|placed| {
            let named = self.instance_id.is_empty() || self.instance_id.contains(&placed.row.id);
            named && !windows
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
        let mut shown = Vec::new();
        for row in page.rows {
            shown.push(status(cx, row).await?);
        }
        Ok(DescribeCloudAssistantStatusResponse {
            instance_cloud_assistant_status_set: InstanceCloudAssistantStatusSet {
                instance_cloud_assistant_status: shown,
            },
            total_count: page.total,
            page_number: page.number,
            page_size: page.size,
            next_token: page.next_token,
            ..DescribeCloudAssistantStatusResponse::default()
        })
    }
}

impl Serve for InstallCloudAssistant {
    async fn serve(self, cx: &Context) -> Result<InstallCloudAssistantResponse, Fault> {
        check_list(&self.instance_id, MOST_INSTALLED)?;
        let account = cx.account.clone();
        cx.cloud
            .store
            .write(move |tx| {
                for id in &self.instance_id {
                    let row = instance::mine(tx, &account, id)?;
                    if !in_region(&row.region, &self.region_id) {
                        return Err(Fault::missing(
                            ErrorCode::InvalidInstanceNotFound,
                            format!("The specified instance {id} does not exist in this region."),
                        ));
                    }
                    if row.status != InstanceStatus::Running {
                        return Err(Fault::forbidden(
                            ErrorCode::IncorrectInstanceStatus,
                            format!("The instance {id} is {}, it must be Running.", row.status),
                        ));
                    }
                    install(tx, &row)?;
                }
                Ok(())
            })
            .await?;
        Ok(InstallCloudAssistantResponse::default())
    }
}

/// Puts the agent on an instance's disk. On Red Hat that does nothing, as on Alibaba
/// Cloud, whose documents except it.
fn install(tx: &Transaction<'_>, row: &InstanceRow) -> Result<(), StoreError> {
    if let Some(mut disk) = rows::get::<DiskRow>(tx, row.disk.as_str())?
        && disk.system.agent == Agent::None
        && disk.system.platform != "RedHat"
    {
        disk.system.agent = Agent::Coming;
        rows::put(tx, &disk)?;
    }
    Ok(())
}

async fn status(cx: &Context, row: InstanceRow) -> Result<InstanceCloudAssistantStatus, Fault> {
    // A rebooting instance has no agent, whatever the driver still sees.
    let alive = row.status == InstanceStatus::Running
        && cx.cloud.has_agent(&row.id).await?
        && matches!(
            cx.cloud.driver.observe(&row.id).await?,
            Observed::Running { agent: true, .. }
        );
    let subject = row.id.clone();
    let active = cx
        .cloud
        .store
        .read(move |tx| rows::running(tx, Some(&subject)))
        .await?;
    let live = |text: &str| {
        if alive {
            text.to_owned()
        } else {
            String::new()
        }
    };
    Ok(InstanceCloudAssistantStatus {
        instance_id: row.id,
        cloud_assistant_status: TextBool(alive),
        cloud_assistant_version: live(VERSION),
        last_heartbeat_time: live(&seconds(cx.now)),
        last_invoked_time: maybe_seconds(row.last_invoked_at),
        invocation_count: row.invocations,
        active_task_count: u64::try_from(active.len()).unwrap_or(u64::MAX),
        os_type: "Linux".to_owned(),
        support_session_manager: false,
    })
}
