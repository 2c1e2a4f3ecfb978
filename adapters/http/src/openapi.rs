//! The OpenAPI 3.1 document, written from the route table.

use std::collections::BTreeMap;

use actix_web::http::{Method, StatusCode};
use schemars::{Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{
    Access, FieldError, ProblemType, problems,
    routes::{Entry, Registered},
};

/// What the document says of the whole.
#[derive(Debug, Clone)]
pub struct About {
    /// The service's name.
    pub title: String,
    /// The service's version.
    pub version: String,
    /// What it is.
    pub description: String,
}

/// A problem as clients see it.
#[derive(schemars::JsonSchema)]
#[schemars(rename = "Problem")]
#[allow(
    dead_code,
    reason = "only its schema is used: the document itself is built member by member"
)]
struct ProblemBody {
    /// The stable kind, `urn:banyan:problem:<slug>`: decide by this.
    r#type: String,
    /// The kind in words, the same each time.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What happened this time.
    detail: Option<String>,
    /// The fields that must change.
    errors: Option<Vec<FieldError>>,
}

/// Writes the document.
pub(crate) fn document(about: &About, entries: &[&Entry]) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let problem = generator.subschema_for::<ProblemBody>();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    let mut tags: Vec<&str> = Vec::new();
    for entry in entries {
        let registered = &entry.registered;
        if !tags.contains(&registered.module) {
            tags.push(registered.module);
        }
        let operation = operation(registered, &problem, &mut generator);
        let method = registered.operation.method.as_str().to_ascii_lowercase();
        paths.entry(registered.operation.path).or_default().insert(method, operation);
    }
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": { "title": about.title, "version": about.version, "description": about.description },
        "tags": tags.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "operator": { "type": "http", "scheme": "bearer", "description": "The operator's token." },
                "guest": { "type": "http", "scheme": "bearer", "description": "The 128-bit secret of a guest's cart and its order." },
            },
        },
    })
}

fn operation(registered: &Registered, problem: &Schema, generator: &mut SchemaGenerator) -> Value {
    let operation = &registered.operation;
    let mut document = json!({
        "tags": [registered.module],
        "operationId": operation_id(&operation.method, operation.path),
        "summary": operation.summary,
        "security": security(operation.access),
        "parameters": parameters(registered, generator),
        "responses": responses(registered, problem, generator),
    });
    let Some(members) = document.as_object_mut() else { return document };
    if !operation.description.is_empty() {
        members.insert("description".into(), operation.description.into());
    }
    if let Some(body) = registered.spec.body {
        let schema = body(generator);
        let content = json!({ "application/json": { "schema": schema } });
        members.insert("requestBody".into(), json!({ "required": true, "content": content }));
    }
    document
}

fn security(access: Access) -> Value {
    match access {
        // The empty requirement says that no credential is needed.
        Access::Public => json!([{}]),
        Access::Guest => json!([{ "guest": [] }, { "operator": [] }]),
        Access::Operator => json!([{ "operator": [] }]),
    }
}

/// `get_v1_stock_sku`: stable as long as the path is.
fn operation_id(method: &Method, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<_> = words.collect();
    format!("{}_{}", method.as_str().to_ascii_lowercase(), words.join("_"))
}

fn parameters(registered: &Registered, generator: &mut SchemaGenerator) -> Vec<Value> {
    let operation = &registered.operation;
    let mut parameters = path_parameters(registered, generator);
    for query in &registered.spec.query {
        for (name, schema, required) in fields(*query, generator) {
            parameters.push(parameter("query", &name, required, schema));
        }
    }
    if operation.method == Method::POST || registered.spec.key {
        let schema = json!({ "type": "string", "minLength": 1, "maxLength": 200 });
        let mut key =
            parameter("header", "Idempotency-Key", operation.method == Method::POST, schema);
        describe(
            &mut key,
            "A fresh value (a UUID, say) for each new request; the same one to repeat it without doing it twice.",
        );
        parameters.push(key);
    }
    if registered.spec.if_match {
        let mut version = parameter(
            "header",
            "If-Match",
            true,
            json!({ "type": "string", "examples": ["\"v3\""] }),
        );
        describe(&mut version, "The ETag of the version that is edited, or `*`.");
        parameters.push(version);
    }
    parameters
}

fn parameter(place: &str, name: &str, required: bool, mut schema: Value) -> Value {
    let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
    let mut parameter =
        json!({ "in": place, "name": name, "required": required, "schema": schema });
    if let Some(Value::String(text)) = description {
        describe(&mut parameter, &text);
    }
    parameter
}

