//! Letting other accounts use an image, in its region.

use darkroom_ecs::action::{
    Account, Accounts, DescribeImageSharePermission, DescribeImageSharePermissionResponse,
    ImageStatus, ModifyImageSharePermission, ModifyImageSharePermissionResponse, ShareGroups,
};
use darkroom_ecs::error::ErrorCode;

use super::image::owned;
use super::page::{self, Paging};
use super::words::seconds;
use super::{Context, Serve};
use crate::fault::Fault;
use crate::state::rows::{self, Placed, Share};

/// Accounts in one request; those beyond are ignored without a word, as ECS does.
const BATCH: usize = 10;
/// Accounts that an image may be shared with.
const MOST: usize = 50;

impl Serve for ModifyImageSharePermission {
    async fn serve(self, cx: &Context) -> Result<ModifyImageSharePermissionResponse, Fault> {
        for (name, given) in [
            ("IsPublic", self.is_public == Some(true)),
            ("LaunchPermission", self.launch_permission.is_some()),
        ] {
            if given {
                return Err(Fault::unsupported(name));
            }
        }
        let this = cx.clone();
        cx.cloud
            .store
            .write(move |tx| {
                let mut row = owned(tx, &this.account, &self.region_id, &self.image_id)?;
                if row.status != ImageStatus::Available {
                    return Err(Fault::forbidden(
                        ErrorCode::IncorrectImageStatus,
                        format!("The image {} is {}, not Available.", row.id, row.status),
                    ));
                }
                for account in self.add_account.iter().take(BATCH) {
                    if !this.cloud.has_account(account) || *account == this.account {
                        return Err(Fault::missing(
                            ErrorCode::InvalidAccountNotFound,
                            format!("The specified account {account} does not exist."),
                        ));
                    }
                    if !row.shares.iter().any(|share| share.account == *account) {
                        row.shares.push(Share {
                            account: account.clone(),
                            since: this.now,
                        });
                    }
                }
                let removed: Vec<_> = self.remove_account.iter().take(BATCH).collect();
                row.shares
                    .retain(|share| !removed.contains(&&share.account));
                if row.shares.len() > MOST {
                    return Err(Fault::forbidden(
                        ErrorCode::QuotaExceedShareImage,
                        "An image can be shared with at most 50 accounts.",
                    ));
                }
                if self.dry_run == Some(true) {
                    return Err(Fault::dry_run());
                }
                Ok(rows::put(tx, &row)?)
            })
            .await?;
        Ok(ModifyImageSharePermissionResponse::default())
    }
}

impl Serve for DescribeImageSharePermission {
    async fn serve(self, cx: &Context) -> Result<DescribeImageSharePermissionResponse, Fault> {
        let (account, region, id) = (
            cx.account.clone(),
            self.region_id.clone(),
            self.image_id.clone(),
        );
        let row = cx
            .cloud
            .store
            .read(move |tx| owned(tx, &account, &region, &id))
            .await?;
        let shares = row.shares.into_iter().zip(1..);
        let shares = shares.map(|(row, seq)| Placed { seq, row }).collect();
        let paging = Paging {
            number: self.page_number,
            size: self.page_size,
            most: 100,
            ..Paging::default()
        };
        let page = page::cut(shares, &paging)?;
        let account = page.rows.into_iter().map(|share| Account {
            aliyun_id: share.account,
            shared_time: seconds(share.since),
        });
        Ok(DescribeImageSharePermissionResponse {
            region_id: self.region_id,
            image_id: self.image_id,
            total_count: page.total,
            page_number: page.number,
            page_size: page.size,
            accounts: Accounts {
                account: account.collect(),
            },
            share_groups: ShareGroups::default(),
            ..DescribeImageSharePermissionResponse::default()
        })
    }
}
