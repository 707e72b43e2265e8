"""Sandboxes: pages, and creations whose answer is lost. The rest needs a daemon (tests/clients/python_client.py)."""
import unittest

import support
from lm_sandbox import Conflict, ConnectionFailed, Sandbox, fields


def sandbox(id):
    return {"id": id, "name": None, "state": "running", "limits": {"cpus": 1.5, "of_the_future": 1}}


class Pages(support.ServerTest):
    def test_a_list_goes_on_until_there_is_no_cursor(self):
        lines = []

        def serve(exchange, _):
            while request := exchange.request():
                lines.append(request[0].split()[1])
                is_last = "cursor" in lines[-1]
                exchange.answer({"data": [sandbox("b" if is_last else "a")], "next_cursor": None if is_last else "=&"})

        client = self.serve(serve)
        found = list(Sandbox.list(labels={"k": "v", "l": "w"}, state="running", client=client))
        self.assertEqual([info.id for info in found], ["a", "b"])
        self.assertEqual(found[0].limits.cpus, 1.5)
        self.assertEqual(lines, ["/v1/sandboxes?state=running&label=k%3Dv%2Cl%3Dw",
                                 "/v1/sandboxes?state=running&label=k%3Dv%2Cl%3Dw&cursor=%3D%26"])


class Labels(unittest.TestCase):
    def test_are_asked_for_with_whatever_is_in_them(self):
        self.assertEqual(fields.labels({"k=,": "a,b=c\\"}), r"k\=\,=a\,b\=c\\")
        self.assertIsNone(fields.labels({}))


class Ports(support.ServerTest):
    def test_are_listed_and_have_urls(self):
        lines = []

        def serve(exchange, _):
            while request := exchange.request():
                lines.append(request[0].split()[1])
                if lines[-1].endswith("/ports"):
                    exchange.answer({"data": [{"port": 80, "address": "::1", "of_the_future": 1}], "next_cursor": None})
                elif lines[-1].endswith("/previews"):
                    exchange.answer({"url": "u", "token": "t", "port": 80, "expires_at": "e"}, "201 Created")
                else:
                    exchange.answer(sandbox("a"))

        client = self.serve(serve)
        box = Sandbox.connect("a", client=client)
        self.assertEqual([(port.port, port.address, port.process) for port in box.ports()], [(80, "::1", None)])
        self.assertEqual(box.preview(80).url, "u")
        self.assertEqual(box.port_url(80), f"{client.address}/v1/sandboxes/a/ports/80/")
        self.assertEqual(lines[1:], ["/v1/sandboxes/a/ports", "/v1/sandboxes/a/previews"])


class Creation(support.ServerTest):
    def create(self, *answers):
        """Makes a sandbox where a server answers so, None being nothing at all; and the keys that came."""
        keys = []

        def serve(exchange, number):
            keys.append(exchange.request()[1]["idempotency-key"])
            if answers[number] is not None:
                exchange.answer(*answers[number], more="Connection: close\r\n")

        client = self.serve(serve)
        return (lambda: Sandbox.create(client=client)), keys

    def test_a_lost_answer_is_asked_for_again_under_the_same_key(self):
        in_use = (support.refusal("idempotency_key_in_use"), "503 Service Unavailable")
        create, keys = self.create(None, in_use, (sandbox("a"), "201 Created"))
        self.assertEqual(create().id, "a")
        self.assertEqual((len(keys), len(set(keys))), (3, 1))

    def test_two_creations_have_two_keys(self):
        create, keys = self.create((sandbox("a"), "201 Created"), (sandbox("b"), "201 Created"))
        self.assertEqual((create().id, create().id, len(set(keys))), ("a", "b", 2))

    def test_a_refusal_is_an_error_at_once(self):
        create, keys = self.create((support.refusal("name_taken"), "409 Conflict"))
        self.assertRaises(Conflict, create)
        self.assertEqual(len(keys), 1)

    def test_nobody_there_is_an_error_at_once(self):
        create, _ = self.create()
        self.server.close()
        self.assertRaises(ConnectionFailed, create)


if __name__ == "__main__":
    unittest.main()
