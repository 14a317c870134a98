"""The tables, as steps from each version to the next. A database's version is its `user_version`.

A step that has been released is never changed: whoever needs another table or column adds a step at the end.
"""

from __future__ import annotations

APPLICATION_ID = 0x546F6E6E  # "Tonn", by which `file` and we know whose database it is

# The journal proper. `entry` is JSON (daemon/entry.py), with references in the place of secrets; the columns before it
# are what is searched by. `crc` is that of `entry`: SQLite itself does not notice a flipped bit.
FIRST = """
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    began_ns INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    program TEXT NOT NULL,
    sample_rate INTEGER NOT NULL,
    block_frames INTEGER NOT NULL
);
CREATE TABLE transactions (
    revision INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    frame INTEGER,
    author TEXT NOT NULL,
    kind TEXT NOT NULL,
    of INTEGER,
    effective INTEGER NOT NULL,
    size INTEGER NOT NULL,
    crc INTEGER NOT NULL,
    entry BLOB NOT NULL
);
CREATE TABLE graphs (revision INTEGER PRIMARY KEY, graph BLOB NOT NULL);
CREATE TABLE snapshots (
    name TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    time_ns INTEGER NOT NULL,
    author TEXT NOT NULL,
    nodes INTEGER NOT NULL,
    connections INTEGER NOT NULL,
    graph BLOB NOT NULL
);
CREATE TABLE pulse (id INTEGER PRIMARY KEY, beats INTEGER NOT NULL);
INSERT INTO pulse VALUES (1, 0);
"""

# Parts of graphs under names.
TEMPLATES = """
CREATE TABLE templates (
    name TEXT PRIMARY KEY,
    help TEXT NOT NULL,
    time_ns INTEGER NOT NULL,
    author TEXT NOT NULL,
    part BLOB NOT NULL
);
"""

MIGRATIONS: tuple[str, ...] = (FIRST, TEMPLATES)
VERSION = len(MIGRATIONS)
