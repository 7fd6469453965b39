//! What goes wrong in a schedule: drawn from a seed, printed as JSON, played again.

use std::collections::BTreeMap;

use darkroom_local::fault_plan::{FaultKind, FaultRule};
use darkroom_local::sim::Rule;
use darkroom_local::state::stock::Stock;
use serde::{Deserialize, Serialize};

/// What goes wrong, and how many builds there are at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What it was drawn from; the cloud's luck follows from it too.
    pub seed: u64,
    /// Builds at once.
    pub builds: u32,
    /// What goes wrong.
    pub mishaps: Vec<Mishap>,
}

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mishap {
    /// Requests or jobs of the cloud fail.
    Fault(FaultRule),
    /// Instances are sold out.
    SoldOut(Stock),
    /// Something takes longer.
    Slow {
        /// What, as `latencies` names it.
        what: String,
        /// How long.
        seconds: f64,
    },
    /// A command fails, or its instance reboots or dies under it.
    Command(Rule),
    /// The credentials of some requests have expired.
    Expired {
        /// How many requests there are before.
        after: u64,
        /// How many there are of those.
        requests: u64,
    },
    /// Time passes at once.
    Jump {
        /// After how many points and requests.
        after: u64,
        /// How much.
        seconds: u64,
    },
    /// The process dies; the next of these is the next life's.
    Crash {
        /// After how many points and requests.
        after: u64,
    },
}

impl Mishap {
    /// What kind of thing it is, for a table.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Fault(rule) => match rule.fault {
                FaultKind::ServerError => "server error",
                FaultKind::Throttle { .. } => "throttling",
                FaultKind::Refuse { .. } => "refusal",
                FaultKind::Answer { .. } => "planted answer",
                FaultKind::LoseRequest => "lost request",
                FaultKind::LoseResponse => "lost response",
                FaultKind::Delay(_) => "delay",
                FaultKind::DelayResponse(_) => "late response",
                FaultKind::Fail => "failed job",
                FaultKind::Stuck => "stuck job",
            },
            Self::SoldOut(_) => "no stock",
            Self::Slow { what, seconds } if what == "agent" && *seconds > NEVER / 2.0 => "no agent",
            Self::Slow { what, .. } if what == "agent" => "late agent",
            Self::Slow { .. } => "slow cloud",
            Self::Command(rule) if rule.power_off => "instance dies",
            Self::Command(rule) if rule.reboot => "instance reboots",
            Self::Command(_) => "failed command",
            Self::Expired { .. } => "expired credentials",
            Self::Jump { .. } => "clock jump",
            Self::Crash { .. } => "crash",
        }
    }
}

/// Seconds that nobody waits for.
const NEVER: f64 = 1e7;

/// Actions on which something special happens.
const ACTIONS: [&str; 16] = [
    "RunInstances",
    "CreateVpc",
    "CreateVSwitch",
    "CreateSecurityGroup",
    "RunCommand",
    "SendFile",
    "RebootInstance",
    "StopInstance",
    "CreateImage",
    "CopyImage",
    "ModifyImageSharePermission",
    "ModifyImageAttribute",
    "TagResources",
    "DeleteInstance",
    "DeleteVSwitch",
    "DeleteVpc",
];

/// Jobs that can go wrong.
const JOBS: [&str; 5] = ["create-image", "copy-image", "start", "stop", "reboot"];

/// What can be slow.
const SLOW: [&str; 6] = ["start", "stop", "reboot", "image", "copy", "command"];

/// Parts of a build by the marks in their scripts.
const PARTS: [&str; 4] = ["repair/", "build/", "image/", "test/"];

impl Plan {
    /// Draws a plan.
    pub fn draw(seed: u64) -> Self {
        let mut luck = Luck(seed);
        let builds = match luck.below(4) {
            0 => 2,
            1 if luck.below(3) == 0 => 3,
            _ => 1,
        };
        let faults = 1 + luck.below(5);
        let mut mishaps: Vec<_> = (0..faults).map(|_| luck.mishap()).collect();
        for _ in 0..luck.below(5) {
            let most = if luck.below(3) == 0 { 400 } else { 60 };
            let after = 1 + luck.below(most);
            mishaps.push(Mishap::Crash { after });
        }
        Self {
            seed,
            builds,
            mishaps,
        }
    }

    /// How many there are of each kind.
    pub fn kinds(&self) -> BTreeMap<&'static str, u64> {
        let mut kinds = BTreeMap::new();
        for mishap in &self.mishaps {
            *kinds.entry(mishap.kind()).or_default() += 1;
        }
        kinds
    }
}

