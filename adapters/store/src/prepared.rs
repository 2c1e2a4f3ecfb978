//! Statements that stay prepared under the place in the code where they stand.

use std::{any::TypeId, marker::PhantomData, sync::OnceLock};

use diesel::{
    Connection, QueryResult,
    backend::Backend,
    query_builder::{AstPass, Query, QueryBuilder, QueryFragment, QueryId},
    query_dsl::RunQueryDsl,
    sql_types::Integer,
    sqlite::Sqlite,
};

use crate::cached::Probe;

/// Keeps a query prepared under the place where it stands; [`cached`](crate::cached) is for text that varies.
///
/// `cached` writes the SQL text at each run, to look up whether it is known, and for a small UPDATE that takes as long
/// as SQLite needs to carry it out. Here the place is the key, and the text is written once. So the text must not
/// depend on values: no optional part, no list, no text put together. Debug builds compare, and panic where it does.
///
/// ```ignore
/// prepared!(diesel::update(stock::table.find(sku)).set(stock::reserved.eq(stock::reserved + 1))).execute(c)?;
/// ```
#[macro_export]
macro_rules! prepared {
    ($query:expr $(,)?) => {{
        enum Here {}
        impl $crate::Place for Here {
            fn texts() -> &'static $crate::Texts {
                static TEXTS: $crate::Texts = $crate::Texts::new();
                &TEXTS
            }
        }
        $crate::Prepared::<Here, _>::new($query)
    }};
}

/// One place in the code where a query stands, as a type; [`prepared!`](crate::prepared) makes it.
pub trait Place: 'static {
    /// What its query reads as.
    fn texts() -> &'static Texts;
}

/// A query's text, once per database.
#[derive(Debug, Default)]
pub struct Texts {
    sqlite: OnceLock<String>,
    postgres: OnceLock<String>,
}

impl Texts {
    /// Nothing is written yet.
    pub const fn new() -> Self {
        Self { sqlite: OnceLock::new(), postgres: OnceLock::new() }
    }

    fn of<DB: 'static>(&self) -> &OnceLock<String> {
        if TypeId::of::<DB>() == TypeId::of::<Sqlite>() { &self.sqlite } else { &self.postgres }
    }
}

/// A query kept prepared under `P`: what [`prepared!`](crate::prepared) makes.
#[derive(Debug)]
pub struct Prepared<P, Q> {
    query: Q,
    place: PhantomData<fn() -> P>,
}

impl<P: Place, Q> Prepared<P, Q> {
    /// The whole query, not a part of one, of the place `P`.
    pub fn new(query: Q) -> Self {
        Self { query, place: PhantomData }
    }

    /// Runs the statement; how many rows it touched. It goes before the method of the same name in `RunQueryDsl`, which
    /// wants to know the kind of the statement.
    pub fn execute<C>(self, c: &mut C) -> QueryResult<usize>
    where
        C: Connection,
        Self: QueryFragment<C::Backend>,
    {
        c.execute_returning_count(&self)
    }

    fn text<DB>(&self, backend: &DB) -> QueryResult<&'static str>
    where
        DB: Backend + 'static,
        DB::QueryBuilder: Default,
        Q: QueryFragment<DB>,
    {
        let text = P::texts().of::<DB>();
        if let Some(text) = text.get() {
            return Ok(text);
        }
        let written = self.written(backend)?;
        Ok(text.get_or_init(|| written))
    }

    fn written<DB>(&self, backend: &DB) -> QueryResult<String>
    where
        DB: Backend,
        DB::QueryBuilder: Default,
        Q: QueryFragment<DB>,
    {
        let mut builder = DB::QueryBuilder::default();
        self.query.to_sql(&mut builder, backend)?;
        Ok(builder.finish())
    }
}

impl<P, Q, DB> QueryFragment<DB> for Prepared<P, Q>
where
    P: Place,
    DB: Backend + 'static,
    DB::QueryBuilder: Default,
    Q: QueryFragment<DB>,
{
    /// See [`Cached`](crate::Cached) for why the parts are walked for their values only, and how that is found out.
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        pass.push_sql("/* ");
        if pass.push_bind_param::<Integer, Probe>(&Probe).is_err() {
            debug_assert_eq!(self.text(pass.backend())?, self.written(pass.backend())?);
            return self.query.walk_ast(pass);
        }
        pass.push_sql(" */ ");
        pass.push_sql(self.text(pass.backend())?);
        Ok(())
    }
}

impl<P, Q: Query> Query for Prepared<P, Q> {
    type SqlType = Q::SqlType;
}

impl<P: Place, Q> QueryId for Prepared<P, Q> {
    type QueryId = Prepared<P, ()>;
}

impl<P, Q, Conn> RunQueryDsl<Conn> for Prepared<P, Q> {}
