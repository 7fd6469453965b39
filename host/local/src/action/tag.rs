//! Tags on resources that are there.

use darkroom_ecs::action::{
    TagResources, TagResourcesResponse, UntagResources, UntagResourcesResponse,
};
use darkroom_ecs::error::ErrorCode;
use darkroom_ecs::id::{AccountId, RegionId};
use rusqlite::Transaction;

use super::words::row_tags;
use super::{Context, Serve};
use crate::fault::Fault;
use crate::state::rows::{
    self, DiskRow, ImageRow, InstanceRow, InvocationRow, Row, RowTag, SecurityGroupRow, SnapshotRow,
};

const MOST_RESOURCES: usize = 50;
const MOST_TAGS: usize = 20;

/// A row that has tags.
trait Tagged: Row {
    fn tags(&mut self) -> &mut Vec<RowTag>;
}

macro_rules! tagged {
    ($($row:ty)*) => {
        $(impl Tagged for $row {
            fn tags(&mut self) -> &mut Vec<RowTag> {
                &mut self.tags
            }
        })*
    };
}

tagged! { InstanceRow DiskRow ImageRow SnapshotRow SecurityGroupRow InvocationRow }

/// What is done to a resource's tags.
#[derive(Clone)]
enum Change {
    Set(Vec<RowTag>),
    Remove(Vec<String>),
    Clear,
}

impl Change {
    fn apply(&self, tags: &mut Vec<RowTag>) -> Result<(), Fault> {
        match self {
            Self::Set(new) => {
                tags.retain(|(key, _)| !new.iter().any(|(other, _)| other == key));
                tags.extend(new.iter().cloned());
                if tags.len() > MOST_TAGS {
                    return Err(Fault::invalid("Tag", "a resource has at most 20"));
                }
            }
            Self::Remove(keys) => tags.retain(|(key, _)| !keys.contains(key)),
            Self::Clear => tags.clear(),
        }
        Ok(())
    }
}

impl Serve for TagResources {
    async fn serve(self, cx: &Context) -> Result<TagResourcesResponse, Fault> {
        if self.tag.is_empty() {
            return Err(Fault::missing_parameter("Tag.1.Key"));
        }
        let change = Change::Set(row_tags(&self.tag)?);
        apply(
            cx,
            self.region_id,
            self.resource_type,
            self.resource_id,
            change,
        )
        .await?;
        Ok(TagResourcesResponse::default())
    }
}

impl Serve for UntagResources {
    async fn serve(self, cx: &Context) -> Result<UntagResourcesResponse, Fault> {
        let change = match (self.tag_key.is_empty(), self.all) {
            (false, _) => Change::Remove(self.tag_key),
            (true, Some(true)) => Change::Clear,
            (true, _) => return Err(Fault::missing_parameter("TagKey.1")),
        };
        apply(
            cx,
            self.region_id,
            self.resource_type,
            self.resource_id,
            change,
        )
        .await?;
        Ok(UntagResourcesResponse::default())
    }
}

async fn apply(
    cx: &Context,
    region: RegionId,
    kind: String,
    ids: Vec<String>,
    change: Change,
) -> Result<(), Fault> {
    if ids.is_empty() {
        return Err(Fault::missing_parameter("ResourceId.1"));
    }
    if ids.len() > MOST_RESOURCES {
        return Err(Fault::invalid("ResourceId", "there may be at most 50"));
    }
    let account = cx.account.clone();
    cx.cloud
        .store
        .write(move |tx| {
            for id in &ids {
                let scope = (&region, &account);
                match kind.as_str() {
                    "instance" => on::<InstanceRow>(tx, scope, id, &change),
                    "disk" => on::<DiskRow>(tx, scope, id, &change),
                    "image" => on::<ImageRow>(tx, scope, id, &change),
                    "snapshot" => on::<SnapshotRow>(tx, scope, id, &change),
                    "securitygroup" => on::<SecurityGroupRow>(tx, scope, id, &change),
                    "command" | "invocation" => on::<InvocationRow>(tx, scope, id, &change),
                    other => Err(Fault::missing(
                        ErrorCode::InvalidResourceTypeNotFound,
                        format!("The ResourceType {other} is not found."),
                    )),
                }?;
            }
            Ok(())
        })
        .await
}

fn on<R: Tagged>(
    tx: &Transaction<'_>,
    (region, account): (&RegionId, &AccountId),
    id: &str,
    change: &Change,
) -> Result<(), Fault> {
    let found = rows::get::<R>(tx, id)?;
    let mut row = found
        .filter(|row| row.region() == region && row.account() == Some(account))
        .ok_or_else(|| {
            Fault::missing(
                ErrorCode::InvalidResourceIdNotFound,
                format!("The specified ResourceId {id} is not found."),
            )
        })?;
    change.apply(row.tags())?;
    Ok(rows::put(tx, &row)?)
}
