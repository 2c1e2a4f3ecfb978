//! Each text that the databases are known to give, and what follows from it.

use super::{Trouble, by_text, one_line};

#[test]
fn each_text_leads_to_what_can_be_done_about_it() {
    let check = |text: &str, expected: Trouble| assert_eq!(by_text(text), expected, "{text}");
    check("database or disk is full", Trouble::Full);
    check("could not extend file \"base/1/2\": No space left on device", Trouble::Full);
    check("attempt to write a readonly database", Trouble::ReadOnly);
    check("cannot execute INSERT in a read-only transaction", Trouble::ReadOnly);
    check("disk I/O error", Trouble::Disk);
    check("unable to open database file", Trouble::Disk);
    check("database disk image is malformed", Trouble::Corrupt);
    check("file is not a database", Trouble::Corrupt);
    check("database is locked", Trouble::Busy);
    check("deadlock detected", Trouble::Collision);
    check("canceling statement due to statement timeout", Trouble::Slow);
    check("canceling statement due to lock timeout", Trouble::Slow);
    check("canceling statement due to user request", Trouble::Slow);
    check("server closed the connection unexpectedly", Trouble::Lost);
    check("terminating connection due to administrator command", Trouble::Lost);
    check("no such table: stock", Trouble::Bug);
    check("syntax error at or near \"SELEC\"", Trouble::Bug);
}

#[test]
fn a_message_of_several_lines_becomes_one() {
    assert_eq!(
        one_line("connection failed\n\tIs the server running?\n"),
        "connection failed Is the server running?"
    );
}
