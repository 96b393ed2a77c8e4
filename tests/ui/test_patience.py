"""js/patience.js: what an upload does about a problem."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.node import Node, node_with

HALF = "it.verdict(x.problem, { begun: x.begun, tries: x.tries }, () => 0.5)"
CONNECTION = "Waiting for the connection…"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    yield from node_with("patience.js", tmp_path_factory.mktemp("patience"))


def verdict(
    node: Node, status: int, code: str = "http", *, begun: bool = True, tries: int = 0, wait: int = 0
) -> dict[str, Any] | None:
    """Without chance: the delays are the middle ones."""
    problem = {"status": status, "code": code, "title": "So it is", "wait": wait}
    found: dict[str, Any] | None = node(HALF, {"problem": problem, "begun": begun, "tries": tries})
    return found


@pytest.mark.parametrize(
    ("status", "code"),
    [(0, "unreachable"), (502, "http"), (503, "unavailable"), (503, "shutting_down"), (504, "http")],
)
def test_nobody_there_is_waited_for(node: Node, status: int, code: str) -> None:
    assert verdict(node, status, code) == {"delay": 1000, "words": CONNECTION, "anew": False}


def test_the_delays_grow_up_to_half_a_minute(node: Node) -> None:
    delays = [(verdict(node, 0, "unreachable", tries=tries) or {})["delay"] for tries in range(8)]
    assert delays == [1000, 2000, 4000, 8000, 15000, 30000, 30000, 30000]


@pytest.mark.parametrize(
    ("status", "code"), [(429, "upload_quota"), (503, "busy"), (409, "offset_mismatch"), (500, "internal")]
)
def test_what_passes_is_waited_for_by_name(node: Node, status: int, code: str) -> None:
    assert verdict(node, status, code) == {"delay": 1000, "words": "Waiting: So it is", "anew": False}


def test_the_service_may_ask_for_more_patience(node: Node) -> None:
    assert (verdict(node, 429, "too_many_uploads", wait=5000) or {})["delay"] == 5000


def test_an_upload_that_is_gone_begins_anew_and_only_once(node: Node) -> None:
    assert verdict(node, 404, "not_found") == {"delay": 0, "words": "", "anew": True}
    assert verdict(node, 404, "not_found", begun=False) is None


def test_a_proof_that_is_out_of_date_is_made_good_at_once_but_not_for_ever(node: Node) -> None:
    assert verdict(node, 403, "csrf") == {"delay": 0, "words": "", "anew": False}
    assert verdict(node, 403, "csrf", tries=2) is None


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (-1, "unreadable"),
        (401, "unauthorized"),
        (403, "forbidden"),
        (409, "upload_taken_over"),
        (413, "too_large"),
        (422, "rejected"),
        (507, "storage_full"),
    ],
)
def test_what_does_not_pass_by_itself_is_told(node: Node, status: int, code: str) -> None:
    assert verdict(node, status, code) is None


def test_a_server_that_goes_on_being_broken_is_believed(node: Node) -> None:
    assert verdict(node, 500, "internal", tries=6) is None
