//! Field lines, of a request, a response or a trailer section: one pass, and each name is recognised on the way.

use super::{
    cause::Cause,
    name::{self, Known, KnownSet},
    scan::{self, UNDERSCORE},
    span::Span,
};

/// One field line.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The name as it was written.
    pub name: Span,
    /// The value without white space around it.
    pub value: Span,
    /// What the name is.
    pub known: Known,
    pub(super) marks: u8,
}

/// The line is exactly `name: value` and CRLF, so that it can be sent on as it stands, together with its neighbours.
pub(super) const NEAT: u8 = 1;
/// `Connection` nominates it: not to be sent on.
pub(super) const NOMINATED: u8 = 2;
/// Its name has an underscore.
pub(super) const UNDERSCORED: u8 = 4;

impl Field {
    /// Whether it is not to be sent on because `Connection` nominates it.
    #[must_use]
    pub fn is_nominated(&self) -> bool {
        self.marks & NOMINATED != 0
    }

    /// Whether its name has an underscore, so that it is dropped unless the route says otherwise.
    #[must_use]
    pub fn has_underscore(&self) -> bool {
        self.marks & UNDERSCORED != 0
    }
}

/// The fields of a message. Reused from message to message.
#[derive(Debug)]
pub struct Fields {
    list: Vec<Field>,
    seen: KnownSet,
    repeated: KnownSet,
    /// The marks that any of them has.
    marks: u8,
    /// Where the first field of each well-known name is in the list; meaningful where `seen` has the name.
    first: [u16; 64],
    /// Where to go on when more bytes have come.
    resume: usize,
}

impl Default for Fields {
    fn default() -> Self {
        Self {
            list: Vec::new(),
            seen: KnownSet::NONE,
            repeated: KnownSet::NONE,
            marks: 0,
            first: [0; 64],
            resume: 0,
        }
    }
}

/// How lines of this head end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum LineEnd {
    #[default]
    CrLf,
    /// LF alone, everywhere, by leniency.
    Lf,
}

impl Fields {
    /// All fields in their order.
    #[must_use]
    pub fn list(&self) -> &[Field] {
        &self.list
    }

    /// Which well-known names there are.
    #[inline]
    #[must_use]
    pub fn seen(&self) -> KnownSet {
        self.seen
    }

    /// Whether any name has an underscore.
    #[must_use]
    pub fn have_underscores(&self) -> bool {
        self.marks & UNDERSCORED != 0
    }

    /// Whether a well-known name stands in more than one line.
    #[must_use]
    pub fn repeats(&self, known: Known) -> bool {
        self.repeated.has(known)
    }

    /// The first field of a well-known name.
    #[inline]
    #[must_use]
    pub fn get(&self, known: Known) -> Option<&Field> {
        if !self.seen.has(known) {
            return None;
        }
        self.list.get(usize::from(*self.first.get(known as usize)?))
    }

    /// The first value of a well-known name.
    #[inline]
    #[must_use]
    pub fn value<'a>(&self, buf: &'a [u8], known: Known) -> Option<&'a [u8]> {
        self.get(known).map(|field| field.value.of(buf))
    }

    /// All values of a name, in their order, whatever its case.
    pub fn values<'a>(&'a self, buf: &'a [u8], name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.list
            .iter()
            .filter(move |field| {
                field.name.len() == name.len() && name::same(field.name.of(buf), name)
            })
            .map(move |field| field.value.of(buf))
    }

    /// All fields of a well-known name.
    pub(super) fn all(&self, known: Known) -> impl Iterator<Item = &Field> {
        let many = if self.seen.has(known) { self.list.as_slice() } else { &[] };
        many.iter().filter(move |field| field.known == known)
    }

    pub(super) fn list_mut(&mut self) -> &mut [Field] {
        &mut self.list
    }

    /// Forgets everything and will read from `at`.
    #[inline]
    pub(super) fn start(&mut self, at: usize) {
        self.list.clear();
        self.seen = KnownSet::NONE;
        self.repeated = KnownSet::NONE;
        self.marks = 0;
        self.resume = at;
    }

    /// Reads lines up to the empty one and tells where that ends; nothing while it has not come. Can be called again with
    /// more bytes at the end of the same ones.
    #[inline]
    pub(super) fn read(
        &mut self,
        buf: &[u8],
        fields_max: usize,
        ends: LineEnd,
    ) -> Result<Option<usize>, Cause> {
        loop {
            match line(buf, self.resume, ends)? {
                Line::Partial => return Ok(None),
                Line::End(next) => return Ok(Some(next)),
                Line::Fold if self.list.is_empty() => return Err(Cause::LeadingSpace),
                Line::Fold => return Err(Cause::ObsFold),
                Line::Field(field, next) => {
                    if self.list.len() >= fields_max {
                        return Err(Cause::TooManyFields);
                    }
                    self.note(field);
                    self.resume = next;
                }
            }
        }
    }

    #[inline]
    fn note(&mut self, field: Field) {
        self.marks |= field.marks;
        if self.seen.has(field.known) {
            self.repeated = self.repeated.with(field.known);
        } else {
            self.seen = self.seen.with(field.known);
            if let Some(first) = self.first.get_mut(field.known as usize) {
                *first = u16::try_from(self.list.len()).unwrap_or(u16::MAX);
            }
        }
        self.list.push(field);
    }
}

