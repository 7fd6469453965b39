//! The cloud's SQLite file: one thread owns the connection, everybody else hands it
//! a closure and waits for the answer.
//!
//! Used by [`crate::cloud`], the actions, the jobs and the sim driver (with a file
//! of its own). A closure is kept as a whole or not at all, and must be short, because
//! all others wait for it. Those that wait at the same time share a commit, each in a
//! savepoint of its own, and nobody is answered before it: what many builds ask at
//! once costs few commits. A killed server loses nothing
//! that was answered. A power cut may lose the last moments (`synchronous = NORMAL`), in
//! which the instances of this machine died too; the file stays sound. A
//! connection behind a mutex on the blocking pool was the alternative: there,
//! hundreds of requests would hold hundreds of threads.

use std::path::{Path, PathBuf};
use std::sync::mpsc;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

/// Why the state could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file can't be opened or brought to today's shape.
    #[error("the cloud's state {path} can't be opened")]
    Open {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// The file was written by a newer version.
    #[error(
        "{path} has schema version {found}, this program knows {known}: use the newer \
         program, or another folder"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The version found.
        found: i64,
        /// The newest one that this program knows.
        known: i64,
    },
    /// A statement failed.
    #[error("the cloud's state can't be used")]
    Sql(#[from] rusqlite::Error),
    /// A row does not read as what it should be.
    #[error("a row of {table} can't be read")]
    Row {
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The thread that owns the file has ended.
    #[error("the cloud's state is closed")]
    Closed,
}

/// What somebody wants to be done; it gives the answer that waits for the commit.
type Work = Box<dyn FnOnce(Result<&Transaction<'_>, StoreError>) -> Answer + Send>;

/// Tells whoever waits what came of the work, now that it is kept, or why it isn't.
type Answer = Box<dyn FnOnce(Result<(), StoreError>)>;

struct Task {
    writes: bool,
    work: Work,
}

/// How many tasks are kept in one commit, at most.
const MOST: usize = 64;

/// A handle to the thread that owns the file. The thread ends with the last one.
#[derive(Clone)]
pub(crate) struct Store {
    tasks: mpsc::Sender<Task>,
}

impl Store {
    /// Opens or makes the file and brings it to the newest schema, which is the
    /// number of `migrations`.
    pub(crate) fn open(
        path: &Path,
        migrations: &'static [&'static str],
    ) -> Result<Self, StoreError> {
        let opened = |source| StoreError::Open {
            path: path.to_owned(),
            source,
        };
        make_private(path).map_err(opened)?;
        let mut connection = Connection::open(path).map_err(opened)?;
        prepare(&mut connection).map_err(opened)?;
        migrate(&mut connection, path, migrations)?;
        let (tasks, queue) = mpsc::channel::<Task>();
        std::thread::Builder::new()
            .name("cloud-state".to_owned())
            .spawn(move || {
                while let Ok(first) = queue.recv() {
                    let rest = queue.try_iter().take(MOST - 1);
                    let tasks = std::iter::once(first).chain(rest).collect();
                    serve(&mut connection, tasks);
                }
            })
            .map_err(|_| StoreError::Closed)?;
        Ok(Self { tasks })
    }

    /// Runs `work` in a transaction that is kept when it answers `Ok`.
    pub(crate) async fn write<T, E>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let answer = self.note(work).await;
        #[cfg(test)]
        super::fuse::burn().await;
        answer
    }

    /// The same for bookkeeping on which no promise depends. (A test that lets the
    /// server die at each change leaves these out.)
    pub(crate) async fn note<T, E>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.on_thread(true, move |transaction| {
            in_savepoint(transaction, || work(transaction))
        })
        .await
    }

    /// Runs `work`, which changes nothing, against one unchanging view.
    pub(crate) async fn read<T, E>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.on_thread(false, work).await
    }

    async fn on_thread<T, E>(
        &self,
        writes: bool,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (give, take) = oneshot::channel();
        let elsewhere = darkroom_failpoint::elsewhere::Work::begin();
        let work: Work = Box::new(move |transaction| {
            let done = transaction.map_err(E::from).and_then(work);
            Box::new(move |kept| {
                let done = done.and_then(|value| kept.map(|()| value).map_err(E::from));
                // Nobody may wait any more: the change is made all the same.
                drop(give.send(done));
                drop(elsewhere);
            })
        });
        if self.tasks.send(Task { writes, work }).is_err() {
            return Err(StoreError::Closed.into());
        }
        match take.await {
            Ok(answer) => answer,
            Err(_) => Err(StoreError::Closed.into()),
        }
    }
}

