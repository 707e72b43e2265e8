#!/usr/bin/python3
"""Whose volumes and snapshots are: users of one daemon have theirs, and nobody reaches another's by its id or its name."""
import contextlib
import grp
import os
import pathlib
import pwd
import sqlite3
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import lmsb
from test_snapshot_files import FileTest, archive, manifest, zstd

GROUP = "nogroup"  # of users that every Debian has; keys would not do: each is an administrator's


class Owners(FileTest):
    flags = ("--socket-group", GROUP)

    def setUp(self):
        group = grp.getgrnam(GROUP).gr_gid
        users = sorted(user.pw_uid for user in pwd.getpwall() if user.pw_gid == group)
        if len(users) < 2:
            self.skipTest(f"two users whose group is {GROUP} are needed")
        self.users = users[:2]
        super().setUp()

    @contextlib.contextmanager
    def of(self, user):
        """Requests are those of this user meanwhile: the daemon asks the kernel whose a connection is."""
        os.seteuid(user)
        try:
            yield
        finally:
            os.seteuid(0)

    def ask(self, user, method, path, body=None):
        with self.of(user):
            return self.daemon.request(method, path, body)

    def made(self, user, path, body):
        answer = self.ask(user, "POST", path, body)
        self.assertEqual(answer.status, 201, answer.body)
        return answer.json()["id"]

    def ids(self, user, path):
        return sorted(one["id"] for one in self.ask(user, "GET", path).json()["data"])

    def test_of_volumes_each_has_his_own_also_under_one_name(self):
        caches = [self.made(user, "/v1/volumes", {"name": "cache", "labels": {"of": str(user)}}) for user in self.users]
        others = [self.made(user, "/v1/volumes", {"name": f"of-{user}"}) for user in self.users]
        for user, mine, more, not_mine in zip(self.users, caches, others, (1, 0)):
            self.assertEqual(self.ids(user, "/v1/volumes"), sorted([mine, more]))
            self.assertEqual(self.ask(user, "GET", "/v1/volumes/cache").json()["id"], mine)
            for volume in (caches[not_mine], others[not_mine], f"of-{self.users[not_mine]}"):
                with self.subTest(user=user, volume=volume):
                    mounts = [{"volume": volume, "target": "/data"}]
                    for method, path, body in (("GET", "/v1/volumes/" + volume, None),
                                               ("PATCH", "/v1/volumes/" + volume, {"labels": {"of": "me"}}),
                                               ("DELETE", "/v1/volumes/" + volume, None),
                                               ("POST", "/v1/sandboxes", {"image": self.image, "volumes": mounts}),
                                               ("POST", "/v1/run", {"image": self.image, "cmd": "ls", "volumes": mounts})):
                        self.refused(self.ask(user, method, path, body), 404, "volume_not_found")

    def test_a_name_that_both_have_is_mounted_changed_and_removed_as_ones_own(self):
        first, second = self.users
        volume, kept = [self.made(user, "/v1/volumes", {"name": "cache"}) for user in self.users]
        write = {"image": self.image, "cmd": "echo $WHO >>/c/a; cat /c/a", "volumes": [{"volume": "cache", "target": "/c"}]}
        for user in self.users:
            done = self.ask(user, "POST", "/v1/run", {**write, "env": {"WHO": str(user)}})
            self.assertEqual((done.status, done.json().get("stdout")), (200, f"{user}\n"), done.body)
        self.assertEqual(self.ask(first, "PATCH", "/v1/volumes/cache", {"labels": {"of": "first"}}).json()["id"], volume)
        self.assertEqual(self.ask(second, "GET", "/v1/volumes/cache").json()["labels"], {})
        self.assertEqual(self.ask(first, "DELETE", "/v1/volumes/cache").status, 204)
        self.assertEqual([self.ids(user, "/v1/volumes") for user in self.users], [[], [kept]])
        # Administrators see all, and name those of others by their ids.
        self.assertEqual(self.daemon.request("GET", "/v1/volumes/" + kept).status, 200)
        self.refused(self.daemon.request("GET", "/v1/volumes/cache"), 404, "volume_not_found")

    def test_of_snapshots_each_has_his_own(self):
        first, second = self.users
        box = self.made(first, "/v1/sandboxes", {"image": self.image})
        taken = self.made(first, f"/v1/sandboxes/{box}/snapshot", {})
        own = self.made(second, "/v1/sandboxes", {"image": self.image})
        self.assertEqual([self.ids(user, "/v1/snapshots") for user in self.users], [[taken], []])
        for method, path, body in (("GET", "/v1/snapshots/" + taken, None), ("DELETE", "/v1/snapshots/" + taken, None),
                                   ("GET", f"/v1/snapshots/{taken}/export", None),
                                   ("POST", "/v1/sandboxes", {"snapshot": taken}),
                                   ("POST", f"/v1/sandboxes/{own}/rollback", {"snapshot": taken})):
            self.refused(self.ask(second, method, path, body), 404, "snapshot_not_found")
        self.assertEqual(self.ids(first, "/v1/snapshots"), [taken])

    def test_a_snapshots_name_is_each_ones_own_and_administrators_have_theirs_first(self):
        boxes = {user: self.made(user, "/v1/sandboxes", {"image": self.image}) for user in self.users}
        taken = {user: self.made(user, f"/v1/sandboxes/{box}/snapshot", {"name": "same"}) for user, box in boxes.items()}
        only = self.made(self.users[0], f"/v1/sandboxes/{boxes[self.users[0]]}/snapshot", {"name": "only"})
        for user in self.users:
            self.assertEqual(self.ask(user, "GET", "/v1/snapshots/same").json()["id"], taken[user])
            self.refused(self.ask(user, "POST", f"/v1/sandboxes/{boxes[user]}/snapshot", {"name": "same"}), 409, "name_taken")
        self.assertEqual(self.daemon.request("GET", "/v1/snapshots/only").json()["id"], only)
        refused = self.daemon.request("DELETE", "/v1/snapshots/same")
        self.refused(refused, 400, "snapshot_ambiguous")
        self.assertIn("by its id", refused.json()["error"]["hint"])
        box = self.daemon.post("/v1/sandboxes", {"image": self.image}).json()["id"]
        own = self.daemon.post(f"/v1/sandboxes/{box}/snapshot", {"name": "same"}).json()["id"]
        self.assertEqual(self.daemon.request("DELETE", "/v1/snapshots/same").status, 204)
        self.assertEqual(sorted(self.listed()), sorted([*taken.values(), only]), own)

    def test_a_file_that_names_anothers_sandbox_puts_back_none(self):
        first, second = self.users
        box = self.made(first, "/v1/sandboxes", {"image": self.image})
        own = self.made(second, "/v1/sandboxes", {"image": self.image})
        with self.of(second):
            taken = [self.imported(manifest(self.fields(sandbox_id=one)) + zstd(archive())) for one in (box, own)]
        self.assertEqual([one["sandbox_id"] for one in taken], ["", own])
        forged, honest = (one["id"] for one in taken)
        to = {"snapshot": forged}
        self.refused(self.ask(first, "POST", f"/v1/sandboxes/{box}/rollback", to), 404, "snapshot_not_found")
        self.refused(self.ask(second, "POST", f"/v1/sandboxes/{own}/rollback", to), 400, "snapshot_of_another")
        self.refused(self.roll_back(box, forged), 400, "snapshot_of_another")
        self.assertEqual(self.ask(second, "POST", f"/v1/sandboxes/{own}/rollback", {"snapshot": honest}).status, 200)
        # Nor where a daemon of another day has written down what the file says.
        self.daemon.stop()
        with contextlib.closing(sqlite3.connect(self.daemon.data_dir / "state/sandboxes.db")) as database, database:
            database.execute("UPDATE snapshots SET sandbox = ? WHERE id = ?", (box, forged))
        self.daemon.start()
        self.refused(self.roll_back(box, forged), 400, "snapshot_of_another")


if __name__ == "__main__":
    lmsb.main()
