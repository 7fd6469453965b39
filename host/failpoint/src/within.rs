//! Points as a simulation sees them that has a process's tasks on one thread: it is told
//! of each point that is reached there, and may hold the task that has reached it.
//!
//! A real process is held by a variable of its environment and then killed. A simulated
//! one is held here, for ever, and what it had written until then is all that the next
//! one finds. A thread that nobody watches pays one look at a variable of its own.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;

/// A point that has been reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point<'a> {
    /// Its name, such as `journal.intent`.
    pub name: &'a str,
    /// What it is about, such as a run; empty where that is not said.
    pub subject: &'a str,
    /// Where in that; empty where that is not said.
    pub place: &'a str,
}

/// Looks at each point; true holds the task for ever.
pub type Watcher = Rc<dyn Fn(&Point<'_>) -> bool>;

thread_local! {
    static WATCHER: RefCell<Option<Watcher>> = const { RefCell::new(None) };
}

/// This thread's points are watched until it is dropped.
#[derive(Debug)]
pub struct Watching(PhantomData<*const ()>);

/// Watches the points that are reached on this thread, in the place of who did so before.
#[must_use]
pub fn watch(watcher: Watcher) -> Watching {
    WATCHER.set(Some(watcher));
    Watching(PhantomData)
}

impl Drop for Watching {
    fn drop(&mut self) {
        // A thread that ends has nobody to forget.
        drop(WATCHER.try_with(RefCell::take));
    }
}

/// Whether the task that has reached a point is held.
pub(crate) fn holds(point: &Point<'_>) -> bool {
    // Not borrowed while it looks: it may end by a panic.
    let watcher = WATCHER.try_with(|watcher| watcher.borrow().clone());
    watcher.ok().flatten().is_some_and(|watcher| watcher(point))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_watched_is_held() {
        let point = Point {
            name: "a",
            subject: "run",
            place: "1",
        };
        assert!(!holds(&point));
        let watching = watch(Rc::new(|point| point.name == "a"));
        assert!(holds(&point));
        assert!(!holds(&Point { name: "b", ..point }));
        assert!(
            !std::thread::spawn(|| holds(&Point {
                name: "a",
                subject: "",
                place: ""
            }))
            .join()
            .unwrap()
        );
        drop(watching);
        assert!(!holds(&point));
    }
}
