//! A build is hardly slower than its cloud, and many builds ask hardly more often than
//! one. In simulated time, which nothing but the cloud's latencies moves.
#![expect(clippy::print_stdout, reason = "a tier that did not run says so")]

use darkroom_tests::waiting::{Latencies, Network, many, one_by_one, random};

#[test]
fn a_cloud_that_is_known_is_met_on_time_with_few_calls() {
    let latencies = Latencies {
        start: 3.0,
        stop: 2.0,
        image: 5.0,
    };
    for network in [Network::Named, Network::Temporary] {
        let figures = one_by_one(&[latencies; 5], network);
        for one in &figures {
            println!(
                "{network:?}: {:.2} s of {}, {one:?}",
                one.seconds,
                latencies.sum()
            );
        }
        let good = figures
            .iter()
            .any(|one| one.seconds <= 1.03 * latencies.sum() && one.describes <= 30);
        assert!(good, "{network:?}: {figures:?}");
        // Nobody knows anything of the first, which is still sooner than every 5 seconds.
        assert!(figures[0].seconds <= latencies.each_5_seconds().0);
    }
}

#[test]
fn an_unknown_cloud_is_met_almost_on_time() {
    let all = random(if long() { 50 } else { 8 }, 2026);
    let figures = one_by_one(&all, Network::Named);
    let sum: f64 = all.iter().map(|one| one.sum()).sum();
    let seconds: f64 = figures.iter().map(|one| one.seconds).sum();
    let calls: usize = figures.iter().map(|one| one.describes).sum();
    let count = f64::from(u32::try_from(all.len()).unwrap_or(u32::MAX));
    let over = (seconds - sum) / count;
    println!(
        "{:.1} s on average, {over:.2} s more, {calls} Describe calls in {count} builds",
        sum / count
    );
    assert!(over <= 0.4_f64.max(0.03 * sum / count), "{over}");
}

#[test]
fn many_builds_share_their_polls() {
    // What a thousand do is tried in `host/engine/src/waiter/crowd.rs` too, without a cloud.
    // A few may use the account's rate up, to wait less.
    let (count, least) = if long() { (1000, 20.0) } else { (15, 0.9) };
    let many = many(count);
    println!(
        "{count} builds: {} polls, 1/{:.0} of one each 5 s; {:?}",
        many.polls,
        many.ratio(),
        many.calls
    );
    assert!(many.ratio() >= least, "{}", many.ratio());
}

/// Whether tests are as long as they can be.
fn long() -> bool {
    let long = std::env::var_os("DARKROOM_LONG").is_some_and(|long| long == "1");
    if !long {
        println!("long tier: 50 random clouds, 1000 builds at once");
    }
    long
}
