//! The tables of placement (`migrations/placement`).

diesel::table! {
    /// Which deployment owns a module.
    places (module) {
        module -> Text,
        epoch -> BigInt,
        owner -> Text,
    }
}

diesel::table! {
    /// What was said of a module in a deployment.
    sites (module, deployment) {
        module -> Text,
        deployment -> Text,
        url -> Nullable<Text>,
        public_url -> Nullable<Text>,
        database -> Nullable<Text>,
    }
}

diesel::table! {
    /// The processes that told of themselves.
    processes (id) {
        id -> Text,
        deployment -> Text,
        url -> Text,
        public_url -> Nullable<Text>,
        modules -> Text,
        seen_at -> BigInt,
    }
}

diesel::table! {
    /// The carves.
    carves (id) {
        id -> Text,
        module -> Text,
        source -> Text,
        target -> Text,
        source_data -> Nullable<Text>,
        target_data -> Nullable<Text>,
        plan -> Text,
        who -> Text,
        reason -> Text,
        begun_at -> BigInt,
        ended_at -> Nullable<BigInt>,
        state -> Text,
        version -> BigInt,
        facts -> Text,
        lease_owner -> Text,
        lease_until_at -> BigInt,
        term -> BigInt,
    }
}

diesel::table! {
    /// What a carve did, step by step.
    journal (carve, number) {
        carve -> Text,
        number -> BigInt,
        leg -> Text,
        step -> Text,
        says -> Text,
        at -> BigInt,
    }
}
