"""The judge: a small server that speaks like OpenAI's, asked once a row, its numbers beside the rule's."""

import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from evaluation_run import evaluate, job, own_row, write

from verl_plugins.evaluate.judge import KEY_VARIABLE, Judge


@pytest.fixture
def server():
    """Finds the answers "12" and "a dozen" correct; `broken` makes it fail, `asked` are its requests."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.server.asked.append((self.path, self.headers.get("Authorization"), body))
            text = body["messages"][0]["content"]
            if self.server.broken and "mumble" in text:
                return self.send_error(500)
            is_right = "boxed{12}" in text or "a dozen" in text
            content = "Let me see. CORRECT" if is_right else "INCORRECT."
            reply = json.dumps({"choices": [{"message": {"content": content}}]}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.broken = [], False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


ANSWERS = ["\\boxed{12}", "\\boxed{a dozen}", "\\boxed{13}", "\\boxed{mumble}"]


def judged_job(tmp_path, server, **judge):
    rows = [own_row(number, gold="12", source="mmk12") for number in range(4)] + [own_row(4)]
    a_job = job(tmp_path, write(tmp_path / "test.parquet", rows))
    return replace(a_job, judge=Judge(f"http://127.0.0.1:{server.server_port}/v1", "big", **judge))


def answers(number):
    return ANSWERS[number] if number < 4 else "<answer>[0, 0, 10, 10]</answer>"


def test_both_numbers_are_told_and_none_is_mixed_in(tmp_path, server, monkeypatch, capsys):
    monkeypatch.setenv(KEY_VARIABLE, "s3cret")
    a_job = judged_job(tmp_path, server)
    lines, summary = evaluate(a_job, answers)[2:]
    assert summary["answers"]["mmk12 val"]["accuracy"]["value"] == 0.25  # the rule: 12 alone
    result = summary["judge"]["groups"]["mmk12"]
    assert (result["n"], result["judge"]["value"], result["rule"]["value"], result["agree"]) == (4, 0.5, 0.25, 3)
    assert "verdict" not in lines[0]
    printed = capsys.readouterr().out
    assert "Judged by big, beside the rule" in printed
    path, key, body = server.asked[0]
    assert (path, key, body["model"], body["temperature"]) == ("/v1/chat/completions", "Bearer s3cret", "big", 0)
    assert len(server.asked) == 4  # boxes are not judged
    assert "s3cret" not in "".join(file.read_text() for file in a_job.out.iterdir())
    evaluate(a_job, answers)
    assert len(server.asked) == 4  # verdicts are kept


def test_a_request_that_fails_is_counted_and_asked_again(tmp_path, server, capsys):
    server.broken = True
    a_job = judged_job(tmp_path, server)
    summary = evaluate(a_job, answers)[3]
    assert summary["judge"]["failed"] == 1
    assert summary["judge"]["groups"]["mmk12"]["n"] == 3
    assert "did not answer 1 requests (HTTPError: HTTP Error 500" in capsys.readouterr().out
    server.broken = False
    server.asked.clear()
    summary = evaluate(a_job, answers)[3]
    assert summary["judge"]["failed"] == 0
    assert summary["judge"]["groups"]["mmk12"]["n"] == 4
    assert len(server.asked) == 1


def test_only_the_sources_asked_for_are_judged(tmp_path, server):
    summary = evaluate(judged_job(tmp_path, server, sources=("mathvista",)), answers)[3]
    assert summary["judge"]["groups"] == {} and server.asked == []


def test_two_judges_are_not_mixed(tmp_path, server):
    a_job = judged_job(tmp_path, server)
    evaluate(a_job, answers)
    with pytest.raises(SystemExit, match="names another judge"):
        evaluate(replace(a_job, judge=replace(a_job.judge, model="small")), answers)
