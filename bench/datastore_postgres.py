"""The PostgreSQL part of compare-datastores: pg_dump and pg_restore as they are."""
import databases


class Postgres:
    def __init__(self, bench, rows):
        self.server = databases.Postgres(bench, options=["-c", "max_wal_size=4GB"])
        self.server.fill_hexadecimal(rows)
        self.megabytes = int(self.server.sql("select sum(octet_length(value) + coalesce(octet_length(old_value), 0)) from kine")) / 1e6
        self.endpoint, self.new_endpoint = self.server.url(), self.server.url("restored")

    def peers(self, directory):
        tool = lambda name, database, *more: [self.server.bin / name, "-h", self.server.socket, "-p", self.server.port, "-U", "postgres",
                                              "-d", database, *more]
        out = []
        for level in ("-Z0", "-Z1"):
            file = directory / f"dump{level}"
            out.append((f"pg_dump -Fc {level}", tool("pg_dump", "kine", "-Fc", level, "-f", file), file,
                        tool("pg_restore", "restored", "--single-transaction", file)))
        file = directory / "dump-Z0"
        out.append(("pg_dump -Fc -Z0, restored with -j2", tool("pg_dump", "kine", "-Fc", "-Z0", "-f", file), file,
                    tool("pg_restore", "restored", "-j2", file)))
        return out

    def prepare_new(self):
        """The peers need an empty database; ours makes it itself."""
        self.server.create("restored")

    def drop_new(self):
        self.server.sql("drop database if exists restored with (force)", "postgres")
