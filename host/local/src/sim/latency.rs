//! How long something takes: always the same, or another time each time, drawn from a
//! distribution that a seed makes come out the same again.

use rusqlite::Transaction;
use serde::{Deserialize, Serialize};

use super::plan;
use crate::state::store::StoreError;

/// Seconds that something takes: a number, `{"min": 2, "max": 5}`, in which every time is
/// as likely, or `{"median": 3, "p95": 9}`, in which few take very long, as in a cloud
/// (logarithmic normal distribution).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Latency {
    /// Always as long.
    Fixed(f64),
    /// Anything between two times.
    Uniform {
        /// The least.
        min: f64,
        /// The most.
        max: f64,
    },
    /// Half of all take less than the median, 95 of 100 less than the other.
    Skewed {
        /// In the middle.
        median: f64,
        /// What few exceed.
        p95: f64,
    },
}

impl Default for Latency {
    fn default() -> Self {
        Self::Fixed(0.0)
    }
}

impl From<f64> for Latency {
    fn from(seconds: f64) -> Self {
        Self::Fixed(seconds)
    }
}

/// How many standard deviations from the middle 95 of 100 are below.
const P95: f64 = 1.644_853_626_951_472_2;

impl Latency {
    /// Whether it can be drawn from.
    pub(super) fn is_possible(self) -> bool {
        let time = |seconds: f64| seconds.is_finite() && seconds >= 0.0;
        match self {
            Self::Fixed(seconds) => time(seconds),
            Self::Uniform { min, max } => time(min) && time(max) && min <= max,
            Self::Skewed { median, p95 } => {
                time(median) && time(p95) && 0.0 < median && median <= p95
            }
        }
    }

    /// The next time, in seconds.
    pub(super) fn draw(self, tx: &Transaction<'_>) -> Result<f64, StoreError> {
        Ok(match self {
            Self::Fixed(seconds) => seconds,
            Self::Uniform { min, max } => {
                let (one, _) = plan::luck(tx)?;
                min + (max - min) * one
            }
            Self::Skewed { median, p95 } => {
                let (one, other) = plan::luck(tx)?;
                // Box and Muller's way to a normal distribution.
                let normal = (-2.0 * one.max(f64::MIN_POSITIVE).ln()).sqrt()
                    * (std::f64::consts::TAU * other).cos();
                median * ((p95 / median).ln() / P95 * normal).exp()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_and_writes_as_itself() {
        for text in [
            "2.5",
            r#"{"min":1.0,"max":2.0}"#,
            r#"{"median":3.0,"p95":9.0}"#,
        ] {
            let latency: Latency = serde_json::from_str(text).unwrap();
            assert!(latency.is_possible(), "{text}");
            assert_eq!(serde_json::to_string(&latency).unwrap(), text);
        }
        for text in ["-1", r#"{"min":2,"max":1}"#, r#"{"median":0,"p95":1}"#] {
            let latency: Latency = serde_json::from_str(text).unwrap();
            assert!(!latency.is_possible(), "{text}");
        }
    }

    #[tokio::test]
    async fn times_are_spread_as_said_and_come_again() {
        let draw = async |latency: Latency| {
            let place = tempfile::tempdir().unwrap();
            let sim = super::super::Sim::open(
                place.path(),
                std::sync::Arc::new(crate::clock::SystemClock),
            )
            .unwrap();
            let all = move |tx: &Transaction<'_>| {
                (0..1000)
                    .map(|_| latency.draw(tx))
                    .collect::<Result<Vec<f64>, StoreError>>()
            };
            let mut times = sim.store.write(all).await.unwrap();
            times.sort_by(f64::total_cmp);
            times
        };
        let skewed = Latency::Skewed {
            median: 30.0,
            p95: 90.0,
        };
        let times = draw(skewed).await;
        assert!((27.0..33.0).contains(&times[500]), "{}", times[500]);
        assert!((75.0..110.0).contains(&times[950]), "{}", times[950]);
        assert_eq!(times, draw(skewed).await);
        let uniform = draw(Latency::Uniform { min: 2.0, max: 4.0 }).await;
        assert!(uniform[0] >= 2.0 && uniform[999] <= 4.0);
        assert!((2.9..3.1).contains(&uniform[500]), "{}", uniform[500]);
    }
}