enum Line {
    Partial,
    Field(Field, usize),
    /// The line begins with white space.
    Fold,
    /// The empty line, and where it ends.
    End(usize),
}

#[inline]
fn line(buf: &[u8], at: usize, ends: LineEnd) -> Result<Line, Cause> {
    let (name_end, classes) = scan::token(buf, at);
    match buf.get(name_end) {
        Some(b':') if name_end > at => {}
        None => return Ok(Line::Partial),
        Some(_) => return no_name(buf, at, name_end, ends),
    }
    let mut start = name_end + 1;
    while let Some(b' ' | b'\t') = buf.get(start) {
        start += 1;
    }
    let stop = scan::value_end(buf, start);
    let Some(next) = line_end(buf, stop, ends, value_fault)? else { return Ok(Line::Partial) };
    let value = scan::trim_end(buf, start, stop);
    let name = Span::new(at, name_end);
    let name_bytes = name.of(buf);
    let mut marks = 0;
    if start == name_end + 2
        && value.end as usize == stop
        && next == stop + 2
        && buf.get(name_end + 1) == Some(&b' ')
    {
        marks |= NEAT;
    }
    let known = Known::recognise(name_bytes);
    if classes & UNDERSCORE != 0 {
        name::refuse_alias(name_bytes)?;
        marks |= UNDERSCORED;
    }
    Ok(Line::Field(Field { name, value, known, marks }, next))
}

/// What a byte means that ends a line's text without being a line end.
type Fault = fn(u8) -> Cause;

fn value_fault(byte: u8) -> Cause {
    if byte == 0 { Cause::FieldValueNul } else { Cause::FieldValueControl }
}

/// Where the line end at `at` ends; nothing while it has not come whole.
#[inline]
pub(super) fn line_end(
    buf: &[u8],
    at: usize,
    ends: LineEnd,
    fault: Fault,
) -> Result<Option<usize>, Cause> {
    match (buf.get(at), buf.get(at + 1), ends) {
        (Some(b'\r'), Some(b'\n'), LineEnd::CrLf) => Ok(Some(at + 2)),
        (None, ..) | (Some(b'\r'), None, LineEnd::CrLf) => Ok(None),
        (Some(b'\n'), _, LineEnd::Lf) => Ok(Some(at + 1)),
        (Some(b'\n'), _, LineEnd::CrLf) | (Some(b'\r'), _, LineEnd::Lf) => Err(Cause::BareLf),
        (Some(b'\r'), ..) => Err(Cause::BareCr),
        (Some(byte), ..) => Err(fault(*byte)),
    }
}

#[cold]
fn no_name(buf: &[u8], at: usize, name_end: usize, ends: LineEnd) -> Result<Line, Cause> {
    let empty = name_end == at;
    match buf.get(name_end) {
        Some(b'\r' | b'\n') if empty => {
            Ok(line_end(buf, at, ends, value_fault)?.map_or(Line::Partial, Line::End))
        }
        Some(b' ' | b'\t') if empty => Ok(Line::Fold),
        Some(b':') => Err(Cause::FieldNameEmpty),
        Some(b'\n') if ends == LineEnd::CrLf => Err(Cause::BareLf),
        Some(b'\r') if ends == LineEnd::Lf => Err(Cause::BareLf),
        Some(b'\r') => match buf.get(name_end + 1) {
            None => Ok(Line::Partial),
            Some(b'\n') => Err(Cause::FieldNoColon),
            Some(_) => Err(Cause::BareCr),
        },
        Some(b'\n') => Err(Cause::FieldNoColon),
        Some(b' ' | b'\t') => match buf
            .get(name_end..)
            .and_then(|rest| rest.iter().find(|byte| !matches!(byte, b' ' | b'\t')))
        {
            None => Ok(Line::Partial),
            Some(b':') => Err(Cause::FieldNameSpace),
            Some(_) => Err(Cause::FieldNameInvalid),
        },
        Some(_) | None => Err(Cause::FieldNameInvalid),
    }
}
