"""The SQLite part of compare-datastores: SQLite's shell, which checks nothing, and the shell with the check that Holdfast makes.
Needs the Debian package sqlite3. The database is made once and kept in out/bench."""
import contextlib
import hashlib
import shutil
import sqlite3

from etcds import CACHE, WORK
from harness import Skip

KEYS = 20_000
SCHEMA = """
create table kine (id integer primary key autoincrement, name integer, created integer, deleted integer, create_revision integer,
  prev_revision integer, lease integer, value blob, old_value blob);
create index kine_name_index on kine (name);
create index kine_name_id_index on kine (name, id);
create index kine_id_deleted_index on kine (id, deleted);
create index kine_prev_revision_index on kine (prev_revision);
create unique index kine_name_prev_revision_uindex on kine (name, prev_revision);
"""


def kine_database(rows):
    """Values and old values of 1 KiB, all different, half of them noise: as the other kinds have them."""
    path = CACHE / f"kine-{rows}.db"
    if path.exists():
        return path
    made = path.with_suffix(".part")
    made.unlink(missing_ok=True)

    def value(i):
        return hashlib.shake_128(b"%d" % i).digest(512).hex().encode()
    with contextlib.closing(sqlite3.connect(made)) as db:
        db.execute("pragma journal_mode=wal")
        db.executescript(SCHEMA)
        db.executemany("insert into kine values (?, ?, ?, 0, ?, ?, 0, ?, ?)", (
            (i, "/registry/configmaps/ns%d/cm-%06d" % (i % 50, i % KEYS), int(i <= KEYS), 0 if i <= KEYS else 1 + i % KEYS,
             max(0, i - KEYS), value(i), None if i <= KEYS else value(i - KEYS)) for i in range(1, rows + 1)))
        db.commit()
    made.rename(path)
    return path


class Sqlite:
    def __init__(self, _bench, rows):
        if shutil.which("sqlite3") is None:
            raise Skip("the sqlite3 shell is not installed")
        self.source, self.restored = kine_database(rows), WORK / "restored.db"
        self.megabytes = self.source.stat().st_size / 1e6  # of the file: what everybody copies
        self.endpoint, self.new_endpoint = f"sqlite://{self.source}", f"sqlite://{self.restored}"

    def peers(self, directory):
        file, checked = directory / "backup.db", directory / "checked.db"
        return [("sqlite3 .backup", ["sqlite3", self.source, f".backup {file}"], file,
                 ["sqlite3", self.restored, f".restore {file}"]),
                ("sqlite3 .backup, integrity_check", ["sqlite3", self.source, f".backup {checked}", f"attach '{checked}' as made",
                                                      "pragma made.integrity_check"], checked,
                 ["sqlite3", checked, "pragma integrity_check", f".backup {self.restored}"]),
                ("cp, fsync", ["dd", f"if={self.source}", f"of={directory / 'copy.db'}", "bs=1M", "conv=fsync"], directory / "copy.db",
                 ["dd", f"if={directory / 'copy.db'}", f"of={self.restored}", "bs=1M", "conv=fsync"])]

    def prepare_new(self):
        self.drop_new()

    def drop_new(self):
        for path in self.restored.parent.glob(self.restored.name + "*"):
            path.unlink()
