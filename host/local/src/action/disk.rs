//! Disks. Each instance has a system disk and may have others; all go with it. Only the
//! system disk is really there: the others are on the bill and in images.

use darkroom_ecs::action::{DescribeDisks, DescribeDisksResponse, Disk, DiskStatus, Disks};

use super::page::{self, Paging};
use super::words::{fits, seconds, shown_tags, tagged};
use super::{Context, Serve};
use crate::fault::Fault;
use crate::state::lookup::{self, Look};
use crate::state::rows::DiskRow;

impl Serve for DescribeDisks {
    async fn serve(self, cx: &Context) -> Result<DescribeDisksResponse, Fault> {
        if !self.filter.is_empty() {
            return Err(Fault::unsupported("Filter.N"));
        }
        if self.dry_run == Some(true) {
            return Err(Fault::dry_run());
        }
        let (region, account) = (self.region_id.clone(), cx.account.clone());
        let look = Look::default()
            .ids(self.disk_ids.iter().flat_map(|list| &list.0))
            .tags(&self.tag)
            .key(
                "instance",
                self.instance_id.as_ref().map(ToString::to_string),
            );
        let mut found = cx
            .cloud
            .store
            .read(move |tx| lookup::find::<DiskRow>(tx, &region, Some(&account), &look))
            .await?;
        found.retain(|placed| wanted(&self, &placed.row));
        let paging = Paging {
            number: self.page_number,
            size: self.page_size,
            max_results: self.max_results,
            next_token: self.next_token,
            least: 1,
            most: 100,
        };
        let page = page::cut(found, &paging)?;
        Ok(DescribeDisksResponse {
            disks: Disks {
                disk: page.rows.into_iter().map(shown).collect(),
            },
            total_count: page.total,
            page_number: page.number,
            page_size: page.size,
            next_token: page.next_token,
            ..DescribeDisksResponse::default()
        })
    }
}

fn wanted(asked: &DescribeDisks, row: &DiskRow) -> bool {
    let listed = asked.disk_ids.as_ref();
    let word = |asked: &Option<String>, is: &str| {
        asked
            .as_ref()
            .is_none_or(|text| text == is || text == "all")
    };
    listed.is_none_or(|list| list.0.is_empty() || list.0.contains(&row.id))
        && asked
            .instance_id
            .as_ref()
            .is_none_or(|id| *id == row.instance)
        && asked
            .disk_name
            .as_ref()
            .is_none_or(|name| fits(name, &row.name))
        && word(&asked.disk_type, row.part.word())
        && word(&asked.category, &row.category)
        && asked
            .status
            .as_ref()
            .is_none_or(|status| *status == DiskStatus::InUse || status.as_str() == "All")
        && asked.zone_id.as_ref().is_none_or(|zone| *zone == row.zone)
        && asked
            .snapshot_id
            .as_ref()
            .is_none_or(|id| row.snapshot.as_ref() == Some(id))
        && asked.encrypted != Some(true)
        && tagged(&row.tags, &asked.tag)
}

fn shown(row: DiskRow) -> Disk {
    Disk {
        serial_number: row.id.as_str().trim_start_matches("d-").to_owned(),
        disk_id: row.id,
        disk_name: row.name,
        description: row.description,
        region_id: row.region,
        zone_id: row.zone,
        r#type: row.part.word().to_owned(),
        source_snapshot_id: row.snapshot.unwrap_or_default(),
        category: row.category,
        size: row.size_gib,
        status: DiskStatus::InUse,
        instance_id: row.instance,
        device: row.device,
        image_id: row.image,
        delete_with_instance: true,
        disk_charge_type: "PostPaid".to_owned(),
        creation_time: seconds(row.created_at),
        attached_time: seconds(row.created_at),
        tags: shown_tags(&row.tags),
        ..Disk::default()
    }
}
