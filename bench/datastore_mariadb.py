"""MariaDB for bench/compare-datastores: the kine table, and what `mariadb-dump | zstd -1` makes of it."""
import mariadb

# 1 KiB of hexadecimal digits, all different: compresses to about half, as real objects at least do.
DIGITS = "concat(" + ",".join(f"md5(concat({{0}}, ':{i}'))" for i in range(32)) + ")"


class MariaDb:
    def __init__(self, bench, rows):
        # The tools are measured, not the disk.
        self.server = mariadb.MariaDb(bench, options=["--innodb-buffer-pool-size=256M", "--max-allowed-packet=64M"])
        self.megabytes = rows * 2048 / 1e6
        versions = 20000
        self.server.sql(mariadb.KINE, "kine")
        self.server.sql(
            "insert into kine (name, created, deleted, create_revision, prev_revision, lease, value, old_value) select "
            f"concat('/registry/configmaps/ns', seq % 50, '/cm-', lpad(seq % {versions}, 6, '0')), seq <= {versions}, 0, "
            f"1 + seq % {versions}, if(seq <= {versions}, 0, seq - {versions}), 0, {DIGITS.format('seq')}, "
            f"if(seq <= {versions}, null, {DIGITS.format(f'seq - {versions}')}) from seq_1_to_{rows}", "kine")
        self.endpoint, self.new_endpoint = self.server.socket_url(), self.server.socket_url("new")

    def prepare_new(self):
        self.server.sql("create database new")

    def drop_new(self):
        self.server.sql("drop database if exists new")

    def peers(self, directory):
        login = f"--no-defaults -uroot --socket='{self.server.socket}'"
        file = directory / "dump.zst"
        dump = f"set -o pipefail; mariadb-dump {login} --single-transaction --quick kine | zstd -1 -q -f -o '{file}'"
        load = f"set -o pipefail; zstd -dcq '{file}' | mariadb {login} --binary-mode new"
        return [("mariadb-dump, zstd -1", ["bash", "-c", dump], file, ["bash", "-c", load])]