/// Numbers that follow from a seed (splitmix64).
struct Luck(u64);

impl Luck {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        mixed % limit.max(1)
    }

    fn few(&mut self, limit: u64) -> u32 {
        u32::try_from(self.below(limit)).unwrap_or_default()
    }

    fn seconds(&mut self, limit: u64) -> f64 {
        f64::from(self.few(limit))
    }

    fn one_of(&mut self, all: &[&str]) -> String {
        let index = usize::try_from(self.below(all.len().try_into().unwrap_or(1)));
        let found = index.ok().and_then(|index| all.get(index));
        found.copied().unwrap_or_default().to_owned()
    }

    fn mishap(&mut self) -> Mishap {
        match self.below(20) {
            0 | 1 => self.often(FaultKind::Throttle {
                retry_after: Some(500),
            }),
            2 => self.often(FaultKind::Throttle { retry_after: None }),
            3 | 4 => self.often(FaultKind::ServerError),
            5 | 6 => self.at(FaultKind::LoseResponse),
            7 => self.often(FaultKind::LoseRequest),
            8 => {
                let seconds = self.seconds(40);
                let late = self.below(2) == 0;
                self.at(if late {
                    FaultKind::DelayResponse(seconds)
                } else {
                    FaultKind::Delay(seconds)
                })
            }
            9 => self.at(FaultKind::Refuse {
                status: 403,
                code: "Forbidden.RAM".into(),
                message: "as a plan wants it".into(),
            }),
            10 => self.job(FaultKind::Fail),
            11 => self.job(FaultKind::Stuck),
            12 => {
                let seconds = self.seconds(900);
                self.job(FaultKind::Delay(seconds))
            }
            13 => self.sold_out(),
            14 => {
                let seconds = if self.below(2) == 0 {
                    NEVER
                } else {
                    self.seconds(400)
                };
                let what = "agent".into();
                Mishap::Slow { what, seconds }
            }
            15 => Mishap::Slow {
                what: self.one_of(&SLOW),
                seconds: self.seconds(600),
            },
            16 | 17 => self.command(),
            18 => Mishap::Expired {
                after: self.below(120),
                requests: 1 + self.below(60),
            },
            _ => Mishap::Jump {
                after: 1 + self.below(200),
                seconds: 1 + self.below(6 * 3600),
            },
        }
    }

    /// Something that happens to any request now and then.
    fn often(&mut self, fault: FaultKind) -> Mishap {
        Mishap::Fault(FaultRule {
            action: Some("*".into()),
            after: self.few(30),
            times: Some(1 + self.few(12)),
            chance: Some(0.1 + self.seconds(9) / 10.0),
            fault,
            ..FaultRule::default()
        })
    }

    /// Something that happens to one action, once or twice.
    fn at(&mut self, fault: FaultKind) -> Mishap {
        Mishap::Fault(FaultRule {
            action: Some(self.one_of(&ACTIONS)),
            after: self.few(3),
            times: Some(1 + self.few(2)),
            fault,
            ..FaultRule::default()
        })
    }

    fn job(&mut self, fault: FaultKind) -> Mishap {
        Mishap::Fault(FaultRule {
            job: Some(self.one_of(&JOBS)),
            after: self.few(2),
            times: Some(1),
            fault,
            ..FaultRule::default()
        })
    }

    fn sold_out(&mut self) -> Mishap {
        let zones = ["cn-hangzhou-a", "cn-hangzhou-b"];
        let everywhere = self.below(3) == 0;
        Mishap::SoldOut(Stock {
            region: None,
            zone: (!everywhere).then(|| self.one_of(&zones)),
            instance_type: None,
            available: false,
        })
    }

    fn command(&mut self) -> Mishap {
        let what = self.below(3);
        Mishap::Command(Rule {
            pattern: format!("# darkroom {}", self.one_of(&PARTS)),
            exit_code: i32::from(what == 0),
            times: Some(1),
            reboot: what == 1,
            power_off: what == 2,
            ..Rule::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_plan_and_all_kinds_are_drawn() {
        assert_eq!(Plan::draw(7), Plan::draw(7));
        let mut kinds: BTreeMap<_, u64> = BTreeMap::new();
        for seed in 0..500 {
            let plan = Plan::draw(seed);
            let text = serde_json::to_string(&plan).unwrap();
            assert_eq!(plan, serde_json::from_str(&text).unwrap());
            for (kind, count) in plan.kinds() {
                *kinds.entry(kind).or_default() += count;
            }
        }
        assert_eq!(kinds.len(), 19, "{kinds:?}");
    }
}
