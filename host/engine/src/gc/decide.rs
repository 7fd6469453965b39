//! What becomes of each thing that was found: a pure function of what it says, of the own
//! journal and of the time.

use std::collections::BTreeMap;

use darkroom_journal::RunId;
use jiff::{SignedDuration, Timestamp};

use super::survey::{Found, Survey};
use super::{Fate, Item, Scope, Standing};
use crate::cloud::Pace;

/// How long a layer is left that nobody asks to go.
const LAYERS: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Decides, and puts what goes first first.
pub(super) fn items(
    survey: Survey,
    known: &BTreeMap<RunId, Standing>,
    now: Timestamp,
    pace: Pace,
    scope: &Scope,
) -> Vec<Item> {
    let mut leases: BTreeMap<RunId, Timestamp> = BTreeMap::new();
    let own = survey
        .found
        .iter()
        .map(|one| (one.run.clone(), implied(&one.run, pace)));
    for (run, end) in survey.leases.into_iter().chain(own) {
        let lease = leases.entry(run).or_insert(end);
        *lease = end.max(*lease);
    }
    let here = |one: &Found| scope.region.as_ref().is_none_or(|only| *only == one.region);
    let found = survey.found.into_iter().filter(here);
    let mut items: Vec<Item> = found
        .map(|one| {
            let lease = leases.get(&one.run).copied();
            let standing = known.get(&one.run).copied();
            let (fate, why, until) = fate(&one, standing, lease, now, scope);
            Item {
                run: one.run,
                region: one.region,
                what: one.what,
                id: one.id,
                fate,
                why,
                until,
            }
        })
        .collect();
    items.sort_by(|a, b| {
        let key = |item: &Item| (item.what, item.region.to_string(), item.id.clone());
        key(a).cmp(&key(b))
    });
    items
}

/// A run that has only just begun may not have written a lease yet.
fn implied(run: &RunId, pace: Pace) -> Timestamp {
    let begun = run.begun().unwrap_or(Timestamp::MIN);
    let length = SignedDuration::try_from(pace.lease).unwrap_or(SignedDuration::MAX);
    begun.checked_add(length).unwrap_or(Timestamp::MAX)
}

fn fate(
    one: &Found,
    standing: Option<Standing>,
    lease: Option<Timestamp>,
    now: Timestamp,
    scope: &Scope,
) -> (Fate, String, Option<Timestamp>) {
    let leave = |why: String| (Fate::Leave, why, None);
    let run = &one.run;
    let aged = one.layer.as_ref();
    let aged = aged.map(|(template, made)| (template, now.duration_since(*made)));
    let aged = aged.filter(|(_, age)| scope.layers || *age > LAYERS);
    if let Some(why) = one.published.as_ref().filter(|_| aged.is_none()) {
        return leave(why.clone());
    }
    match standing {
        Some(Standing::Driven(pid)) => return leave(format!("process {pid} drives its run")),
        Some(Standing::Interrupted) => {
            return leave(format!(
                "its run was interrupted: `darkroom resume {run}` goes on with it, `darkroom runs cancel {run}` clears it away"
            ));
        }
        Some(Standing::Kept) => {
            return leave(format!(
                "its run has kept it: `darkroom runs cleanup {run}` clears it away"
            ));
        }
        Some(Standing::Ended) | None => {}
    }
    let lease = lease.filter(|_| standing.is_none());
    if let Some(end) = lease.filter(|end| *end > now) {
        let why = format!("somebody else's run may be using it until {end:.0}");
        return (Fate::Leave, why, Some(end));
    }
    let young = scope.older_than.is_some_and(|age| {
        let begun = run.begun().unwrap_or(now);
        now.duration_since(begun) < age
    });
    if young {
        return leave("its run is younger than was asked for".into());
    }
    if let Some((template, age)) = aged {
        let days = age.as_hours() / 24;
        let why =
            format!("it is a layer of {template}, {days} days old: a build can do without it");
        return (Fate::Remove, why, None);
    }
    let why = match (standing, lease) {
        (Some(_), _) => "its run has ended".to_owned(),
        (None, Some(end)) => format!("nobody has renewed its lease, which ended {end:.0}"),
        (None, None) => "it has no lease".to_owned(),
    };
    (Fate::Remove, why, None)
}

#[cfg(test)]
mod tests {
    use super::super::What;
    use super::*;

    const RUN: &str = "260301-000000-aaaaaa";

    fn found(what: What) -> Found {
        Found {
            run: RUN.parse().unwrap(),
            region: "cn-hangzhou".parse().unwrap(),
            what,
            id: "x-1".into(),
            published: None,
            layer: None,
        }
    }

