//! What the decision may look at: borrowed from the request, nothing copied.

use std::net::IpAddr;

/// The header fields of a request. The engine implements it over its read buffer, tests and `explain` over a list.
pub trait Headers {
    /// Calls `see` with the value of each field of this name (given in lower case), in the order of the message.
    fn each<'a>(&'a self, name: &str, see: &mut dyn FnMut(&'a [u8]));

    /// The value, where exactly one field has this name. Two that disagree are as good as none: whoever acts on a
    /// header must not be the only one who read it that way.
    fn single<'a>(&'a self, name: &str) -> Option<&'a [u8]> {
        let (mut found, mut count) = (None, 0_u32);
        self.each(name, &mut |value| {
            found = Some(value);
            count += 1;
        });
        found.filter(|_| count == 1)
    }
}

/// A list of names and values: for `explain` and tests.
impl Headers for Vec<(String, String)> {
    fn each<'a>(&'a self, name: &str, see: &mut dyn FnMut(&'a [u8])) {
        for (field, value) in self {
            if field.eq_ignore_ascii_case(name) {
                see(value.as_bytes());
            }
        }
    }
}

/// A request as the decision sees it.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The method, as sent.
    pub method: &'a [u8],
    /// The authority as sent: `Host`, or that of the absolute form. A port and the case do not matter.
    pub host: &'a [u8],
    /// The path, normalised: begins with `/`, no dot segments, percent-encoding in its normal form.
    pub path: &'a [u8],
    /// What follows the `?`; empty where there is none.
    pub query: &'a [u8],
    /// The client's address after the trust list has been applied; none for a Unix socket.
    pub client: Option<IpAddr>,
    /// The header fields.
    pub headers: &'a dyn Headers,
}
