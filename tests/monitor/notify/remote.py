# SPDX-License-Identifier: GPL-2.0-or-later
"""An HTTP server that prints what it gets, for a namespace: python -m tests.monitor.notify.remote PORT"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.send_response(204)
        self.end_headers()
        print(json.dumps({"peer": self.client_address[0], "message": json.loads(body)}), flush=True)

    def log_message(self, format: str, *args: Any) -> None:
        pass


if __name__ == "__main__":
    server = HTTPServer(("", int(sys.argv[1])), Handler)
    print("ready", flush=True)
    server.serve_forever()