/// Does what many wait for in one transaction, each as a whole or not at all, and
/// answers when it is kept.
fn serve(connection: &mut Connection, tasks: Vec<Task>) {
    let behavior = if tasks.iter().any(|task| task.writes) {
        TransactionBehavior::Immediate
    } else {
        TransactionBehavior::Deferred
    };
    let (answers, kept): (Vec<Answer>, _) = match connection.transaction_with_behavior(behavior) {
        Ok(transaction) => {
            let work = |task: Task| (task.work)(Ok(&transaction));
            let answers = tasks.into_iter().map(work).collect();
            (answers, transaction.commit())
        }
        Err(error) => {
            let work = |task: Task| (task.work)(Err(StoreError::Sql(again(&error))));
            (tasks.into_iter().map(work).collect(), Err(error))
        }
    };
    for answer in answers {
        answer(match &kept {
            Ok(()) => Ok(()),
            Err(error) => Err(StoreError::Sql(again(error))),
        });
    }
}

/// The same error for one more of those who wait.
fn again(error: &rusqlite::Error) -> rusqlite::Error {
    match error {
        rusqlite::Error::SqliteFailure(code, text) => {
            rusqlite::Error::SqliteFailure(*code, text.clone())
        }
        other => {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ERROR);
            rusqlite::Error::SqliteFailure(code, Some(other.to_string()))
        }
    }
}

/// Does all of `work` or nothing of it, whatever else is in the transaction.
fn in_savepoint<T, E: From<StoreError>>(
    transaction: &Transaction<'_>,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let mark = |statement: &str| {
        let mut statement = transaction.prepare_cached(statement)?;
        statement.execute([]).map(drop)
    };
    mark("SAVEPOINT one").map_err(StoreError::Sql)?;
    let done = work();
    if done.is_err() {
        mark("ROLLBACK TO one").map_err(StoreError::Sql)?;
    }
    mark("RELEASE one").map_err(StoreError::Sql)?;
    done
}

/// Makes the file, if it is missing, so that only its owner can read it. SQLite gives
/// the files beside it the same mode.
fn make_private(path: &Path) -> rusqlite::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let made = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path);
    made.map(drop).map_err(|error| {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN);
        rusqlite::Error::SqliteFailure(code, Some(error.to_string()))
    })
}

fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.set_prepared_statement_cache_capacity(256);
    Ok(())
}

fn migrate(
    connection: &mut Connection,
    path: &Path,
    migrations: &'static [&'static str],
) -> Result<(), StoreError> {
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > known {
        return Err(StoreError::Version {
            path: path.to_owned(),
            found,
            known,
        });
    }
    for step in migrations.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &[&str] = &["CREATE TABLE t (n INTEGER)"];
    const TWO: &[&str] = &["CREATE TABLE t (n INTEGER)", "CREATE TABLE u (n INTEGER)"];

    #[tokio::test]
    async fn a_refused_transaction_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("x"), ONE).unwrap();
        let refused: Result<(), StoreError> = store
            .write(|tx| {
                tx.execute("INSERT INTO t VALUES (1)", [])?;
                Err(StoreError::Closed)
            })
            .await;
        assert!(refused.is_err());
        let count: i64 = store
            .read(|tx| {
                Ok::<_, StoreError>(tx.query_row("SELECT count(*) FROM t", [], |r| r.get(0))?)
            })
            .await
            .unwrap();
        assert_eq!(count, 0);
    }

    #[tokio::test]
    async fn who_shares_a_commit_with_a_refused_one_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("x"), ONE).unwrap();
        // The thread is busy until all the others wait for it.
        let (go, wait) = mpsc::channel::<()>();
        let first = store.read(move |_| {
            wait.recv().unwrap();
            Ok::<_, StoreError>(())
        });
        let each = (0..200_i64).map(|number| {
            store.write(move |tx| {
                tx.execute("INSERT INTO t VALUES (?1)", [number])?;
                if number % 3 == 0 {
                    Err(StoreError::Closed)
                } else {
                    Ok(number)
                }
            })
        });
        let all = futures::future::join_all(each);
        let (first, answers, ()) = futures::join!(first, all, async { go.send(()).unwrap() });
        first.unwrap();
        let kept: Vec<i64> = answers.into_iter().flatten().collect();
        let found: Vec<i64> = store
            .read(|tx| {
                let mut query = tx.prepare("SELECT n FROM t ORDER BY n")?;
                let rows = query.query_map([], |row| row.get(0))?;
                Ok::<_, StoreError>(rows.collect::<Result<_, _>>()?)
            })
            .await
            .unwrap();
        assert_eq!(found, kept);
        assert_eq!(kept.len(), 133);
    }

    #[test]
    fn only_its_owner_can_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let _store = Store::open(&folder.path().join("x"), ONE).unwrap();
        let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert!(files.len() > 1, "the log is beside it");
        for file in files {
            let file = file.unwrap();
            let mode = file.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{:?}", file.file_name());
        }
    }

    #[test]
    fn an_older_file_is_brought_up_and_a_newer_one_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        drop(Store::open(&path, ONE).unwrap());
        drop(Store::open(&path, TWO).unwrap());
        let Err(error) = Store::open(&path, ONE) else {
            panic!("an older program opened a newer file");
        };
        assert!(matches!(
            error,
            StoreError::Version {
                found: 2,
                known: 1,
                ..
            }
        ));
        assert!(error.to_string().contains("schema version 2"));
    }
}
