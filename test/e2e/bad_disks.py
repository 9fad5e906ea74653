#!/usr/bin/env python3
"""State folders that are damaged, old, full, read-only, open to others or gone, and configurations
that are wrong. Each is refused with a message that names what and where and with an exit code that
says whether a new try can help; the good copy works afterwards, and the other parties sign all the
while."""

import os
import shutil
import sqlite3
import subprocess
import unittest

from rig import suite, web
from rig.quorum import Quorum, new_folder, program, until

Q = P = None  # the quorum, and the party whose disk is bad
EXIT_TEMPORARY, EXIT_CONFIG = 75, 78
ROOT = os.geteuid() == 0


def setUpModule():
    global Q, P
    Q = Quorum().start()
    Q.keygen()
    Q.sign()
    P = Q.party[2]


def tearDownModule():
    Q.kill()


def copy(src, dst):
    shutil.rmtree(dst, ignore_errors=True)
    shutil.copytree(src, dst)
    os.chmod(dst, 0o700)


def whole(p=None):
    """The party is back with all that it had, and signs."""
    p = p or P
    p.start()
    Q.wait_pairs()
    until(p.gateway_up, "the gateway")
    keys = [k["key"] for k in p.query("KEYS")["keys"]]
    assert Q.key["key"] in keys, "the key is lost"
    assert p.index in Q.sign(p.index)["signers"]


class Disk(unittest.TestCase):
    """Stops the party and keeps a copy of its state, which is put back at the end."""

    def setUp(self):
        P.process.terminate()
        self.assertEqual(P.ends(), 0)
        self.good = new_folder()
        copy(P.state, self.good)

    def tearDown(self):
        P.kill()
        copy(self.good, P.state)
        whole()

    def refused(self, code, *words):
        """It ends with this code; its last words name these things. The good copy is back then."""
        mark = P.mark()
        P.spawn()
        try:
            self.assertEqual(P.ends(), code, P.log(mark))
        except subprocess.TimeoutExpired:
            self.fail("it started:\n" + P.log(mark))
        finally:
            P.kill()
        said = P.events("cannot_start", mark)
        self.assertEqual(len(said), 1, P.log(mark))
        for w in words:
            self.assertIn(w, said[0]["msg"])
        self.assertEqual(Q.sign(1)["signers"], [1, 3])
        copy(self.good, P.state)


