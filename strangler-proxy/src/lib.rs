//! Routes selected endpoints of any application to extracted services.

pub mod http1;
