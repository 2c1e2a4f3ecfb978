-- Which deployment owns a module, and since which epoch. It follows the fence row of the module's own database.
CREATE TABLE places (
    module TEXT NOT NULL PRIMARY KEY,
    epoch BIGINT NOT NULL CHECK (epoch > 0),
    owner TEXT NOT NULL
) WITHOUT ROWID;

-- What was said of a module in a deployment: where it answers and where its data is. `database` may hold a password.
CREATE TABLE sites (
    module TEXT NOT NULL,
    deployment TEXT NOT NULL,
    url TEXT,
    public_url TEXT,
    database TEXT,
    PRIMARY KEY (module, deployment)
) WITHOUT ROWID;

-- The processes that told of themselves; `modules` is JSON. Old rows are forgotten.
CREATE TABLE processes (
    id TEXT NOT NULL PRIMARY KEY,
    deployment TEXT NOT NULL,
    url TEXT NOT NULL,
    public_url TEXT,
    modules TEXT NOT NULL,
    seen_at BIGINT NOT NULL
) WITHOUT ROWID;

-- The carves. `state` is where one stands and `facts` what it has measured, both JSON; `version` rises with each change
-- of the state, so that neither a coordinator nor an operator overwrites what it has not read. `term` rises with each
-- coordinator: what an earlier one still does is refused.
CREATE TABLE carves (
    id TEXT NOT NULL PRIMARY KEY,
    module TEXT NOT NULL,
    source TEXT NOT NULL,
    target TEXT NOT NULL,
    source_data TEXT,
    target_data TEXT,
    plan TEXT NOT NULL,
    who TEXT NOT NULL,
    reason TEXT NOT NULL,
    begun_at BIGINT NOT NULL,
    ended_at BIGINT,
    state TEXT NOT NULL,
    version BIGINT NOT NULL DEFAULT 0,
    facts TEXT NOT NULL,
    lease_owner TEXT NOT NULL DEFAULT '',
    lease_until_at BIGINT NOT NULL DEFAULT 0,
    term BIGINT NOT NULL DEFAULT 0
) WITHOUT ROWID;
-- One carve per module at a time.
CREATE UNIQUE INDEX carves_open ON carves (module) WHERE ended_at IS NULL;

-- What a carve did, step by step: never changed.
CREATE TABLE journal (
    carve TEXT NOT NULL,
    number BIGINT NOT NULL,
    leg TEXT NOT NULL CHECK (leg IN ('there', 'back')),
    step TEXT NOT NULL,
    says TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (carve, number)
) WITHOUT ROWID;
