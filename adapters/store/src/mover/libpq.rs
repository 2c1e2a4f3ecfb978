//! A connection to PostgreSQL that streams rows of any table with COPY: libpq, the library that diesel stands on too.
//!
//! Diesel's rows and COPY targets are types of the program; the mover's tables come from the catalog. This file is the
//! crate's whole dealing with libpq's C interface, and its functions are safe.
#![allow(unsafe_code, reason = "libpq has a C interface only; each call says why it is sound")]

use std::{
    ffi::{CStr, CString, c_char, c_int},
    ptr, slice,
};

use pq_sys::{ConnStatusType, ExecStatusType, PGconn, PGresult};

/// SQLSTATEs that the mover tells apart.
pub(super) const UNIQUE_VIOLATION: &str = "23505";

/// What the server or the library said.
#[derive(Debug, Clone)]
pub(super) struct PqError {
    /// Empty where the library itself failed.
    pub sqlstate: String,
    /// One line.
    pub message: String,
    /// Is the connection gone?
    pub lost: bool,
}

type Result<T> = std::result::Result<T, PqError>;

/// An open connection.
///
/// Invariant: the pointer is from `PQconnectdb`, not null, and finished once, in `drop`.
pub(super) struct Pq {
    raw: *mut PGconn,
}

// SAFETY: libpq allows a connection on any thread as long as one thread uses it at a time, which `&mut self` holds.
unsafe impl Send for Pq {}

impl Drop for Pq {
    fn drop(&mut self) {
        // SAFETY: the type's invariant.
        unsafe { pq_sys::PQfinish(self.raw) };
    }
}

/// What a statement gave: rows of text.
///
/// Invariant: the pointer is a result of libpq or null, and cleared once, in `drop`.
pub(super) struct Rows(*mut PGresult);

impl Drop for Rows {
    fn drop(&mut self) {
        // SAFETY: the type's invariant; null is allowed.
        unsafe { pq_sys::PQclear(self.0) };
    }
}

impl Rows {
    fn status(&self) -> ExecStatusType {
        // SAFETY: the type's invariant; of null it is a fatal error.
        unsafe { pq_sys::PQresultStatus(self.0) }
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        // SAFETY: the type's invariant.
        usize::try_from(unsafe { pq_sys::PQntuples(self.0) }).unwrap_or(0)
    }

    /// How many columns.
    pub fn width(&self) -> usize {
        // SAFETY: the type's invariant.
        usize::try_from(unsafe { pq_sys::PQnfields(self.0) }).unwrap_or(0)
    }

    /// A value as text; `None` for NULL, and outside of the rows.
    pub fn get(&self, row: usize, column: usize) -> Option<&[u8]> {
        if row >= self.len() || column >= self.width() {
            return None;
        }
        let (row, column) = (c_int::try_from(row).ok()?, c_int::try_from(column).ok()?);
        // SAFETY: row and column are inside; the value lives as long as the result, whose lifetime the slice has.
        unsafe {
            if pq_sys::PQgetisnull(self.0, row, column) == 1 {
                return None;
            }
            let length = usize::try_from(pq_sys::PQgetlength(self.0, row, column)).ok()?;
            Some(slice::from_raw_parts(pq_sys::PQgetvalue(self.0, row, column).cast(), length))
        }
    }

    /// A value as a string.
    pub fn text(&self, row: usize, column: usize) -> Option<String> {
        self.get(row, column).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }
}

fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_zero| PqError {
        sqlstate: String::new(),
        message: "a text with a zero byte cannot be sent".to_owned(),
        lost: false,
    })
}

impl Pq {
    /// Connects; the bounds are in the URL.
    pub fn connect(url: &str) -> Result<Self> {
        unsafe extern "C" fn quiet(_: *mut std::ffi::c_void, _: *const PGresult) {}
        let url = c_string(url)?;
        // SAFETY: a string that ends with zero; the answer is null only without memory.
        let raw = unsafe { pq_sys::PQconnectdb(url.as_ptr()) };
        if raw.is_null() {
            return Err(PqError {
                sqlstate: String::new(),
                message: "no memory for a connection".to_owned(),
                lost: true,
            });
        }
        let mut connection = Self { raw };
        if connection.is_lost() {
            return Err(connection.failed());
        }
        // SAFETY: the type's invariant; the receiver takes no argument and touches nothing.
        unsafe { pq_sys::PQsetNoticeReceiver(connection.raw, Some(quiet), ptr::null_mut()) };
        Ok(connection)
    }

    fn is_lost(&self) -> bool {
        // SAFETY: the type's invariant.
        unsafe { pq_sys::PQstatus(self.raw) != ConnStatusType::CONNECTION_OK }
    }

    fn failed(&mut self) -> PqError {
        // SAFETY: the type's invariant; the message lives until the next call and is copied here.
        let message = unsafe { CStr::from_ptr(pq_sys::PQerrorMessage(self.raw)) };
        PqError {
            sqlstate: String::new(),
            message: crate::fault::one_line(&message.to_string_lossy()),
            lost: self.is_lost(),
        }
    }