fn describe(parameter: &mut Value, text: &str) {
    if let Some(members) = parameter.as_object_mut() {
        members.insert("description".into(), text.into());
    }
}

/// The parameters that stand in the path, with the types that the handler reads where they can be told apart.
fn path_parameters(registered: &Registered, generator: &mut SchemaGenerator) -> Vec<Value> {
    let names: Vec<String> = registered
        .operation
        .path
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split(['}', ':']).next())
        .map(str::to_owned)
        .collect();
    let typed: Vec<(String, Value)> = match registered.spec.path {
        Some(path) => {
            let fields = fields(path, generator);
            if !fields.is_empty() {
                fields.into_iter().map(|(name, schema, _)| (name, schema)).collect()
            } else {
                let schema = path(generator).to_value();
                let items = schema.get("prefixItems").and_then(Value::as_array).cloned();
                let schemas = items.unwrap_or_else(|| vec![schema]);
                names.iter().cloned().zip(schemas).collect()
            }
        }
        None => Vec::new(),
    };
    names
        .iter()
        .map(|name| {
            let schema =
                typed.iter().find(|(known, _)| known == name).map(|(_, schema)| schema.clone());
            parameter("path", name, true, schema.unwrap_or_else(|| json!({ "type": "string" })))
        })
        .collect()
}

/// A struct's fields: name, schema, required. Empty for what is no struct.
fn fields(
    schema: fn(&mut SchemaGenerator) -> Schema,
    generator: &mut SchemaGenerator,
) -> Vec<(String, Value, bool)> {
    // In a generator of its own, inlined: parameters are scalars, and the struct itself is no part of the document.
    let settings = generator.settings().clone().with(|settings| settings.inline_subschemas = true);
    let schema = schema(&mut settings.into_generator()).to_value();
    let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return Vec::new();
    };
    properties
        .iter()
        .map(|(name, schema)| {
            (name.clone(), schema.clone(), required.contains(&Value::String(name.clone())))
        })
        .collect()
}

fn responses(registered: &Registered, problem: &Schema, generator: &mut SchemaGenerator) -> Value {
    let operation = &registered.operation;
    let mut responses = Map::new();
    for answer in &operation.answers {
        let mut response = json!({ "description": phrase(answer.status) });
        if let (Some(schema), Some(members)) = (answer.schema, response.as_object_mut()) {
            let schema = schema(generator);
            members.insert("content".into(), json!({ "application/json": { "schema": schema } }));
        }
        if let (true, Some(members)) = (operation.etag, response.as_object_mut()) {
            let header = json!({ "description": "The version, for If-Match and If-None-Match.", "schema": { "type": "string" } });
            members.insert("headers".into(), json!({ "ETag": header }));
        }
        responses.insert(answer.status.to_string(), response);
    }
    let mut by_status: BTreeMap<u16, Vec<ProblemType>> = BTreeMap::new();
    for kind in usual(registered).into_iter().chain(operation.problems.iter().copied()) {
        let kinds = by_status.entry(kind.status).or_default();
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    for (status, kinds) in by_status {
        let lines: Vec<_> =
            kinds.iter().map(|kind| format!("`{}`: {}.", kind.urn(), kind.title)).collect();
        let content = json!({ "application/problem+json": { "schema": problem } });
        responses.insert(
            status.to_string(),
            json!({ "description": lines.join("\n\n"), "content": content }),
        );
    }
    Value::Object(responses)
}

/// The problems that follow from what the operation reads and who may call it.
fn usual(registered: &Registered) -> Vec<ProblemType> {
    let spec = &registered.spec;
    let operation = &registered.operation;
    let mut kinds = Vec::new();
    if spec.body.is_some() || spec.path.is_some() || !spec.query.is_empty() {
        kinds.push(problems::MALFORMED);
    }
    if operation.method == Method::POST {
        kinds.push(problems::KEY_MISSING);
    }
    match operation.access {
        Access::Public => {}
        Access::Guest | Access::Operator => kinds.push(problems::UNAUTHENTICATED),
    }
    if spec.if_match {
        kinds.extend([problems::VERSION_MISMATCH, problems::VERSION_MISSING]);
    }
    if spec.body.is_some() {
        kinds.extend([problems::BODY_TOO_LARGE, problems::MEDIA_TYPE]);
    }
    if spec.key || operation.method == Method::POST {
        kinds.extend([problems::KEY_REUSED, problems::OUTCOME_UNKNOWN]);
    }
    kinds.extend([problems::OVERLOADED, problems::UNAVAILABLE, problems::DEADLINE_PASSED]);
    kinds
}

fn phrase(status: u16) -> &'static str {
    StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or("Answer")
}
