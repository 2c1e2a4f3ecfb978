//! Routes selected endpoints of any application to extracted services.
