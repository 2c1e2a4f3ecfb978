-- Tables of every form that a move must carry.
CREATE TABLE stock (
    sku TEXT NOT NULL PRIMARY KEY,
    on_hand BIGINT NOT NULL,
    reserved BIGINT NOT NULL CHECK (reserved >= 0),
    CHECK (reserved <= on_hand)
);
CREATE TABLE reservation (
    id TEXT NOT NULL PRIMARY KEY,
    sku TEXT NOT NULL,
    quantity BIGINT NOT NULL,
    made_at BIGINT NOT NULL
) WITHOUT ROWID;
-- Values that must be unique and that rows exchange.
CREATE TABLE badge (
    id TEXT NOT NULL PRIMARY KEY,
    holder TEXT UNIQUE,
    nickname TEXT,
    is_active BOOLEAN NOT NULL
);
CREATE UNIQUE INDEX badge_nickname ON badge (nickname) WHERE is_active;
-- A key of two columns that changes, and texts with everything in them.
CREATE TABLE folder (
    owner TEXT NOT NULL,
    number BIGINT NOT NULL,
    body TEXT,
    size INTEGER,
    PRIMARY KEY (owner, number)
) WITHOUT ROWID;
-- Nothing but a key.
CREATE TABLE tag (
    word TEXT NOT NULL,
    folder BIGINT NOT NULL,
    PRIMARY KEY (word, folder)
);
-- Foreign keys, one that cascades and one to its own table.
CREATE TABLE shelf (
    id TEXT NOT NULL PRIMARY KEY,
    beside TEXT REFERENCES shelf (id)
);
CREATE TABLE book (
    id TEXT NOT NULL PRIMARY KEY,
    shelf TEXT NOT NULL REFERENCES shelf (id) ON DELETE CASCADE,
    title TEXT NOT NULL
);
INSERT INTO tag (word, folder) VALUES ('born with', 0);
