//! How much longer than its cloud a build takes, and how often it asks, on the simulation
//! and in simulated time; beside it what a client needs that asks every 5 seconds, as
//! Packer does.
//!
//! `cargo bench -p darkroom-tests --bench waiting`; `DARKROOM_BUILDS=N` for another number
//! of builds at once.
#![expect(clippy::print_stdout, reason = "a benchmark speaks to a person")]

use darkroom_tests::waiting::{Figures, Latencies, Network, many, one_by_one, random};

#[expect(clippy::cast_precision_loss, reason = "a number of calls is small")]
fn float(count: usize) -> f64 {
    count as f64
}

fn known(network: Network) {
    let latencies = Latencies {
        start: 3.0,
        stop: 2.0,
        image: 5.0,
    };
    let sum = latencies.sum();
    let (packer, calls) = latencies.each_5_seconds();
    println!("start 3 s (twice), stop 2 s, image 5 s: {sum:.1} s of cloud; network: {network:?}");
    let line = |name: &str, seconds: f64, describes: f64| {
        let over = 100.0 * (seconds / sum - 1.0);
        println!("  {name:<22} {seconds:>7.2} s  {over:>+6.1} %  {describes:>4} Describe calls");
    };
    line("asking each 5 s", packer, calls);
    let builds = one_by_one(&[latencies; 5], network);
    for (number, figures) in builds.iter().enumerate() {
        let name = format!("build {}", number + 1);
        line(&name, figures.seconds, float(figures.describes));
    }
    let least = |of: &dyn Fn(&Figures) -> f64| builds.iter().map(of).fold(f64::MAX, f64::min);
    let seconds = least(&|one| one.seconds);
    let describes = least(&|one| float(one.describes));
    line("minimum of 5", seconds, describes);
    println!(
        "  ratio to the sum {:.3} (at most 1.03), Describe calls {describes} (at most 30)",
        seconds / sum
    );
}

fn unknown() {
    let all = random(50, 2026);
    let figures = one_by_one(&all, Network::Named);
    let mean = |of: &dyn Fn(&Latencies, &Figures) -> f64| {
        let each = all.iter().zip(&figures).map(|(one, made)| of(one, made));
        each.sum::<f64>() / float(all.len())
    };
    let sum = mean(&|one, _| one.sum());
    let over = mean(&|one, made| made.seconds - one.sum());
    println!("50 builds, each latency 1 to 12 s at random: {sum:.1} s of cloud on average");
    println!(
        "  asking each 5 s        {:>+7.2} s  {:>6.1} Describe calls",
        mean(&|one, _| one.each_5_seconds().0 - one.sum()),
        mean(&|one, _| one.each_5_seconds().1),
    );
    println!(
        "  darkroom               {over:>+7.2} s ({:+.1} %)  {:>6.1} Describe calls",
        100.0 * over / sum,
        mean(&|_, made| float(made.describes)),
    );
}

fn crowd() {
    let count = std::env::var("DARKROOM_BUILDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1000);
    let many = many(count);
    let number = float(count);
    println!(
        "{count} builds at once, {:.0} s each",
        many.seconds / number
    );
    println!(
        "  polls a build          {:>8.2}, asking each 5 s {:.1}: 1/{:.0}",
        float(usize::try_from(many.polls).unwrap_or(usize::MAX)) / number,
        many.seconds / number / 5.0,
        many.ratio(),
    );
    let all: usize = many.calls.values().sum();
    println!("  calls a build          {:>8.2}", float(all) / number);
    for (action, calls) in &many.calls {
        println!("    {action:<30} {:>8.2}", float(*calls) / number);
    }
}

fn main() {
    known(Network::Named);
    known(Network::Temporary);
    unknown();
    crowd();
}
