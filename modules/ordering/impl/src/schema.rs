//! The tables of ordering (`migrations/ordering`).

diesel::table! {
    /// Who buys under a name.
    customer (id) {
        id -> Text,
        reference -> Nullable<Text>,
        name -> Nullable<Text>,
        country -> Nullable<Text>,
        created_at -> BigInt,
    }
}

diesel::table! {
    /// What somebody is about to buy.
    cart (id) {
        id -> Text,
        version -> BigInt,
        checkout -> Nullable<Text>,
        customer -> Nullable<Text>,
        reference -> Nullable<Text>,
        currency -> Text,
        secret_hash -> Text,
        lines -> Text,
        line_count -> BigInt,
        goods -> Bool,
        parts -> Text,
        net_micros -> BigInt,
        total_minor -> BigInt,
        priced_at -> BigInt,
        created_at -> BigInt,
    }
}

diesel::table! {
    /// The orders' private streams.
    order_event (order_id, seq) {
        order_id -> Text,
        seq -> BigInt,
        kind -> Text,
        version -> Integer,
        data -> Text,
        at -> BigInt,
    }
}

diesel::table! {
    /// Each order as its events tell it, without its lines.
    order_summary (id) {
        id -> Text,
        version -> BigInt,
        origin -> Text,
        status -> Text,
        paid -> Bool,
        reference -> Nullable<Text>,
        source -> Nullable<Text>,
        source_rows -> BigInt,
        customer -> Nullable<Text>,
        currency -> Text,
        line_count -> BigInt,
        goods -> Bool,
        parts -> Text,
        net_micros -> BigInt,
        total_minor -> BigInt,
        promised_minor -> BigInt,
        refunded_minor -> BigInt,
        secret_hash -> Nullable<Text>,
        placed_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    /// Each order's lines as its events tell them.
    order_line (order_id, line) {
        order_id -> Text,
        line -> BigInt,
        sku -> Nullable<Text>,
        quantity -> BigInt,
        price_micros -> BigInt,
        returned -> BigInt,
    }
}

diesel::table! {
    /// Returns, credits and the notes of cancelled orders.
    return_note (id) {
        id -> Text,
        origin -> Text,
        settled -> Bool,
        cancellation -> Bool,
        reference -> Nullable<Text>,
        source -> Nullable<Text>,
        source_rows -> BigInt,
        customer -> Nullable<Text>,
        currency -> Text,
        items -> Text,
        settlements -> Text,
        parts -> Text,
        net_micros -> BigInt,
        total_minor -> BigInt,
        reason -> Text,
        accepted_at -> BigInt,
    }
}

diesel::table! {
    /// The goods of the notes.
    return_line (note, line) {
        note -> Text,
        line -> BigInt,
        sku -> Text,
        quantity -> BigInt,
    }
}

diesel::table! {
    /// Corrections of the books.
    adjustment_note (id) {
        id -> Text,
        origin -> Text,
        reference -> Nullable<Text>,
        source -> Nullable<Text>,
        source_rows -> BigInt,
        order_id -> Nullable<Text>,
        customer -> Nullable<Text>,
        currency -> Text,
        lines -> Text,
        parts -> Text,
        net_micros -> BigInt,
        total_minor -> BigInt,
        made_at -> BigInt,
    }
}

diesel::table! {
    /// What importers said of their sources.
    import_source (source) {
        source -> Text,
        record -> Text,
    }
}

diesel::allow_tables_to_appear_in_same_query!(order_summary, order_line);
