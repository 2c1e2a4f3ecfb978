//! A contract as an OpenRPC document (<https://spec.open-rpc.org>, version 1.3.2).

use serde_json::{Value, json};

use crate::{
    Kind,
    dispatch::code,
    schema::{Descriptor, MethodDescriptor},
};

/// The OpenRPC document of a contract. What OpenRPC has no word for stands under `x-` keys.
pub fn openrpc(descriptor: &Descriptor) -> Value {
    json!({
        "openrpc": "1.3.2",
        "info": {
            "title": descriptor.module,
            "version": env!("CARGO_PKG_VERSION"),
            "x-hash": descriptor.hash,
        },
        "methods": descriptor.methods.iter().map(method).collect::<Vec<_>>(),
    })
}

fn method(method: &MethodDescriptor) -> Value {
    let mut errors = vec![
        json!({ "code": code::NOT_EXECUTED, "message": "not executed: certainly no effect" }),
        json!({ "code": code::UNKNOWN, "message": "outcome unknown: ask again with the same key" }),
    ];
    // `Never` has no value, so a method without a refusal promises no such error.
    if method.refusal.get("not").is_none() && method.refusal != Value::Bool(false) {
        errors
            .insert(0, json!({ "code": code::REFUSED, "message": "refused by the module's rule" }));
    }
    json!({
        "name": method.name,
        "summary": method.summary.lines().next().unwrap_or_default(),
        "description": method.summary,
        "paramStructure": "either",
        "params": [{ "name": method.argument, "required": true, "schema": method.params }],
        "result": { "name": "answer", "schema": method.result },
        "errors": errors,
        "x-refusal": method.refusal,
        "x-kind": method.kind,
        "x-idempotency-key": method.kind == Kind::Command,
        "x-hash": method.hash,
    })
}
