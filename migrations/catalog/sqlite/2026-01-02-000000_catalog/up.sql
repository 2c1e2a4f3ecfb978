-- Something that is sold.
CREATE TABLE products (
    id TEXT NOT NULL PRIMARY KEY,
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    published BOOLEAN NOT NULL,
    -- Rises by one with every change of the product or of its variants.
    version BIGINT NOT NULL CHECK (version > 0),
    -- What a text is looked for in: title, SKUs and labels in lower case, a line each.
    search TEXT NOT NULL,
    added_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
) WITHOUT ROWID;

-- What can be bought of it. A SKU belongs to one product for ever.
CREATE TABLE variants (
    sku TEXT NOT NULL PRIMARY KEY,
    product TEXT NOT NULL REFERENCES products (id),
    -- Its place among the product's variants: 1, 2, 3 …
    number BIGINT NOT NULL,
    label TEXT,
    currency TEXT NOT NULL,
    -- The price in force when prices were last touched; right until next_at has come. What a quote reads.
    price_micros BIGINT CHECK (price_micros >= 0),
    -- When the next planned price comes into force.
    next_at BIGINT,
    UNIQUE (product, number)
) WITHOUT ROWID;

-- What it cost, costs and will cost: each price holds from its moment until the next one's.
CREATE TABLE prices (
    sku TEXT NOT NULL REFERENCES variants (sku),
    from_at BIGINT NOT NULL,
    micros BIGINT NOT NULL CHECK (micros >= 0),
    set_at BIGINT NOT NULL,
    PRIMARY KEY (sku, from_at)
) WITHOUT ROWID;

-- What inventory told last. It may tell of SKUs that are in no product yet.
CREATE TABLE availability (
    sku TEXT NOT NULL PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('in_stock', 'low', 'sold_out')),
    told_at BIGINT NOT NULL
) WITHOUT ROWID;
