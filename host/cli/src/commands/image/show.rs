//! `darkroom image show`.

use clap::Args;
use clap_complete::ArgValueCandidates;
use darkroom_ecs::action::CommaList;
use darkroom_ecs::action::DescribeImageSharePermission;
use darkroom_ecs::action::{DescribeImages, Image};
use darkroom_ecs::id::ImageId;
use serde_json::json;

use super::{Target, every_status, owner};
use crate::args::Where;
use crate::completion;
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::terminal::{Table, Terminal};

/// Show an image: its state, snapshots, tags and the accounts that may use it
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  darkroom image show m-bp1abc --region cn-hangzhou")]
pub(crate) struct Show {
    /// The image's id
    #[arg(value_name = "IMAGE", add = ArgValueCandidates::new(completion::images))]
    image: String,
    #[command(flatten)]
    place: Where,
}

/// No such image.
#[derive(Debug, thiserror::Error)]
#[error("there is no image {image} in {place}")]
struct NoImage {
    image: ImageId,
    place: String,
}

impl Show {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let id: ImageId = self.image.parse().map_err(Failure::user)?;
        let target = Target::open(&self.place).await?;
        let request = DescribeImages {
            region_id: target.region.clone(),
            image_id: Some(CommaList(vec![id.clone()])),
            status: Some(every_status()),
            ..DescribeImages::default()
        };
        let answer = target.client.call(&target.region, &request).await?;
        let Some(image) = answer.images.image.into_iter().next() else {
            let place = target.place;
            return Err(Failure::user(NoImage { image: id, place })
                .hint("`darkroom image list` shows those that are there; name another `--region` or `--account`"));
        };
        let accounts = accounts(&target, &image).await?;
        terminal.json(&json!({ "place": target.place, "image": image, "accounts": accounts }));
        let mut table = Table::new(&["IMAGE", image.image_id.as_str()]);
        let mut row = |name: &str, value: &str| {
            if !value.is_empty() {
                table.row([name, value]);
            }
        };
        row("name", &image.image_name);
        row("family", &image.image_family);
        row("description", &image.description);
        row("where", &target.place);
        row("status", &image.status.to_string());
        row("progress", &image.progress);
        row("owner", owner(&image));
        row("size", &format!("{} GiB", image.size));
        row(
            "system",
            &format!("{} {}", image.os_name, image.architecture),
        );
        row("created", &image.creation_time);
        for disk in &image.disk_device_mappings.disk_device_mapping {
            row("snapshot", disk.snapshot_id.as_str());
        }
        for tag in &image.tags.tag {
            row("tag", &format!("{}={}", tag.tag_key, tag.tag_value));
        }
        for account in &accounts {
            row("shared with", account);
        }
        for line in table.lines() {
            terminal.line(line);
        }
        Ok(exit::DONE)
    }
}

/// The accounts that may use an image; only its owner may ask.
async fn accounts(target: &Target, image: &Image) -> Result<Vec<String>, Failure> {
    if owner(image) != "you" {
        return Ok(Vec::new());
    }
    let request = DescribeImageSharePermission {
        region_id: target.region.clone(),
        image_id: image.image_id.clone(),
        page_size: Some(100),
        ..DescribeImageSharePermission::default()
    };
    let answer = target.client.call(&target.region, &request).await?;
    let accounts = answer.accounts.account.into_iter();
    Ok(accounts
        .map(|account| account.aliyun_id.to_string())
        .collect())
}
