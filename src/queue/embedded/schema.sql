-- Schema 2 of the embedded queue's file. Times are milliseconds since 1970; texts of ids and reasons as in the messages.
PRAGMA application_id = 1953195118; -- "tkdn"
PRAGMA user_version = 2;

-- Every takedown id ever enqueued, so that feeding the same file again adds nothing.
CREATE TABLE known (
    id TEXT PRIMARY KEY NOT NULL
) STRICT, WITHOUT ROWID;

-- Messages that have not ended.
CREATE TABLE message (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT, -- order of arrival
    account     TEXT    NOT NULL,
    message_id  TEXT,
    priority    INTEGER NOT NULL DEFAULT 0,        -- 1 is served before 0
    placed_at   INTEGER NOT NULL,                  -- when it was put here or put off
    due_at      INTEGER NOT NULL,                  -- not before
    lease       INTEGER,                           -- claim that holds it; NULL while it waits
    deliveries  INTEGER NOT NULL DEFAULT 0,        -- claims not ended by a settlement
    attempt     INTEGER NOT NULL DEFAULT 1,
    deferrals   INTEGER NOT NULL DEFAULT 0,
    first_seen  INTEGER,
    ambiguous   INTEGER NOT NULL DEFAULT 0,        -- 1 once an attempt may have taken effect
    last_code   TEXT,
    replays     INTEGER NOT NULL DEFAULT 0,
    plan        TEXT,                              -- by which it was replayed last
    history     TEXT    NOT NULL DEFAULT '',
    body        BLOB    NOT NULL
) STRICT;
CREATE INDEX message_waiting ON message (account, priority, due_at, seq) WHERE lease IS NULL;
CREATE INDEX message_in_hand ON message (lease) WHERE lease IS NOT NULL;

-- Final outcomes in the order they were decided. Never deleted, so the highest seq is their number.
CREATE TABLE outcome (
    seq  INTEGER PRIMARY KEY AUTOINCREMENT,
    body BLOB NOT NULL
) STRICT;

-- Messages that could not be resolved, as they came, for an operator.
CREATE TABLE dead_letter (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    account     TEXT    NOT NULL,
    message_id  TEXT,
    priority    INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    deferrals   INTEGER NOT NULL,
    first_seen  INTEGER,
    ambiguous   INTEGER NOT NULL,
    last_code   TEXT,
    replays     INTEGER NOT NULL,
    plan        TEXT,
    history     TEXT    NOT NULL DEFAULT '',
    body        BLOB    NOT NULL,
    id          TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    code        TEXT,
    outcome     BLOB    NOT NULL
) STRICT;

-- What operators did and planned, in the order it was noted.
CREATE TABLE desk_log (
    seq  INTEGER PRIMARY KEY AUTOINCREMENT,
    body BLOB NOT NULL
) STRICT;
