"""What an answer, or none, means."""

from __future__ import annotations

import pytest

from nksmesh.domain.gateways.answers import Answer, judge_answer
from nksmesh.domain.gateways.endpoints import Address

BALANCER = Address(host="192.0.2.1", port=80, by_node=False)
NODE = Address(host="172.16.0.42", port=30745, by_node=True)
URL = "http://192.0.2.1:80/productpage"


@pytest.mark.parametrize("status", [200, 302])
def test_a_page_is_no_finding(status: int) -> None:
    answer = Answer(url=URL, status=status)
    assert (answer.good, list(judge_answer(answer, BALANCER))) == (True, [])


@pytest.mark.parametrize(
    ("answer", "address", "rule", "hint"),
    [
        (Answer(url=URL, status=404), BALANCER, "gateway.error-answer", "No VirtualService has a route"),
        (Answer(url=URL, status=503), BALANCER, "gateway.error-answer", "The route leads to no ready pod"),
        (Answer(url=URL, status=500), BALANCER, "gateway.error-answer", "Run kubectl logs"),
        (Answer(url=URL, failure="refused"), BALANCER, "gateway.unreachable", "Run nksmesh gateway list"),
        (
            Answer(url=URL, failure="no connection within 10 s", timed_out=True),
            BALANCER,
            "gateway.unreachable",
            "Check the load balancer's IP access control",
        ),
        (
            Answer(url=URL, failure="no connection within 10 s", timed_out=True),
            NODE,
            "gateway.unreachable",
            "Open port 30745 in the nodes' security group",
        ),
    ],
)
def test_everything_else_has_a_likely_cause(answer: Answer, address: Address, rule: str, hint: str) -> None:
    (found,) = judge_answer(answer, address)
    assert (found.id, answer.good) == (rule, False)
    assert found.hint.startswith(hint)
    assert URL in found.message