class Damage(Disk):
    def test_cut_off(self):
        size = os.path.getsize(P.store)
        for n in (50, 100, 4096, size // 2, size - 4096, size - 1):
            with self.subTest(f"{n} bytes of {size}"):
                os.truncate(P.store, n)
                self.refused(EXIT_CONFIG, P.store)

    def test_empty_or_gone(self):
        for remove in (lambda: os.truncate(P.store, 0), lambda: os.unlink(P.store)):
            remove()
            self.refused(EXIT_CONFIG, f"{P.store} is missing or empty, but its log", "put the")

    def test_something_else(self):
        os.unlink(P.store)
        with open(os.open(P.store, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as f:
            f.write(b"this is a letter to my aunt\n" * 1000)
        self.refused(EXIT_CONFIG, P.store, "this is no store; check the path")
        for make in (lambda: os.mkdir(P.store), lambda: os.symlink("/etc/passwd", P.store),
                     lambda: os.mkfifo(P.store)):
            os.unlink(P.store)
            make()
            self.refused(EXIT_TEMPORARY, f"{P.store} is not a regular file")

    def test_flipped_bytes(self):
        """Anywhere in the file: either it is found, or it was a byte that says nothing."""
        size = os.path.getsize(P.store)
        with open(P.store, "rb") as f:
            pages = f.read()
        found = 0
        in_page = (0, 5, 100, 103, 1500, 3000, 4090)
        for at in (18, 40, *(page + i for page in range(0, size, 4096) for i in in_page)):
            with open(P.store, "r+b") as f:
                f.seek(at)
                f.write(bytes((pages[at] ^ 0x55,)))
            mark = P.mark()
            P.spawn()
            until(lambda: not P.running() or P.events("started", mark), "a start or an end")
            if P.running():
                self.assertNotIn("new party", P.events("started", mark)[0]["msg"])
                self.assertIn(Q.key["key"], [k["key"] for k in P.query("KEYS")["keys"]])
                P.kill()
                # It has counted another start.
                copy(P.state, self.good)
                with open(P.store, "rb") as f:
                    pages = f.read()
            else:
                found += 1
                # (Of a byte of the header that forbids writing SQLite says just that.)
                self.assertIn(P.process.returncode, (EXIT_CONFIG, EXIT_TEMPORARY), P.log(mark))
                self.assertIn(P.store, P.events("cannot_start", mark)[0]["msg"])
                copy(self.good, P.state)
        self.assertGreater(found, 5)

    def sql(self, *statements):
        db = sqlite3.connect(P.store)
        for s in statements:
            db.execute(s)
        db.commit()
        db.close()

    def test_records_exchanged(self):
        """A host that knows SQLite."""
        for name, words, statements in (
                ("key removed", "is missing; replace the store by the newest good copy",
                 ["DELETE FROM record WHERE tab=2"]),
                ("key doubled", "was added from outside",
                 ["INSERT INTO record SELECT tab,'00'||substr(name,3),serial,sealed FROM record "
                  "WHERE tab=2"]),
                ("policy for roster", "was changed from outside",
                 ["UPDATE record SET sealed=(SELECT sealed FROM record WHERE name='policy') "
                  "WHERE name='roster'"]),
                ("one byte", "was changed from outside",
                 ["UPDATE record SET sealed=CAST(substr(sealed,1,60)||CASE hex(substr(sealed,61,1))"
                  " WHEN '00' THEN x'01' ELSE x'00' END||substr(sealed,62) AS BLOB) "
                  "WHERE name='identity'"]),
                ("serial", "put back from an old copy",
                 ["UPDATE record SET serial=serial-1 WHERE name='boot'"]),
                ("peers forgotten in part", "does not open",
                 ["UPDATE record SET name='9' WHERE tab=16 AND name='1'"]),
                ("unknown table", "a record that this program never writes",
                 ["INSERT INTO record VALUES(77,'x',1,x'00')"]),
                ("no head", "has no head record", ["DELETE FROM head"]),
                ("head of nothing", "does not open", ["UPDATE head SET sealed=x'01020304'"]),
                ("more tables", "its tables are not those of a store",
                 ["CREATE TABLE more(x)"]),
                ("trigger", "its tables are not those of a store",
                 ["CREATE TRIGGER t AFTER INSERT ON head BEGIN DELETE FROM record; END"]),
                ("other version", "format version 9", ["PRAGMA user_version=9"]),
                ("other program", "another program made this file", ["PRAGMA application_id=9"])):
            with self.subTest(name):
                self.sql(*statements)
                code = EXIT_TEMPORARY if name == "other version" else EXIT_CONFIG
                self.refused(code, P.store, words)

    def test_sealing_key(self):
        """The software TEE's key file; hardware has it in the chip."""
        key = os.path.join(P.state, "sim-seal.key")
        for name, change, words in (
                ("another", lambda: write(key, bytes(range(32))), "the store does not open"),
                ("short", lambda: write(key, b"short"), f"{key} does not hold 32 bytes"),
                ("gone", lambda: os.unlink(key), "the store does not open")):
            with self.subTest(name):
                change()
                self.refused(EXIT_CONFIG, "sealed on another machine" if name != "short" else key,
                             words)


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


class Openness(Disk):
    def test_permissions(self):
        key = os.path.join(P.state, "sim-seal.key")
        for path, mode in ((P.state, 0o777), (P.state, 0o770), (P.store, 0o640), (P.store, 0o604),
                           (P.store + "-wal", 0o644), (key, 0o644), (key, 0o660)):
            with self.subTest(f"{os.path.basename(path)} {mode:o}"):
                os.chmod(path, mode)
                self.refused(EXIT_CONFIG, path, f"mode {mode:04o}")

    @unittest.skipUnless(ROOT, "needs root, to give files away")
    def test_owners(self):
        for name in ("", "store.db", "sim-seal.key"):
            path = os.path.join(P.state, name).rstrip("/")
            with self.subTest(name or "folder"):
                os.chown(path, 65534, 65534)
                self.refused(EXIT_CONFIG, path, "owner 65534")

    def test_folder_that_is_not_there(self):
        shutil.rmtree(P.state)
        self.refused(EXIT_CONFIG, P.state, "No such file or directory")
        shutil.rmtree(P.state)
        write(P.state, b"a file")
        mark = P.mark()
        P.spawn()
        self.assertEqual(P.ends(), EXIT_CONFIG)
        self.assertIn(f"{P.state} is not a directory", P.events("cannot_start", mark)[0]["msg"])
        os.unlink(P.state)


class Configuration(Disk):
    def test_wrong_values(self):
        with open(P.config, encoding="ascii") as f:
            good = f.read()
        for name, old, new, words in (
                ("unknown key", "cloud =", "clowd =", "clowd is no key"),
                ("unknown section", "[pool]", "[pond]", "[pond] is no section of quorated"),
                ("out of range", "high = 64", "high = 64000", "a number from 0 to 10000"),
                ("no number", "low = 32", "low = many", 'low: "many" is not allowed'),
                ("twice", "low = 32", "low = 32\nlow = 32", "low is set twice"),
                ("not an address", "listen = tcp://", "listen = udp://", "tcp://ADDRESS:PORT"),
                ("missing", "operator = test", "", "operator is required"),
                ("no line", "format = json", "as json please", "neither [section] nor key = value")):
            with self.subTest(name):
                self.assertIn(old, good)
                write(P.config, good.replace(old, new).encode())
                for more in ([], ["--check-config"]):
                    r = subprocess.run([program("quorated"), "--config", P.config, *more],
                                       capture_output=True, timeout=20, check=False)
                    self.assertEqual(r.returncode, EXIT_CONFIG)
                    self.assertIn(f"quorated: {P.config}:", r.stderr.decode())
                    self.assertIn(words, r.stderr.decode())
        write(P.config, good.encode())
        r = subprocess.run([program("quorated"), "--config", P.config + ".not"],
                           capture_output=True, timeout=20, check=False)
        self.assertEqual(r.returncode, EXIT_CONFIG)
        self.assertIn("cannot be opened: No such file or directory", r.stderr.decode())


class Age(Disk):
    """Whole copies that are old: only the peers can know."""

    def rolled_back(self, said=True):
        """Peers refuse it and say why (the same is said once a minute); it signs nothing; the
        others do."""
        mark, mark3 = P.mark(), Q.party[3].mark()
        P.start()
        if said:
            e = Q.party[3].wait_event("peer_refused", "its sealed store was copied or rolled back",
                                      mark3, peer=2)
            self.assertIn("peer's state is older than we have seen", e["msg"])
        P.wait_event("peer_refused", "refused us (identity, evidence, boot or stored state)", mark)
        until(P.gateway_up, "the gateway")
        r = Q.post(2, Q.body())
        self.assertEqual((r.status, r.code), (503, "quorum_unavailable"))
        self.assertEqual(Q.sign(1)["signers"], [1, 3])
        self.assertEqual(P.up(), set())
        P.kill()

    def test_old_copy(self):
        P.start()
        Q.wait_pairs()
        Q.keygen()  # a record more
        self.assertEqual(P.stop(), 0)
        newest = new_folder()
        copy(P.state, newest)
        copy(self.good, P.state)
        self.rolled_back()
        copy(newest, self.good)

    def test_log_removed_after_a_crash(self):
        """What was committed last stands in SQLite's log alone."""
        P.start()
        Q.wait_pairs()
        Q.keygen()
        P.kill()
        newest = new_folder()
        copy(P.state, newest)
        os.unlink(P.store + "-wal")
        self.rolled_back()
        copy(newest, P.state)
        with open(P.store + "-wal", "r+b") as f:  # the log's first frames: all after it is void
            f.seek(100)
            f.write(b"\xff" * 100)
        self.rolled_back(said=False)
        copy(newest, self.good)


@unittest.skipUnless(ROOT, "needs root, to mount a small file system")
class Device(Disk):
    def setUp(self):
        super().setUp()
        self.mounted = self.mount()

    def tearDown(self):
        P.kill()
        if self.mounted:
            subprocess.run(["umount", P.state], check=True)
        super().tearDown()

    def mount(self):
        """The state on a device of its own, of 512 KiB."""
        r = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k,mode=700", "quorate", P.state],
                           capture_output=True, check=False)
        if r.returncode != 0:
            return False
        for name in os.listdir(self.good):
            shutil.copy2(os.path.join(self.good, name), P.state)
        return True

    def fill(self):
        with open(os.path.join(P.state, "filler"), "wb", buffering=0) as f:
            try:
                while f.write(bytes(4096)):
                    pass
            except OSError:
                pass

    def keep(self):
        """What is on the device now is the newest copy."""
        os.unlink(os.path.join(P.state, "filler"))
        copy(P.state, self.good)

    def need_mount(self):
        if not self.mounted:
            self.skipTest("mounting is not allowed here")

    def test_read_only(self):
        self.need_mount()
        subprocess.run(["mount", "-o", "remount,ro", P.state], check=True)
        mark = P.mark()
        P.spawn()
        self.assertEqual(P.ends(), EXIT_TEMPORARY, P.log(mark))
        said = P.events("cannot_start", mark)[0]["msg"]
        self.assertIn(P.store, said)
        self.assertIn("make file and directory writable", said)
        self.assertEqual(Q.sign(1)["signers"], [1, 3])

    def test_full_at_start(self):
        self.need_mount()
        self.fill()
        mark = P.mark()
        P.spawn()
        self.assertEqual(P.ends(), EXIT_TEMPORARY, P.log(mark))
        said = P.events("cannot_start", mark)[0]["msg"]
        self.assertIn(P.store, said)
        self.assertIn("free space on the device", said)
        self.assertEqual(Q.sign(1)["signers"], [1, 3])
        self.keep()

    def test_full_while_running(self):
        """A party that cannot write stops signing and says so; the others go on; with space again a
        restart is all it takes."""
        self.need_mount()
        P.start()
        Q.wait_pairs()
        self.fill()
        mark = P.mark()
        policy = Q.make_policy(serial=P.status()["policy_serial"] + 1)
        a = P.admin("LOAD_POLICY", policy, Q.stamps(policy))
        self.assertNotEqual(a.error, 0)
        said = P.wait_event("store_failed", "this party stops signing", mark)["msg"]
        self.assertIn("free space on the device", said)
        r = Q.post(2, Q.body())
        self.assertEqual((r.status, r.code, r.json["detail"]),
                         (503, "not_ready", "this party's store failed"))
        self.assertEqual(web.request(P.http, "GET", "/readyz").status, 503)
        until(lambda: Q.sign(1)["signers"] == [1, 3], "the others")
        P.kill()
        self.keep()


if __name__ == "__main__":
    suite.main()
