"""The server of a site: what it gives out, what it does not, and under which headers."""

from __future__ import annotations

import http.client
import itertools
import os
import socket

import pytest

from bench3d.errors import OutputError
from bench3d.leaderboard.server import ADDRESS, serving, site_file, stamps

PAGE = b"<!doctype html><title>board</title>"


@pytest.fixture
def site(tmp_path):
    """A site with a secret beside it, links out of it and within it."""
    folder = tmp_path / "site"
    (folder / "tables").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "index.html").write_bytes(PAGE)
    (folder / "tables" / "t.csv").write_text("a,b\n")
    (folder / "tables" / "index.html").write_bytes(PAGE)
    (folder / ".bench3d-site").write_text("x")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "site-other").mkdir()
    (tmp_path / "site-other" / "x.txt").write_text("secret")
    (folder / "out.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "outside").symlink_to(tmp_path)
    (folder / "inside.csv").symlink_to(folder / "tables" / "t.csv")
    (folder / "loop").symlink_to(folder / "loop")
    return folder


def ask(server, path, method="GET", **headers):
    link = http.client.HTTPConnection(*server.server_address, timeout=10)
    try:
        link.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            link.putheader(name, value)
        link.endheaders()
        answer = link.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        link.close()


def test_pages_under_strict_headers(site):
    with serving(site) as server:
        assert server.server_address[0] == "127.0.0.1" and server.url == f"http://127.0.0.1:{server.server_address[1]}/"
        status, headers, body = ask(server, "/")
        assert (status, body) == (200, PAGE)
        assert headers["Content-Type"] == "text/html; charset=utf-8" and headers["Content-Length"] == str(len(PAGE))
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy and "file:" not in policy and "http" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
        assert "Python" not in headers["Server"]
        status, headers, body = ask(server, "/tables/t.csv?x=1#y")
        assert (status, body, headers["Content-Type"]) == (200, b"a,b\n", "text/csv; charset=utf-8")
        assert ask(server, "/inside.csv")[2] == b"a,b\n"
        status, headers, body = ask(server, "/tables/t.csv", method="HEAD")
        assert (status, headers["Content-Length"], body) == (200, "4", b"")


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt", "/%2e%2e/secret.txt", "/tables/../../secret.txt", "/..%2fsecret.txt", "/%2e%2e%2fsecret.txt",
        "/..\\secret.txt", "/out.txt", "/outside/secret.txt", "/.bench3d-site", "/tables/.%2e/.%2e/secret.txt", "/loop",
        "//etc/passwd", "/../site-other/x.txt", "/%00", "/index.html%00.txt", "/%ff", "/C:/x", "/nosuch", "/empty/",
        "/tables", "/" + "a" * 5000,
    ],
)  # fmt: skip
def test_what_is_not_given_out(site, path):
    with serving(site) as server:
        status, headers, body = ask(server, path)
    assert status in (400, 404) and b"secret" not in body and b"root:" not in body
    assert status == 400 or headers["X-Content-Type-Options"] == "nosniff"


def test_a_target_that_is_no_address_means_nothing(site):
    assert site_file(site, "http://[/") is None and site_file(site, "/t\0.csv") is None


def test_only_reading_and_only_under_its_own_name(site):
    with serving(site) as server:
        port = server.server_address[1]
        assert ask(server, "/", method="POST")[0] == 501
        assert ask(server, "/", Host=f"localhost:{port}")[0] == 200
        assert ask(server, "/", Host="evil.example")[0] == 403
        assert ask(server, "/", Host=f"evil.example:{port}")[0] == 403


def test_a_site_that_is_replaced_meanwhile(site, tmp_path):
    with serving(site) as server:
        assert ask(server, "/")[0] == 200
        site.rename(tmp_path / "old")
        assert ask(server, "/")[0] == 404
        site.mkdir()
        (site / "index.html").write_text("new")
        assert ask(server, "/")[2] == b"new"


def test_the_root_may_be_reached_by_a_link(site, tmp_path):
    (tmp_path / "link").symlink_to(site)
    assert site_file(tmp_path / "link", "/tables/t.csv") == site / "tables" / "t.csv"
    assert site_file(tmp_path / "link", "/out.txt") is None


def test_a_taken_port_is_told():
    with socket.socket() as taken:
        taken.bind((ADDRESS, 0))
        taken.listen()
        with pytest.raises(OutputError, match="cannot be used"), serving(".", taken.getsockname()[1]):
            pass


def test_nothing_listens_when_it_has_ended(site):
    with serving(site) as server:
        port = server.server_address[1]
    with socket.socket() as link:
        assert link.connect_ex((ADDRESS, port)) != 0


def test_stamps_change_with_a_record_its_sidecar_and_its_verification(tmp_path):
    run = tmp_path / "runs" / "task" / "model-1"
    run.mkdir(parents=True)
    assert stamps([tmp_path]) == {}
    seen = []
    for name in ("record.json", "samples.jsonl", "verification.json"):
        (run / name).write_text("{}")
        seen.append(stamps([tmp_path]))
    os.utime(run / "record.json", ns=(1, 1))
    seen.append(stamps([tmp_path]))
    (run / "samples.jsonl").unlink()
    seen.append(stamps([tmp_path]))
    assert all(a != b for a, b in itertools.pairwise(seen))
    attempt = tmp_path / "runs" / "task" / ".attempts" / "model-2"
    attempt.mkdir(parents=True)
    (attempt / "record.json").write_text("{}")
    assert stamps([tmp_path, tmp_path / "nosuch"]) == seen[-1]
