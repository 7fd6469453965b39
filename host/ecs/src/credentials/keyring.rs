//! The keys that a client signs with: the same ones for good, or temporary ones that are
//! asked for again before they end.
//!
//! [`Client`](crate::client::Client) asks its [`Keyring`] before each attempt. A keyring of
//! temporary keys holds what its [`Source`] granted last, and asks again when less than
//! [`MARGIN`] of it is left. Of callers that come at the same time one asks and the others
//! wait for its answer. Where keys come from is the source's business; nothing is kept on a
//! disk, so that a process that takes up a run asks anew.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::lock::Mutex;
use jiff::{SignedDuration, Timestamp};

use super::Credentials;
use crate::client::Now;

/// Keys are asked for again when they last no longer than this: the official clients'
/// figure. It covers a call and its repetitions.
pub const MARGIN: SignedDuration = SignedDuration::from_mins(3);

/// After a failed attempt to renew keys that still hold, they are used this long before the
/// next, so that a service that is down does not slow every call.
const PAUSE: SignedDuration = SignedDuration::from_secs(20);

/// Credentials and how long they hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The credentials.
    pub credentials: Credentials,
    /// When they end; `None` for those that don't, or of which nobody says.
    pub expires: Option<Timestamp>,
}

/// Why a source granted no keys.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{source_name} gave no keys: {problem}")]
pub struct KeyError {
    /// The source, such as `role acs:ram::1:role/builder`.
    pub source_name: String,
    /// What happened. Never holds a secret.
    pub problem: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether asking again may help: it could not be reached, or was too busy.
    pub passing: bool,
}

/// Grants keys.
#[async_trait]
pub trait Source: Send + Sync {
    /// Asks for keys. `now` is the time by which their end is judged.
    async fn grant(&self, now: Timestamp) -> Result<Granted, KeyError>;

    /// Where its keys come from, for people: `the environment`, `profile 'work' of …`.
    fn describe(&self) -> String;
}

/// Answers with the keys to sign with. Cheap to clone; clones share what they hold.
#[derive(Clone)]
pub struct Keyring {
    inner: Arc<Inner>,
}

enum Inner {
    Fixed(Credentials),
    Renewed {
        source: Arc<dyn Source>,
        now: Now,
        held: Mutex<Held>,
    },
}

#[derive(Default)]
struct Held {
    granted: Option<Granted>,
    /// Not before then is asked for others than `granted`.
    not_before: Option<Timestamp>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.inner {
            Inner::Fixed(credentials) => write!(f, "Keyring({credentials:?})"),
            Inner::Renewed { source, .. } => write!(f, "Keyring(from {})", source.describe()),
        }
    }
}

impl From<Credentials> for Keyring {
    fn from(credentials: Credentials) -> Self {
        Self {
            inner: Arc::new(Inner::Fixed(credentials)),
        }
    }
}

impl Keyring {
    /// Keys of a source, asked for when they are first needed.
    pub fn renewed(source: Arc<dyn Source>, now: Now) -> Self {
        let held = Mutex::default();
        Self {
            inner: Arc::new(Inner::Renewed { source, now, held }),
        }
    }

    /// Whose keys these are, without any secret: the id of fixed ones, or where others come
    /// from.
    pub fn identity(&self) -> String {
        match &*self.inner {
            Inner::Fixed(credentials) => credentials.access_key_id.clone(),
            Inner::Renewed { source, .. } => source.describe(),
        }
    }

    /// The credentials to sign a call with now.
    ///
    /// # Errors
    /// None are held that are still good, and the source grants none.
    pub async fn credentials(&self) -> Result<Credentials, KeyError> {
        let (source, now, held) = match &*self.inner {
            Inner::Fixed(credentials) => return Ok(credentials.clone()),
            Inner::Renewed { source, now, held } => (source, now, held),
        };
        // Held while the source is asked: that is how others wait for its answer.
        let mut held = held.lock().await;
        let now = now();
        let left = held.left(now);
        let paused = held.not_before.is_some_and(|then| now < then);
        if let Some(granted) = &held.granted
            && (left > MARGIN || (left > SignedDuration::ZERO && paused))
        {
            return Ok(granted.credentials.clone());
        }
        match source.grant(now).await {
            Ok(granted) => {
                let credentials = granted.credentials.clone();
                tracing::debug!(source = source.describe(), key = credentials.access_key_id, expires = ?granted.expires, "got keys");
                *held = Held {
                    granted: Some(granted),
                    not_before: None,
                };
                Ok(credentials)
            }
            Err(error) => match &held.granted {
                Some(granted) if left > SignedDuration::ZERO => {
                    tracing::warn!(%error, "the keys could not be renewed; they hold for another {left:#}");
                    let credentials = granted.credentials.clone();
                    held.not_before = Some(now + PAUSE);
                    Ok(credentials)
                }
                _ => Err(error),
            },
        }
    }

