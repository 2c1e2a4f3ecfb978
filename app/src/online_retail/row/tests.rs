//! Cells: what is read and how.

use super::{number, time};

#[test]
fn times_are_month_first_without_padding() {
    let check = |text: &str, expected: &str| {
        let shown = time(text).map_or_else(|| "none".to_owned(), |at| at.to_string());
        assert_eq!(shown, expected, "{text}");
    };
    check("12/1/2010 8:26", "2010-12-01T08:26:00Z");
    check("1/31/2011 23:59", "2011-01-31T23:59:00Z");
    check("2/29/2012 0:00", "2012-02-29T00:00:00Z");
    check("2/29/2011 0:00", "none");
    check("31/1/2011 8:26", "none");
    check("12/1/2010 24:00", "none");
    check("12/1/2010 8:26:00", "none");
    check("12/1/2010", "none");
    check("12/1/2010  8:26", "none");
    check("-1/1/2010 8:26", "none");
    check("٣/1/2010 8:26", "none");
}

#[test]
fn numbers_of_dates_are_one_to_four_plain_digits() {
    assert_eq!(number("0008"), Some(8));
    assert_eq!([number(""), number("+1"), number("12345"), number(" 1")], [None; 4]);
}
