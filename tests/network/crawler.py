"""A crawler of the network: prints whom it is asked to crawl."""

import http.server
import json


class Crawler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({"version": "1"})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        print(self.path, asked["hostname"], flush=True)
        self.answer({})

    def answer(self, body):
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Crawler).serve_forever()
