//! What the items' unit tests share: trees made of files, and what a judgement writes.

use crate::judgement::{Change, Judgement};
use crate::tree::{File, Tree};

/// A tree of these files, on a disk of another machine.
pub fn tree(files: &[(&str, &str)]) -> Tree {
    let files = files.iter().map(|(path, text)| {
        let file = File {
            mode: 0o644,
            owner: "root:root".into(),
            bytes: text.as_bytes().to_vec(),
        };
        ((*path).to_owned(), file)
    });
    let mut tree = Tree::default();
    tree.files = files.collect();
    tree
}

/// The files that a judgement writes.
pub fn written(judgement: &Judgement) -> Vec<(&str, &str)> {
    let writes = judgement.changes.iter().filter_map(|change| match change {
        Change::Write { path, file } => Some((&**path, std::str::from_utf8(&file.bytes).unwrap())),
        _ => None,
    });
    writes.collect()
}