    fn decide(
        found: Vec<Found>,
        lease: Option<&str>,
        standing: Option<Standing>,
        now: &str,
        scope: &Scope,
    ) -> Vec<Item> {
        let leases = lease.map(|text| (RUN.parse().unwrap(), text.parse().unwrap()));
        let leases = leases.into_iter().collect();
        let known = standing.map(|one| (RUN.parse().unwrap(), one));
        let survey = Survey { found, leases };
        let known = known.into_iter().collect();
        items(survey, &known, now.parse().unwrap(), Pace::REMOTE, scope)
    }

    fn fates(items: &[Item]) -> Vec<Fate> {
        items.iter().map(|item| item.fate).collect()
    }

    #[test]
    fn a_lease_on_anything_holds_all_of_the_run() {
        let found = || vec![found(What::Network), found(What::Instance)];
        let lease = Some("2026-03-01T05:00:00Z");
        let all = Scope::default();
        let before = decide(found(), lease, None, "2026-03-01T04:59:00Z", &all);
        assert_eq!(fates(&before), [Fate::Leave, Fate::Leave]);
        assert!(before[0].why.contains("until 2026-03-01T05:00:00Z"));
        let after = decide(found(), lease, None, "2026-03-01T05:01:00Z", &all);
        assert_eq!(fates(&after), [Fate::Remove, Fate::Remove]);
        // Instances go first: a network can't go before them.
        assert_eq!(after[0].what, What::Instance);
    }

    #[test]
    fn a_run_that_has_just_begun_is_left() {
        let all = Scope::default();
        let at = |now| decide(vec![found(What::Network)], None, None, now, &all);
        assert_eq!(fates(&at("2026-03-01T00:40:00Z")), [Fate::Leave]);
        assert_eq!(fates(&at("2026-03-01T00:46:00Z")), [Fate::Remove]);
    }

    #[test]
    fn the_own_journal_is_believed_before_a_lease() {
        let late = Some("2026-03-02T00:00:00Z");
        let all = Scope::default();
        let with = |standing| {
            let one = vec![found(What::Instance)];
            fates(&decide(
                one,
                late,
                Some(standing),
                "2026-03-01T05:00:00Z",
                &all,
            ))
        };
        assert_eq!(with(Standing::Ended), [Fate::Remove]);
        assert_eq!(with(Standing::Driven(7)), [Fate::Leave]);
        assert_eq!(with(Standing::Kept), [Fate::Leave]);
        assert_eq!(with(Standing::Interrupted), [Fate::Leave]);
    }

    #[test]
    fn what_is_published_or_young_or_elsewhere_is_left() {
        let now = "2026-03-01T05:00:00Z";
        let mut image = found(What::Image);
        image.published = Some("it is released".into());
        let items = decide(
            vec![image],
            None,
            Some(Standing::Ended),
            now,
            &Scope::default(),
        );
        assert_eq!(fates(&items), [Fate::Leave]);
        let scope = Scope {
            older_than: Some(SignedDuration::from_hours(6)),
            ..Scope::default()
        };
        let items = decide(vec![found(What::Instance)], None, None, now, &scope);
        assert_eq!(fates(&items), [Fate::Leave]);
        let scope = Scope {
            region: Some("cn-beijing".parse().unwrap()),
            ..Scope::default()
        };
        assert!(decide(vec![found(What::Instance)], None, None, now, &scope).is_empty());
    }

    #[test]
    fn a_layer_stays_for_a_month_unless_layers_are_asked_for() {
        let layer = || Found {
            published: Some("builds of web begin from it".into()),
            layer: Some(("web".into(), "2026-03-01T00:00:00Z".parse().unwrap())),
            ..found(What::Image)
        };
        let all = Scope::default();
        let with = |now, standing, scope: &Scope| {
            let items = decide(vec![layer()], None, standing, now, scope);
            (items[0].fate, items[0].why.clone())
        };
        let young = "2026-03-30T00:00:00Z";
        let why = "builds of web begin from it".to_owned();
        assert_eq!(with(young, None, &all), (Fate::Leave, why));
        let old = with("2026-04-01T00:00:00Z", Some(Standing::Ended), &all);
        let why = "it is a layer of web, 31 days old: a build can do without it";
        assert_eq!(old, (Fate::Remove, why.to_owned()));
        let layers = Scope {
            layers: true,
            ..Scope::default()
        };
        assert_eq!(with(young, None, &layers).0, Fate::Remove);
        // The run that has made it may be about to begin from it again.
        let driven = Some(Standing::Driven(7));
        assert_eq!(with(young, driven, &layers).0, Fate::Leave);
    }
}
