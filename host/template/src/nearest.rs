//! The nearest valid name to a wrong one, for "did you mean".
//!
//! The reader uses it for keys and values; the engine and the command line for
//! component names, run ids and whatever else people type.

/// The candidate that is most like `name`, if one is like it enough that a slip of
/// the keyboard explains the difference.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = normal(name);
    candidates
        .into_iter()
        .map(|candidate| (score(&wanted, &normal(candidate)), candidate))
        .filter(|(score, _)| *score >= 0.7)
        // The first of equals wins, so that the answer depends on the table's order only.
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, candidate)| candidate)
}

/// Case and the choice between `-`, `_` and nothing are not what people get wrong.
fn normal(name: &str) -> String {
    name.chars()
        .filter(|c| !matches!(c, '-' | '_' | ' '))
        .flat_map(char::to_lowercase)
        .collect()
}

fn score(a: &str, b: &str) -> f64 {
    if a == b {
        return 2.0;
    }
    strsim::normalized_damerau_levenshtein(a, b).max({
        // `regions` for `region`, `account` for `accounts-ids`: one is the start of the other.
        let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
        if short.len() >= 3 && long.starts_with(short) {
            0.75
        } else {
            0.0
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_strangers_are_not() {
        let keys = ["name", "source", "build", "security-group", "regions"];
        assert_eq!(nearest("biuld", keys), Some("build"));
        assert_eq!(nearest("securityGroup", keys), Some("security-group"));
        assert_eq!(nearest("region", keys), Some("regions"));
        assert_eq!(nearest("zzz", keys), None);
        assert_eq!(nearest("", keys), None);
    }
}
