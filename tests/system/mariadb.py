"""A MariaDB for tests: on a port and a socket of its own, in the bench's directory; and a client that writes like kine and
notes every row that was acknowledged. Debian packages: mariadb-server, mariadb-client, openssl."""
import contextlib
import getpass
import hashlib
import shutil
import signal
import subprocess
import threading

from harness import Skip, check, wait_for
from s3_servers import make_certificates

KINE = """create table kine (id bigint unsigned auto_increment primary key, name varchar(630) character set ascii,
  created integer, deleted integer, create_revision bigint unsigned, prev_revision bigint unsigned, lease integer,
  value mediumblob, old_value mediumblob, key kine_name_index (name), key kine_name_id_index (name, id),
  key kine_id_deleted_index (id, deleted), key kine_prev_revision_index (prev_revision),
  unique key kine_name_prev_revision_uindex (name, prev_revision))"""
PASSWORD = "k'p\"#\\ @:/w"


class MariaDb:
    """Users: root by the socket, without a password; kine with all rights on the database kine."""

    def __init__(self, bench, name="maria", tls=False, options=()):
        if not shutil.which("mariadbd") or not shutil.which("mariadb-install-db"):
            raise Skip("no MariaDB server here")
        self.bench, self.name, self.options = bench, name, list(options)
        self.dir = bench.dir / name
        # A server that starts removes the temporary tables of others where it has its own.
        self.temporary = self.dir / "tmp"
        self.temporary.mkdir(parents=True)
        self.port, self.socket = bench.port(), self.dir / "socket"
        self.ca = None
        if tls:
            self.ca, certificate_file, key = make_certificates(bench, f"{name}-tls")
            self.options += [f"--ssl-cert={certificate_file}", f"--ssl-key={key}", f"--ssl-ca={self.ca}"]
        self.process = None
        self.user = f"--user={getpass.getuser()}"
        bench.ok("mariadb-install-db", "--no-defaults", f"--datadir={self.dir / 'data'}", f"--tmpdir={self.temporary}", self.user,
                 "--skip-test-db", "--auth-root-authentication-method=normal")
        self.start()
        self.sql("create database kine character set utf8mb4 collate utf8mb4_bin")
        quoted = PASSWORD.replace("\\", "\\\\").replace("'", "''")
        self.sql(f"create user kine@'%' identified by '{quoted}'{' require ssl' if tls else ''}")
        self.sql("grant all on kine.* to kine@'%'")

    def start(self):
        # Log flush 2: what was committed outlives a server that is killed (0 may lose the last second), without an fsync each time.
        self.process = self.bench.spawn(
            ["mariadbd", "--no-defaults", f"--datadir={self.dir / 'data'}", f"--tmpdir={self.temporary}", self.user, f"--port={self.port}",
             "--bind-address=127.0.0.1", f"--socket={self.socket}", f"--pid-file={self.dir / 'pid'}", "--skip-name-resolve",
             "--skip-log-bin", "--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=64M", *self.options],
            f"{self.name}.log")

        def ready():
            check(self.process.poll() is None, "mariadbd ended with", self.process.returncode)
            return self.client("-e", "select 1").code == 0
        wait_for(ready, "MariaDB to answer")

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(90)

    def argv(self, *more):
        return ["mariadb", "--no-defaults", "-uroot", f"--socket={self.socket}", "--default-character-set=utf8mb4",
                "--max-allowed-packet=1G", "-N", *more]

    def client(self, *more, **options):
        return self.bench.run(*self.argv(*more), **options)

    def sql(self, statement, database=""):
        """What it prints, as one text."""
        result = self.client("-r", *([f"--database={database}"] if database else []), stdin=statement + ";\n")
        check(result.code == 0, statement[:200], result)
        return result.out.strip("\n")

    def url(self, database="kine", user="kine", password=PASSWORD, parameters=""):
        return f"mysql://{user}:{password}@tcp(127.0.0.1:{self.port})/{database}{parameters}"

    def socket_url(self, database="kine"):
        return f"mysql://root@unix({self.socket})/{database}"

    def rows(self, database="kine"):
        """Every row of kine: (id, name, deleted, prev_revision, digest of the value)."""
        out = self.sql("select id, name, deleted, prev_revision, sha2(value, 256) from kine order by id", database)
        return [tuple(line.split("\t")) for line in out.splitlines()]

    def databases(self):
        return set(self.sql("show databases").split()) - {"information_schema", "mysql", "performance_schema", "sys"}

    @contextlib.contextmanager
    def locked(self, table="kine", database="kine"):
        """Whoever wants to read rows of that table waits until the `with` ends."""
        with subprocess.Popen(self.argv("-n", database), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
            client.stdin.write(f"lock tables {table} write; select 'locked';\n")
            client.stdin.flush()
            check(client.stdout.readline().strip() == "locked", "no lock")
            try:
                yield
            finally:
                client.stdin.close()

    def waiting(self):
        """Does somebody wait for such a table?"""
        return self.sql("select id from information_schema.processlist where state like 'Waiting for table metadata lock%'")

    def fill(self, rows, value_bytes=1000, database="kine"):
        """A kine table of so many rows with values that hardly compress, holding every byte."""
        pieces = ",".join(f"unhex(sha2(concat(seq, ':{i}'), 256))" for i in range(value_bytes // 32))
        self.sql(KINE, database)
        self.sql("insert into kine (id, name, created, deleted, create_revision, prev_revision, lease, value, old_value) select "
                 f"seq, concat('/registry/', seq % 500), seq <= 500, 0, 0, if(seq <= 500, 0, seq - 500), 0, concat({pieces}), null "
                 f"from seq_1_to_{rows}", database)


class Writer:
    """Writes rows into kine one by one, each in a transaction of its own, as long as the `with` lasts."""

    def __init__(self, maria, first):
        """`first`: the id that the first row will get."""
        self.next = first
        self.acknowledged = []  # as MariaDb.rows()
        self.stopping = threading.Event()
        self.client = subprocess.Popen(maria.argv("-n", "kine"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.stopping.is_set():
            value = hashlib.sha256(str(self.next).encode()).digest() * 8
            name = f"/written/{self.next % 7}"
            self.client.stdin.write(
                "insert into kine (name, created, deleted, create_revision, prev_revision, lease, value) values "
                f"('{name}', 0, {int(self.next % 5 == 0)}, 0, {self.next}, 0, x'{value.hex()}'); select last_insert_id();\n")
            self.client.stdin.flush()
            answer = self.client.stdout.readline().strip()
            if not answer:
                return  # the database went away
            self.acknowledged.append((answer, name, str(int(self.next % 5 == 0)), str(self.next),
                                      hashlib.sha256(value).hexdigest()))
            self.next = int(answer) + 1

    def __enter__(self):
        self.thread.start()
        wait_for(lambda: len(self.acknowledged) > 20, "rows to be written")
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()
        self.client.stdin.close()
        self.client.wait()
