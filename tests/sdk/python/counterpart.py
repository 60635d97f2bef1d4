"""What every counterpart in Python stands on: its orders, the sandbox's control API, an endpoint, and the cells.

A counterpart reads its task as JSON from standard input, and prints one line of JSON for each cell of the matrix:
{"row": …, "seen": …} if the SDK saw what the row promises, {"row": …, "limit": …} if the SDK itself cannot do it (the
limit is demonstrated first), {"row": …, "failed": …} otherwise.
"""
import http.server
import json
import pathlib
import queue
import sys
import threading
import time
import traceback
import urllib.error
import urllib.request

WAIT_S = 15
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Limit(Exception):
    """What the SDK cannot do; the cell is not green."""


class Task:
    """The sandbox, the merchant's files, and the numbers of this column."""

    def __init__(self, given):
        self.mode = given["mode"]
        self.url = given["url"]
        self.home = pathlib.Path(given["dir"])
        self.merchant = json.loads((self.home / "merchant" / "merchant.json").read_text())
        self.shop = given["shop"]
        self._prefix = given["prefix"]

    def number(self, name):
        """A number that no other column has."""
        return f"{self._prefix}{name}"

    def merchant_file(self, name):
        return (self.home / "merchant" / name).read_text()

    def platform_file(self, name):
        """What only the provider knows: with it a counterpart plays the provider."""
        return (self.home / "platform" / name).read_text()

    def control(self, method, path, body=None):
        """The sandbox's control API."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        status, text = send(method, f"{self.url}/control{path}", data, headers)
        assert status == 200, f"control {path}: {status} {text}"
        return json.loads(text)

    def pay(self, number):
        self.control("POST", f"/trades/{number}/pay", {})

    def fault(self, **fault):
        self.control("POST", "/faults", {"count": 1, **fault})

    def today(self):
        """As bills count days."""
        return self.control("GET", "/state")["ledger_time"][:10]


def send(method, url, data=None, headers=None):
    """Any request, without an SDK; the status and the text."""
    request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
    try:
        with _direct.open(request, timeout=WAIT_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode()


def until(what, look):
    """Looks until there is something."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        seen = look()
        if seen:
            return seen
        time.sleep(0.02)
    raise AssertionError(f"never seen: {what}")


class Endpoint:
    """Where the sandbox's notifications arrive; `believe(headers, body)` is the SDK's and decides the answer.

    A notification may come more than once: what was told under the same `identity(told)` before is taken and dropped.
    """

    def __init__(self, believe, identity, success):
        self.arrived = queue.Queue()
        self._known, self._lock = set(), threading.Lock()
        endpoint, (status, text) = self, success

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                try:
                    told = believe(dict(self.headers.items()), body)
                except Exception:  # as a merchant's endpoint would: what cannot be read is not believed
                    traceback.print_exc()
                    told = None
                if told is None or endpoint.is_new(identity(told)):
                    endpoint.arrived.put(told)
                self.send_response(status if told else 401)
                self.send_header("Content-Length", str(len(text) if told else 0))
                self.end_headers()
                self.wfile.write(text.encode() if told else b"")

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{server.server_address[1]}/notify"

    def is_new(self, identity):
        with self._lock:
            is_new = identity not in self._known
            self._known.add(identity)
            return is_new

    def next(self):
        """What the next delivery told; `None` if it was not believed."""
        return self.arrived.get(timeout=WAIT_S)


_cells = []


def cell(function):
    """A cell of the matrix: the row is the function's name, the result what was seen."""
    _cells.append(function)
    return function


def run():
    """Every cell in the order in which they were written."""
    for function in _cells:
        line = {"row": function.__name__}
        try:
            line["seen"] = function()
        except Limit as limit:
            line["limit"] = str(limit)
        except Exception as error:
            traceback.print_exc()
            line["failed"] = f"{type(error).__name__}: {error}"
        print(json.dumps(line), flush=True)


TASK = Task(json.load(sys.stdin))
