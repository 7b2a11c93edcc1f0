# SPDX-License-Identifier: Apache-2.0
"""Do the servers answer alike? bodies.json is posted to each; status, content type, shape of the
answer, and the bad fields with the rule they break must be the same for all that check reports."""
import json
import pathlib
import urllib.error
import urllib.request

BODIES = pathlib.Path(__file__).resolve().parent.parent / "peers" / "bodies.json"


def disagreements(ports: dict[str, int]) -> list[str]:
    """One line for each body that two servers answer differently."""
    found = []
    for case in json.loads(BODIES.read_text()):
        answers = {name: _answer(port, case) for name, port in ports.items()}
        for name, answer in answers.items():
            if answer != case["expect"]:
                found.append(f"{case['name']}: {name} answered {json.dumps(answer)}, "
                             f"expected {json.dumps(case['expect'])}")
    return found


def _answer(port: int, case: dict) -> dict:
    body = case["body"] if isinstance(case["body"], str) else json.dumps(case["body"])
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/epro/reports", data=body.encode(),
        headers={"Content-Type": case.get("type", "application/json")})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return _reduce(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as answer:
        return _reduce(answer.code, answer.headers, answer.read())


def _reduce(status: int, headers, body: bytes) -> dict:
    """What must agree; ids and sequences are each server's own, wording of a syntax error too."""
    said = json.loads(body)
    kind = headers.get_content_type()
    if status != 200:
        errors = sorted([error["field"], error["rule"]] for error in said["errors"])
        return {"status": status, "type": kind, "errors": errors}
    receipt = said.pop("receipt")
    rejected = [[line["line"], line["field"], line["rule"]] for line in said.pop("rejected", [])]
    return {"status": status, "type": kind, "answer": said, "rejected": rejected,
            "receipt": sorted(receipt)}