    /// When what is held ends; `None` for keys of which nobody says, and before any were
    /// asked for.
    pub async fn expires(&self) -> Option<Timestamp> {
        match &*self.inner {
            Inner::Fixed(_) => None,
            Inner::Renewed { held, .. } => held.lock().await.granted.as_ref()?.expires,
        }
    }

    /// Takes note that the cloud says that credentials have ended, whatever time they were
    /// given. Answers whether it is worth asking for others.
    pub async fn ended(&self, used: &Credentials) -> bool {
        let Inner::Renewed { held, .. } = &*self.inner else {
            return false;
        };
        let mut held = held.lock().await;
        // Another caller may have renewed them meanwhile.
        if held
            .granted
            .as_ref()
            .is_some_and(|granted| granted.credentials == *used)
        {
            *held = Held::default();
        }
        true
    }
}

impl Held {
    /// How long what is held is still good.
    fn left(&self, now: Timestamp) -> SignedDuration {
        match &self.granted {
            None => SignedDuration::ZERO,
            Some(granted) => granted
                .expires
                .map_or(SignedDuration::MAX, |expires| now.duration_until(expires)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

    use super::*;
    use crate::credentials::Secret;

    /// Grants keys `1`, `2`, … of an hour each, unless it is down.
    struct Counting {
        asked: AtomicUsize,
        down: AtomicUsize,
    }

    #[async_trait]
    impl Source for Counting {
        async fn grant(&self, now: Timestamp) -> Result<Granted, KeyError> {
            let asked = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
            // Others must find it at work.
            tokio::task::yield_now().await;
            if self.down.load(Ordering::SeqCst) > 0 {
                return Err(KeyError {
                    source_name: self.describe(),
                    problem: "down".into(),
                    hint: None,
                    passing: true,
                });
            }
            Ok(Granted {
                credentials: Credentials {
                    access_key_id: asked.to_string(),
                    access_key_secret: Secret::new("hush"),
                    security_token: Some(Secret::new("hush")),
                },
                expires: Some(now + SignedDuration::from_hours(1)),
            })
        }

        fn describe(&self) -> String {
            "a test".into()
        }
    }

    fn counting() -> (Arc<Counting>, Arc<AtomicI64>, Keyring) {
        let source = Arc::new(Counting {
            asked: AtomicUsize::new(0),
            down: AtomicUsize::new(0),
        });
        let clock = Arc::new(AtomicI64::new(1_000_000));
        let read = Arc::clone(&clock);
        let now: Now = Arc::new(move || {
            Timestamp::from_second(read.load(Ordering::SeqCst)).unwrap_or_default()
        });
        let keyring = Keyring::renewed(Arc::clone(&source) as _, now);
        (source, clock, keyring)
    }

    async fn key(keyring: &Keyring) -> String {
        keyring.credentials().await.unwrap().access_key_id
    }

    #[tokio::test]
    async fn keys_are_held_until_shortly_before_their_end() {
        let (_, clock, keyring) = counting();
        assert_eq!(key(&keyring).await, "1");
        clock.fetch_add(3600 - 181, Ordering::SeqCst);
        assert_eq!(key(&keyring).await, "1");
        clock.fetch_add(1, Ordering::SeqCst);
        assert_eq!(key(&keyring).await, "2");
    }

    #[tokio::test]
    async fn of_many_callers_one_asks() {
        let (source, _, keyring) = counting();
        let callers = (0..50).map(|_| {
            let keyring = keyring.clone();
            tokio::spawn(async move { key(&keyring).await })
        });
        for caller in callers.collect::<Vec<_>>() {
            assert_eq!(caller.await.unwrap(), "1");
        }
        assert_eq!(source.asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn keys_that_still_hold_outlive_a_source_that_is_down() {
        let (source, clock, keyring) = counting();
        assert_eq!(key(&keyring).await, "1");
        source.down.store(1, Ordering::SeqCst);
        clock.fetch_add(3500, Ordering::SeqCst);
        for _ in 0..5 {
            assert_eq!(key(&keyring).await, "1");
        }
        // Asked once at the start and once at the first of the five.
        assert_eq!(source.asked.load(Ordering::SeqCst), 2);
        clock.fetch_add(100, Ordering::SeqCst);
        let error = keyring.credentials().await.unwrap_err();
        assert_eq!(error.to_string(), "a test gave no keys: down");
        source.down.store(0, Ordering::SeqCst);
        assert_eq!(key(&keyring).await, "4");
    }

    #[tokio::test]
    async fn keys_that_the_cloud_refuses_are_forgotten_once() {
        let (source, _, keyring) = counting();
        let first = keyring.credentials().await.unwrap();
        assert!(keyring.ended(&first).await);
        assert_eq!(key(&keyring).await, "2");
        // A caller that was slower says so of the same keys.
        assert!(keyring.ended(&first).await);
        assert_eq!(key(&keyring).await, "2");
        assert_eq!(source.asked.load(Ordering::SeqCst), 2);
        let fixed = Keyring::from(first.clone());
        assert!(!fixed.ended(&first).await);
        assert!(!format!("{keyring:?} {fixed:?} {first:?}").contains("hush"));
    }
}
