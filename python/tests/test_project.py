"""Where a service's address and token come from."""

import os
import pathlib
import tempfile
import unittest
from unittest import mock

import heddle
from heddle import project

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "examples" / "flights"


class Discovery(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name).resolve()
        self.addCleanup(os.chdir, os.getcwd())
        environment = mock.patch.dict(os.environ)
        environment.start()
        self.addCleanup(environment.stop)
        os.environ.pop("HEDDLE_URL", None)
        os.environ.pop("HEDDLE_TOKEN", None)
        (self.root / "heddle.yaml").write_text("kind: Project\nname: p\n")
        (self.root / "services").mkdir()
        (self.root / "services/a.yaml").write_text(
            'kind: Service\nname: "late"\nport: 8123  # ours\nlimits:\n  batch_rows: 77\n---\nkind:'
            " Service\nname: other\nhost: 10.0.0.1\n"
        )
        (self.root / ".heddle/tokens").mkdir(parents=True)
        (self.root / ".heddle/tokens/caller").write_text("caller-token\n")
        (self.root / ".heddle/tokens/reader").write_text("reader-token\n")
        (self.root / "people.yaml").write_text(
            "kind: People\npeople:\n  - name: ada\n    roles: [x]\nservice_accounts:\n  - name:"
            " reader\n    permissions: [read]\n  - name: caller\n    permissions:\n      -"
            " predict\n      - label\n"
        )

    def test_the_examples_definitions_are_read(self):
        self.assertEqual(project.url(EXAMPLE, "delay"), "http://127.0.0.1:8000")
        self.assertEqual(project.batch_rows(EXAMPLE, "delay"), 1024)
        self.assertEqual(
            project._accounts(EXAMPLE),
            [("replayer", {"predict", "label", "replay"}), ("dashboard", {"read"})],
        )

    def test_from_a_folder_below(self):
        (self.root / "deep/er").mkdir(parents=True)
        os.chdir(self.root / "deep/er")
        service = heddle.load("late")
        self.assertEqual(service._transport.url, "http://127.0.0.1:8123")
        self.assertEqual(service._transport._headers["Authorization"], "Bearer caller-token")
        self.assertEqual(service.batch_rows, 77)
        self.assertEqual(heddle.load("other")._transport.url, "http://10.0.0.1:8000")

    def test_arguments_before_environment_before_project(self):
        os.chdir(self.root)
        os.environ["HEDDLE_URL"], os.environ["HEDDLE_TOKEN"] = (
            "https://serve.example:8443",
            "from-env",
        )
        service = heddle.load("late")
        self.assertEqual(
            (service._transport.url, service._transport._headers["Authorization"]),
            ("https://serve.example:8443", "Bearer from-env"),
        )
        service = heddle.load("late", url="http://h:1", token="t")
        self.assertEqual(
            (service._transport.url, service._transport._headers["Authorization"]),
            ("http://h:1", "Bearer t"),
        )
        service = heddle.load("late", project=self.root)
        self.assertEqual(
            (service._transport.url, service._transport._headers["Authorization"]),
            ("http://127.0.0.1:8123", "Bearer caller-token"),
        )
        self.assertEqual(
            heddle.load("late", account="reader")._transport._headers["Authorization"],
            "Bearer reader-token",
        )

    def test_flow_mappings_are_accounts_too(self):
        (self.root / "people.yaml").write_text(
            "kind: People\nservice_accounts:\n- {name: one, permissions: [read]}\n- {name: caller,"
            " permissions: [predict]}\nx: 1\n"
        )
        self.assertEqual(project.token(self.root, "predict", None), "caller-token")

    def test_what_is_missing_is_said(self):
        os.chdir(self.root)
        for call, id in (
            (lambda: heddle.load("nope"), "service-unknown"),
            (lambda: heddle.load("late", account="ghost"), "token-missing"),
            (lambda: heddle.load("late", project=self.root / "services"), "project-not-found"),
            (lambda: project.token(self.root, "replay", None), "account-missing"),
            (lambda: heddle.load("late", url="ftp://x", token="t"), "url-invalid"),
            (lambda: heddle.load("late", url="http://x:y", token="t"), "url-invalid"),
            (lambda: heddle.load("late", url="http://x", token="a\nb"), "token-invalid"),
        ):
            with self.assertRaises(heddle.ProjectError) as caught:
                call()
            self.assertEqual(caught.exception.id, id)
            self.assertTrue(caught.exception.hint)
        os.chdir("/")
        with self.assertRaises(heddle.ProjectError) as caught:
            heddle.load("late")
        self.assertEqual(caught.exception.id, "token-missing")


if __name__ == "__main__":
    unittest.main()
