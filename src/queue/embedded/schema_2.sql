-- From schema 1 to schema 2.
CREATE TABLE desk_log (
    seq  INTEGER PRIMARY KEY AUTOINCREMENT,
    body BLOB NOT NULL
) STRICT;
ALTER TABLE message ADD COLUMN plan TEXT;
ALTER TABLE message ADD COLUMN history TEXT NOT NULL DEFAULT '';
ALTER TABLE dead_letter ADD COLUMN plan TEXT;
ALTER TABLE dead_letter ADD COLUMN history TEXT NOT NULL DEFAULT '';
PRAGMA user_version = 2;
