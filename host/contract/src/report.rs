//! What a component reported: messages for people, results for the host.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Who a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// The author of the component.
    Debug,
    /// Everybody.
    Info,
    /// Something may be wrong.
    Warning,
}

/// A message. A repeated call sends its messages again: the n-th of a call is new
/// if fewer than n were shown before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who it is for.
    pub level: Level,
    /// The text.
    pub text: String,
}

/// How a test case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaseStatus {
    /// As it should be.
    Passed,
    /// Not as it should be: the image fails its test.
    Failed,
    /// Does not apply here.
    Skipped,
}

/// A test case that a tester reported; steps of a tester are cases too, which the
/// host adds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// How it ended.
    pub status: CaseStatus,
    /// Why; empty for one that passed.
    pub message: String,
}

/// How bad an item that could not be repaired is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Risk {
    /// The image will probably not start or not be reachable.
    High,
    /// Something will not work.
    Medium,
    /// Something is not as it should be.
    Low,
}

/// What a repairer found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemStatus {
    /// Was wrong and has been put right.
    Repaired,
    /// Is wrong and can't be put right here.
    Unrepaired(Risk),
    /// Was looked at and is in order.
    Intact,
}

/// An item that a repairer looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its name, as in Alibaba Cloud's image check (`GUESTOS.Fstab`), or a free one.
    pub name: String,
    /// What was found.
    pub status: ItemStatus,
    /// What was done, or why nothing could be; empty for an intact one.
    pub message: String,
}

/// All that one call reported. In a call that ended at a question the results are
/// empty: the call that returns reports all of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Messages in the order in which they came.
    pub messages: Vec<Message>,
    /// Outputs of a builder by name.
    pub published: Map<String, Value>,
    /// Cases of a tester.
    pub cases: Vec<Case>,
    /// Items of a repairer.
    pub items: Vec<Item>,
}
