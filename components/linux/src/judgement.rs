//! What is to be done about one item: changes that the steps make, and words for people.
//!
//! An item only judges; `lib.rs` declares the steps and reports.

use crate::tree::File;

/// A change below the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A file is written, with the bits and the owner that it had.
    Write {
        /// Its path.
        path: String,
        /// It as it shall be.
        file: File,
    },
    /// A file or link is removed.
    Remove(String),
    /// A symbolic link is made.
    Link {
        /// Its path.
        path: String,
        /// Where it leads.
        target: String,
    },
    /// Packages are installed by the machine's own manager. Can fail: then the item is
    /// unrepaired.
    Install(&'static [&'static str]),
    /// Drivers are put into a kernel's initramfs. Can fail: then the item is unrepaired.
    Drivers {
        /// The kernel's version.
        version: String,
        /// Its initramfs.
        initramfs: String,
        /// The drivers.
        names: Vec<&'static str>,
    },
}

/// What is to be done about an item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// The changes, in order.
    pub changes: Vec<Change>,
    /// What they repair, for people.
    pub repaired: Vec<String>,
    /// What is wrong and stays so, for people.
    pub unrepaired: Vec<String>,
}

impl Judgement {
    /// Nothing but something that can't be repaired.
    pub fn unrepaired(message: impl Into<String>) -> Self {
        Self {
            unrepaired: vec![message.into()],
            ..Self::default()
        }
    }

    /// A file gets this text.
    pub fn write(&mut self, path: &str, file: &File, text: String, repaired: impl Into<String>) {
        self.changes.push(Change::Write {
            path: path.to_owned(),
            file: File {
                bytes: text.into_bytes(),
                ..file.clone()
            },
        });
        self.repaired.push(repaired.into());
    }

    /// A file that is not there yet gets this text.
    pub fn create(&mut self, path: &str, text: &str, repaired: impl Into<String>) {
        let file = File {
            mode: 0o644,
            owner: "root:root".to_owned(),
            bytes: Vec::new(),
        };
        self.write(path, &file, text.to_owned(), repaired);
    }

    /// Takes another judgement's parts too.
    pub fn add(&mut self, other: Self) {
        self.changes.extend(other.changes);
        self.repaired.extend(other.repaired);
        self.unrepaired.extend(other.unrepaired);
    }
}
