"""A PostgreSQL for tests: on a port of its own, in the bench's directory; and a client that writes like kine and notes every row
that was acknowledged. Debian package: postgresql-15."""
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import threading

from harness import Skip, check, wait_for
from s3_servers import make_certificates

# Source: k3s-io/kine pkg/drivers/pgsql/pgsql.go
KINE = """create table kine (id bigserial primary key, name text collate "C", created integer, deleted integer,
  create_revision bigint, prev_revision bigint, lease integer, value bytea, old_value bytea);
create index kine_name_index on kine (name);
create index kine_name_id_index on kine (name, id);
create index kine_id_deleted_index on kine (id, deleted);
create index kine_prev_revision_index on kine (prev_revision);
create unique index kine_name_prev_revision_uindex on kine (name, prev_revision);
create index kine_list_query_index on kine (name, id desc, deleted)"""
COLUMNS = "name, created, deleted, create_revision, prev_revision, lease, value, old_value"
PASSWORD = "k'p\"# :/w%"
PASSWORD_IN_URL = "k'p%22%23%20%3A%2Fw%25"


def binaries():
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: int(p.parent.parent.name))
    if not found:
        raise Skip("no PostgreSQL server here; apt-get install --no-install-recommends postgresql-15")
    return found[-1].parent


class Postgres:
    """Users: postgres by the socket, without a password; kine, who owns the database kine, by TCP with one."""

    def __init__(self, bench, name="postgres", tls=False, options=()):
        self.bin = binaries()
        self.bench, self.name, self.options = bench, name, list(options)
        self.port = bench.port()
        self.dir = bench.dir / name
        self.dir.mkdir()
        self.socket = self.dir / "socket"
        self.user = []
        if os.getuid() == 0:
            self.user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
            bench.dir.chmod(0o711)
            shutil.chown(self.dir, "postgres")
        bench.ok(*self.user, "mkdir", self.socket)
        bench.ok(*self.user, self.bin / "initdb", "-D", self.dir / "data", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8",
                 "--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync")
        self.ca = None
        if tls:
            self.ca, certificate, key = make_certificates(bench, f"{name}-tls")
            (bench.dir / f"{name}-tls").chmod(0o711)
            if self.user:
                shutil.chown(key, "postgres")
            self.options += ["-c", "ssl=on", "-c", f"ssl_cert_file={certificate}", "-c", f"ssl_key_file={key}"]
            hba = self.dir / "data/pg_hba.conf"
            hba.write_text(hba.read_text().replace("\nhost ", "\nhostssl "))
        self.process = None
        bench.stack.callback(self.stop)
        self.start()
        quoted = PASSWORD.replace("'", "''")
        self.sql(f"create role kine login createdb password '{quoted}'", "postgres")
        self.create()

    def start(self):
        self.process = self.bench.spawn(
            [*self.user, self.bin / "postgres", "-D", self.dir / "data", "-p", self.port, "-c", "listen_addresses=127.0.0.1",
             "-c", f"unix_socket_directories={self.socket}", "-c", "fsync=off", "-c", "autovacuum=off", *self.options],
            f"{self.name}.log")

        def ready():
            check(self.process.poll() is None, "postgres ended with", self.process.returncode)
            return self.psql("postgres", "-c", "select 1").code == 0
        wait_for(ready, "PostgreSQL to answer")

    def stop(self, how=signal.SIGINT):
        """SIGINT: connections are ended in order; SIGQUIT: at once, as in a crash."""
        if self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(90)

    def create(self, database="kine"):
        self.sql(f'create database "{database}" owner kine', "postgres")

    def drop(self, database="kine"):
        self.sql(f'drop database "{database}" with (force)', "postgres")

    def argv(self, database, *more):
        return [self.bin / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", self.socket, "-p", self.port, "-U", "postgres", "-d", database, *more]

    def psql(self, database, *more, **options):
        return self.bench.run(*self.argv(database, *more), **options)

    def sql(self, statement, database="kine"):
        """What it prints, as one text. On kine's database the owner is kine."""
        role = "set role kine;" if database != "postgres" else ""
        result = self.psql(database, stdin=role + statement + ";\n")
        check(result.code == 0, statement[:200], result)
        return result.out.strip("\n")

    def url(self, database="kine", user="kine", password=PASSWORD_IN_URL, parameters="sslmode=disable"):
        return f"postgres://{user}:{password}@127.0.0.1:{self.port}/{database}?{parameters}"

    def rows(self, database="kine", where="true"):
        """How many, and a digest of all columns."""
        return self.sql(f"select count(*), md5(string_agg(md5(k::text), '' order by id)) from kine k where {where}", database)

    def databases(self):
        return set(self.sql("select datname from pg_database where not datistemplate", "postgres").split()) - {"postgres"}

    def loading(self):
        """Is somebody loading rows just now?"""
        return self.sql("select 1 from pg_stat_activity where query like 'COPY %FROM stdin%' and state = 'active'", "postgres")

    @contextlib.contextmanager
    def locked(self, table, database="kine"):
        """Whoever wants to read that table waits until the `with` ends."""
        with subprocess.Popen([str(a) for a in self.argv(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as session:
            session.stdin.write(f"begin; lock table {table}; select 'locked';\n")
            session.stdin.flush()
            check(session.stdout.readline().strip() == "locked", "no lock")
            try:
                yield
            finally:
                session.stdin.close()

    def waiting(self):
        """Does somebody wait for such a table?"""
        return self.sql("select pid from pg_locks where locktype = 'relation' and not granted", "postgres")

    def fill(self, rows, value_bytes=1000, database="kine"):
        """A kine table of so many rows with values that hardly compress."""
        pieces = "||".join(f"sha256((i || ':{n}')::bytea)" for n in range(max(1, value_bytes // 32)))
        self.sql(f"{KINE}; insert into kine ({COLUMNS}) select '/registry/things/' || i % 1000, (i <= 1000)::int, 0, "
                 f"case when i <= 1000 then 0 else 1 + (i - 1) % 1000 end, greatest(i - 1000, 0), 0, {pieces}, null "
                 f"from generate_series(1, {rows}) i", database)

    def fill_hexadecimal(self, rows, value_bytes=1024):
        """As many rows, with values and old values of hexadecimal digits, which compress to half as real objects at least do."""
        def value(i):
            return "convert_to(" + "||".join(f"md5({i} || ':{n}')" for n in range(value_bytes // 32)) + ", 'UTF8')"
        self.sql(f"{KINE}; insert into kine ({COLUMNS}) select '/registry/configmaps/ns' || i % 50 || '/cm-' || lpad((i % 20000)::text, 6, '0'), "
                 f"(i <= 20000)::int, 0, 1 + i % 20000, greatest(i - 20000, 0), 0, {value('i')}, "
                 f"case when i > 20000 then {value('(i - 20000)')} end from generate_series(1, {rows}) i; analyze kine")

    def writer(self):
        return Writer(self)


class Writer:
    """Inserts a row at a time, each in a transaction of its own, and keeps the ids that the server acknowledged."""

    def __init__(self, postgres):
        self.acknowledged, self.stopped = [], False
        self.process = subprocess.Popen([str(a) for a in postgres.argv("kine")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        postgres.bench.stack.callback(self.stop)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        wait_for(lambda: len(self.acknowledged) > 20, "the writer to write")

    def run(self):
        n = 0
        try:
            while not self.stopped:
                n += 1
                self.process.stdin.write(f"insert into kine ({COLUMNS}) values ('/written/{n}', 1, 0, 0, 0, 0, repeat('v{n}', 200)::bytea, "
                                         "null) returning id;\n")
                self.process.stdin.flush()
                line = self.process.stdout.readline()
                if not line:
                    return
                self.acknowledged.append(int(line))
        except OSError:  # the server ended
            pass

    def stop(self):
        self.stopped = True
        self.thread.join(60)
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(60)
        return self.acknowledged
