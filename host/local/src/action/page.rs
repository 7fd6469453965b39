//! Pages of a list, in both of ECS's ways: `PageNumber` with `PageSize`, and
//! `NextToken` with `MaxResults`.
//!
//! A token is the place of the last row handed out, so that rows which come and go
//! between two requests neither repeat nor skip others.

use darkroom_ecs::error::ErrorCode;

use crate::fault::Fault;
use crate::state::rows::Placed;

/// What a request says about pages.
#[derive(Clone, Debug, Default)]
pub(crate) struct Paging {
    pub(crate) number: Option<u32>,
    pub(crate) size: Option<u32>,
    pub(crate) max_results: Option<u32>,
    pub(crate) next_token: Option<String>,
    /// The smallest page of the second way (smaller wishes are raised).
    pub(crate) least: u32,
    /// The largest page of either way.
    pub(crate) most: u32,
}

/// One page.
#[derive(Clone, Debug)]
pub(crate) struct Page<R> {
    pub(crate) rows: Vec<R>,
    pub(crate) total: u32,
    pub(crate) number: u32,
    pub(crate) size: u32,
    /// Empty at the end.
    pub(crate) next_token: String,
}

const DEFAULT: u32 = 10;

/// Cuts a page out of all rows, which come newest first.
pub(crate) fn cut<R>(rows: Vec<Placed<R>>, paging: &Paging) -> Result<Page<R>, Fault> {
    let total = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    if paging.max_results.is_some() || paging.next_token.is_some() {
        return by_token(rows, total, paging);
    }
    let number = paging.number.unwrap_or(1);
    let size = paging.size.unwrap_or(DEFAULT);
    if number == 0 {
        return Err(Fault::invalid("PageNumber", "it begins at 1"));
    }
    if size == 0 || size > paging.most {
        let range = format!("it must be 1 to {}", paging.most);
        return Err(Fault::invalid("PageSize", &range));
    }
    let skip = usize::try_from(u64::from(number - 1) * u64::from(size)).unwrap_or(usize::MAX);
    let take = usize::try_from(size).unwrap_or(usize::MAX);
    let rows = rows.into_iter().skip(skip).take(take);
    Ok(Page {
        rows: rows.map(|placed| placed.row).collect(),
        total,
        number,
        size,
        next_token: String::new(),
    })
}

fn by_token<R>(rows: Vec<Placed<R>>, total: u32, paging: &Paging) -> Result<Page<R>, Fault> {
    let size = paging
        .max_results
        .unwrap_or(DEFAULT)
        .clamp(paging.least.max(1), paging.most);
    let below = match paging
        .next_token
        .as_deref()
        .filter(|token| !token.is_empty())
    {
        None => i64::MAX,
        Some(token) => i64::from_str_radix(token, 16).map_err(|_| {
            Fault::bad(
                ErrorCode::InvalidNextToken,
                "The specified NextToken is invalid.",
            )
        })?,
    };
    let take = usize::try_from(size).unwrap_or(usize::MAX);
    let mut rest = rows
        .into_iter()
        .filter(|placed| placed.seq < below)
        .peekable();
    let mut page = Vec::new();
    let mut last = 0;
    while page.len() < take
        && let Some(placed) = rest.next()
    {
        last = placed.seq;
        page.push(placed.row);
    }
    Ok(Page {
        rows: page,
        total,
        number: 0,
        size,
        next_token: rest
            .peek()
            .map_or_else(String::new, |_| format!("{last:016x}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(seqs: &[i64]) -> Vec<Placed<i64>> {
        seqs.iter()
            .map(|seq| Placed {
                seq: *seq,
                row: *seq,
            })
            .collect()
    }

    #[test]
    fn pages_by_number() {
        let paging = Paging {
            number: Some(2),
            size: Some(2),
            most: 100,
            ..Paging::default()
        };
        let page = cut(rows(&[5, 4, 3, 2, 1]), &paging).unwrap();
        assert_eq!((page.rows, page.total, page.number), (vec![3, 2], 5, 2));
        let zero = Paging {
            number: Some(0),
            most: 100,
            ..Paging::default()
        };
        assert!(cut(rows(&[1]), &zero).is_err());
        let much = Paging {
            size: Some(101),
            most: 100,
            ..Paging::default()
        };
        assert!(
            cut(rows(&[1]), &much)
                .unwrap_err()
                .message
                .contains("PageSize")
        );
    }

    #[test]
    fn pages_by_token_survive_changes_in_between() {
        let mut paging = Paging {
            max_results: Some(2),
            most: 100,
            ..Paging::default()
        };
        let first = cut(rows(&[5, 4, 3, 2, 1]), &paging).unwrap();
        assert_eq!(first.rows, [5, 4]);
        paging.next_token = Some(first.next_token);
        // 6 has come, 4 and 3 have gone.
        let second = cut(rows(&[6, 5, 2, 1]), &paging).unwrap();
        assert_eq!(second.rows, [2, 1]);
        assert_eq!(second.next_token, "");
        paging.next_token = Some("not a token".into());
        assert_eq!(
            cut(rows(&[1]), &paging).unwrap_err().code,
            ErrorCode::InvalidNextToken
        );
    }

    #[test]
    fn small_wishes_are_raised() {
        let paging = Paging {
            max_results: Some(1),
            least: 10,
            most: 100,
            ..Paging::default()
        };
        assert_eq!(cut(rows(&[3, 2, 1]), &paging).unwrap().rows.len(), 3);
    }
}
