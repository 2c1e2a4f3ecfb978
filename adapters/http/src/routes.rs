//! The route table: what modules declare, gathered into what the server serves, documents and lists.

use std::sync::Arc;

use actix_web::{
    FromRequest, Handler, HttpResponse, Resource, Responder, Route,
    http::{Method, header},
    web::{self, Data, ServiceConfig},
};
use schemars::generate::SchemaSettings;

use crate::{
    About, Operation, Parts, Problem, RouteRow, Spec, docs, openapi, part::SchemaOf, problems,
    query::PAGING_NAMES, serve,
};

/// The routes of one module, made once and mounted in every worker.
#[derive(Clone)]
pub struct Routes {
    module: &'static str,
    data: Vec<Arc<dyn Fn(Resource) -> Resource + Send + Sync>>,
    entries: Vec<Entry>,
}

#[derive(Clone)]
pub(crate) struct Entry {
    pub registered: Arc<Registered>,
    route: Arc<dyn Fn(Arc<Registered>) -> Route + Send + Sync>,
}

/// An operation with what its handler reads.
pub(crate) struct Registered {
    pub module: &'static str,
    pub operation: Operation,
    pub spec: Spec,
    /// The query parameters that the operation knows.
    pub query_names: Vec<String>,
}

impl Routes {
    /// The routes of `module`.
    pub fn new(module: &'static str) -> Self {
        Self { module, data: Vec::new(), entries: Vec::new() }
    }

    /// Something that this module's handlers take as `Data<T>`: its contract binding above all.
    #[must_use]
    pub fn data<T: ?Sized + Send + Sync + 'static>(mut self, data: Arc<T>) -> Self {
        self.data.push(Arc::new(move |resource: Resource| {
            resource.app_data(Data::from(Arc::clone(&data)))
        }));
        self
    }

    /// Adds an operation and the handler that answers it.
    #[must_use]
    pub fn add<F, Args>(mut self, operation: Operation, handler: F) -> Self
    where
        F: Handler<Args> + Send + Sync,
        F::Output: Responder,
        Args: FromRequest + Parts + 'static,
    {
        let mut spec = Spec::default();
        Args::describe(&mut spec);
        let query_names = query_names(&spec);
        let registered = Arc::new(Registered { module: self.module, operation, spec, query_names });
        let route = Arc::new(move |registered| serve::route(registered, handler.clone()));
        self.entries.push(Entry { registered, route });
        self
    }

    /// The module's name.
    pub fn module(&self) -> &'static str {
        self.module
    }
}

/// All routes of a process: cheap to clone, one clone per worker.
#[derive(Clone)]
pub struct Table {
    modules: Arc<Vec<Routes>>,
    document: Arc<str>,
}

impl Table {
    /// Gathers the modules' routes and writes their document.
    pub fn new(about: &About, modules: Vec<Routes>) -> Self {
        let entries: Vec<_> = modules.iter().flat_map(|routes| &routes.entries).collect();
        let document = openapi::document(about, &entries).to_string().into();
        Self { modules: Arc::new(modules), document }
    }

    /// The rows of `banyan routes`, by module and path.
    pub fn rows(&self) -> Vec<RouteRow> {
        let mut rows: Vec<_> = self
            .modules
            .iter()
            .flat_map(|routes| &routes.entries)
            .map(|entry| {
                let operation = &entry.registered.operation;
                RouteRow {
                    module: entry.registered.module,
                    method: operation.method.to_string(),
                    path: operation.path,
                    access: operation.access,
                    summary: operation.summary,
                }
            })
            .collect();
        rows.sort_by(|a, b| (a.module, a.path, &a.method).cmp(&(b.module, b.path, &b.method)));
        rows
    }

    /// The OpenAPI 3.1 document as JSON text.
    pub fn openapi(&self) -> &str {
        &self.document
    }

    /// Mounts everything: the modules' routes, `/openapi.json`, `/docs`, and problems for what there is not. Call it in
    /// `App::configure`; every response of the app is then JSON, a problem or the page.
    pub fn configure(&self, config: &mut ServiceConfig) {
        let mut resources: Vec<(&Routes, &'static str)> = Vec::new();
        for routes in self.modules.iter() {
            for entry in &routes.entries {
                let path = entry.registered.operation.path;
                if !resources
                    .iter()
                    .any(|(other, known)| other.module == routes.module && *known == path)
                {
                    resources.push((routes, path));
                }
            }
        }
        // The first match wins in actix, so `/v1/stock/import` must stand before `/v1/stock/{sku}`.
        resources.sort_by_key(|(_, path)| specificity(path));
        for (routes, path) in resources {
            routes.mount(path, config);
        }
        let document = Arc::clone(&self.document);
        config
            .route(
                "/openapi.json",
                web::get().to(move || {
                    let document = document.to_string();
                    async move {
                        HttpResponse::Ok().insert_header(header::ContentType::json()).body(document)
                    }
                }),
            )
            .configure(docs::configure)
            .default_service(web::to(|| async {
                Err::<HttpResponse, _>(Problem::not_found("there is no such path; /docs lists all"))
            }));
    }
}

impl Routes {
    /// Mounts one path with all its methods.
    fn mount(&self, path: &'static str, config: &mut ServiceConfig) {
        let mut resource = web::resource(path);
        let mut allowed = Vec::new();
        for entry in self.entries.iter().filter(|entry| entry.registered.operation.path == path) {
            let method = &entry.registered.operation.method;
            allowed.push(method.to_string());
            if *method == Method::GET {
                allowed.push(Method::HEAD.to_string());
            }
            resource = resource.route((entry.route)(Arc::clone(&entry.registered)));
        }
        for data in &self.data {
            resource = data(resource);
        }
        let allow = allowed.join(", ");
        config.service(resource.default_service(web::to(move || {
            let problem = Problem::of(&problems::METHOD_NOT_ALLOWED)
                .detail(format!("the path answers {allow}"));
            let mut response = actix_web::ResponseError::error_response(&problem);
            if let Ok(value) = header::HeaderValue::from_str(&allow) {
                response.headers_mut().insert(header::ALLOW, value);
            }
            async move { response }
        })));
    }
}

/// Sorts literal segments before parameters, place by place.
fn specificity(path: &str) -> Vec<(bool, String)> {
    path.split('/').map(|segment| (segment.contains('{'), segment.to_owned())).collect()
}

fn query_names(spec: &Spec) -> Vec<String> {
    let mut names: Vec<String> =
        spec.query.iter().flat_map(|schema| property_names(*schema)).collect();
    if spec.paging {
        names.extend(PAGING_NAMES.map(str::to_owned));
    }
    names
}

/// The names of a struct's fields, by its schema.
fn property_names(schema: SchemaOf) -> Vec<String> {
    let mut generator =
        SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true).into_generator();
    let schema = schema(&mut generator);
    schema
        .get("properties")
        .and_then(|properties| properties.as_object())
        .map(|properties| properties.keys().cloned().collect())
        .unwrap_or_default()
}