    fn refused(&mut self, result: &Rows) -> PqError {
        let code = c_int::from(pq_sys::PG_DIAG_SQLSTATE);
        // SAFETY: the field is null or a string that lives as long as the result.
        let sqlstate = unsafe {
            let field = pq_sys::PQresultErrorField(result.0, code);
            if field.is_null() {
                String::new()
            } else {
                CStr::from_ptr(field).to_string_lossy().into_owned()
            }
        };
        PqError { sqlstate, ..self.failed() }
    }

    /// Runs SQL text, several statements perhaps; gives the last one's rows.
    pub fn exec(&mut self, sql: &str) -> Result<Rows> {
        let sql = c_string(sql)?;
        // SAFETY: the type's invariant, and a string that ends with zero.
        let result = Rows(unsafe { pq_sys::PQexec(self.raw, sql.as_ptr()) });
        self.checked(result)
    }

    fn checked(&mut self, result: Rows) -> Result<Rows> {
        match result.status() {
            ExecStatusType::PGRES_COMMAND_OK
            | ExecStatusType::PGRES_TUPLES_OK
            | ExecStatusType::PGRES_COPY_IN
            | ExecStatusType::PGRES_COPY_OUT
            | ExecStatusType::PGRES_EMPTY_QUERY => Ok(result),
            _ => Err(self.refused(&result)),
        }
    }

    /// Runs one statement with text values.
    pub fn exec_params(&mut self, sql: &str, values: &[Vec<u8>]) -> Result<Rows> {
        let sql = c_string(sql)?;
        let mut terminated = Vec::with_capacity(values.len());
        for value in values {
            terminated.push(CString::new(value.as_slice()).map_err(|_zero| PqError {
                sqlstate: String::new(),
                message: "PostgreSQL keeps no text with a zero byte".to_owned(),
                lost: false,
            })?);
        }
        let pointers: Vec<*const c_char> = terminated.iter().map(|text| text.as_ptr()).collect();
        let count = c_int::try_from(values.len()).unwrap_or(c_int::MAX);
        // SAFETY: as many pointers as said, each to a string that ends with zero and outlives the call; null lengths
        // and formats mean text, null types mean that the server infers them.
        let result = Rows(unsafe {
            pq_sys::PQexecParams(
                self.raw,
                sql.as_ptr(),
                count,
                ptr::null(),
                pointers.as_ptr(),
                ptr::null(),
                ptr::null(),
                0,
            )
        });
        self.checked(result)
    }

    /// The next row of a `COPY … TO STDOUT` that [`exec`](Self::exec) began, with its line feed, into `line`; `false` at
    /// its end.
    pub fn copied_out(&mut self, line: &mut Vec<u8>) -> Result<bool> {
        line.clear();
        let mut buffer: *mut c_char = ptr::null_mut();
        // SAFETY: the type's invariant, and a place for the pointer.
        let length = unsafe { pq_sys::PQgetCopyData(self.raw, &raw mut buffer, 0) };
        if let Ok(length) = usize::try_from(length)
            && length > 0
        {
            // SAFETY: the library says that so many bytes are there; they are copied and then freed, once.
            unsafe {
                line.extend_from_slice(slice::from_raw_parts(buffer.cast(), length));
                pq_sys::PQfreemem(buffer.cast());
            }
            return Ok(true);
        }
        self.ended()?;
        if length == -1 { Ok(false) } else { Err(self.failed()) }
    }

    /// Sends rows, line feeds and all, to a `COPY … FROM STDIN` that [`exec`](Self::exec) began.
    pub fn copy_in(&mut self, lines: &[u8]) -> Result<()> {
        let length = c_int::try_from(lines.len()).unwrap_or(c_int::MAX);
        // SAFETY: the type's invariant, and as many bytes as said.
        let sent = unsafe { pq_sys::PQputCopyData(self.raw, lines.as_ptr().cast(), length) };
        if sent == 1 { Ok(()) } else { Err(self.failed()) }
    }

    /// Ends the COPY and says whether the server took it.
    pub fn copy_in_end(&mut self) -> Result<()> {
        // SAFETY: the type's invariant; null means that nothing went wrong on this side.
        if unsafe { pq_sys::PQputCopyEnd(self.raw, ptr::null()) } != 1 {
            return Err(self.failed());
        }
        self.ended()
    }

    /// Reads what is left of a command's results; the first error of them.
    fn ended(&mut self) -> Result<()> {
        let mut first = Ok(());
        loop {
            // SAFETY: the type's invariant.
            let result = Rows(unsafe { pq_sys::PQgetResult(self.raw) });
            if result.0.is_null() {
                return first;
            }
            let copying = matches!(
                result.status(),
                ExecStatusType::PGRES_COPY_IN | ExecStatusType::PGRES_COPY_OUT
            );
            let checked = self.checked(result).map(drop);
            if first.is_ok() {
                first = checked;
            }
            // A connection that is lost in the middle of a COPY gives the same answer for ever.
            if copying && (first.is_err() || self.is_lost()) {
                return first.and_then(|()| Err(self.failed()));
            }
        }
    }
}
