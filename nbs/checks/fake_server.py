"""An image API on this machine, for pages and checks: real bytes over loopback, a bill of its own, all faults on demand

Pages read it with `runpy.run_path`; it is no part of the package.
"""
import base64, hashlib, io, json, os, random, re, signal, struct, subprocess, sys, threading, time, warnings, zlib
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from PIL import Image

KEY = "sk-" + "t0psecret" * 4
RATES = dict(text=5, image=8, output=30) # millionths of a dollar for a token
PASSING = ["429", "429, wait", "429, reset", "500", "503", "hang", "cut", "wrong JSON", "not a picture", "huge", "slow"]

def png(image):
    "Bytes of a PNG file"
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()

def bomb():
    "A PNG of 50 bytes that says it has 400 million pixels"
    def chunk(kind, data): 
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", 20000, 20000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")

def pngs_in(body): return re.findall(rb"\x89PNG.*?IEND\xaeB`\x82", body, re.S)

def fields_in(body): 
    "The parameters of a multipart request"
    return {k.decode(): v.decode() for k, v in re.findall(rb'name="(\w+)"\r\n\r\n([^\r]*)', body)}


class Answering(BaseHTTPRequestHandler):
    "How one answer is written"
    protocol_version, disable_nagle_algorithm, wbufsize = "HTTP/1.1", True, -1
    def log_message(self, *args): pass

    def send(self, status, body, kind="application/json", cut=False, **headers):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        headers |= dict(content_type=kind, content_length=len(body), x_request_id=self.number)
        for k, v in headers.items(): self.send_header(k.replace("_", "-"), str(v))
        self.end_headers()
        self.wfile.write(body[:len(body)//2] if cut else body)
        self.wfile.flush()
        self.close_connection = self.close_connection or cut

    def error(self, status, message, code=None, type="invalid_request_error", **headers):
        self.send(status, dict(error=dict(message=message, type=type, param=None, code=code)), **headers)

    def limited(self, **headers): self.error(429, "Rate limit reached", "rate_limit_exceeded", **headers)

    def refuse(self, kind):
        "Answer with the fault of that name; False: it is not one that is answered with an error"
        s = self.server
        quota, safety = "insufficient_quota", "image_generation_user_error"
        elsewhere = s.url.replace(str(s.server_port), "9") + "/elsewhere"
        faults = {
            "401": lambda: self.error(401, f"Incorrect API key provided: {s.key}", "invalid_api_key"),
            "quota": lambda: self.error(429, "You exceeded your current quota", quota, quota),
            "moderation": lambda: self.error(400, "Your request was rejected by the safety system.",
                                             "moderation_blocked", safety),
            "redirect": lambda: self.error(307, "Moved", location=elsewhere),
            "bad": lambda: self.error(400, "Invalid value: 'gorgeous'. Supported values are: 'low', 'medium'",
                                      "invalid_value"),
            "429": lambda: self.limited(),
            "429, wait": lambda: self.limited(retry_after_ms=100),
            "429, a minute": lambda: self.limited(retry_after=60),
            "429, reset": lambda: self.limited(x_ratelimit_remaining_requests=0, x_ratelimit_reset_requests="100ms"),
            "500": lambda: self.error(500, "The server had an error", type="server_error"),
            "503": lambda: self.error(503, "The server had an error", type="server_error"),
        }
        if kind not in faults: return False
        faults[kind]()
        return True

    def do_GET(self):
        s, key, self.number = self.server, self.headers.get("authorization"), "req_model"
        s.paths.append((self.path, key))
        if self.path.startswith("/pictures/"): self.give_picture(s.pictures.get(self.path, 404))
        elif not s.has_models: self.error(404, "Not Found")
        elif key != f"Bearer {s.key}": self.error(401, f"Incorrect API key provided: {key}", "invalid_api_key")
        elif not self.path.endswith(f"/models/{s.model}"): self.error(404, "No such model", "model_not_found")
        else: self.send(200, dict(id=s.model, object="model", owned_by="page", shutdown_date=s.shutdown_date))


    def give_picture(self, there):
        "Its bytes; or a status; or where else it is, a string"
        if isinstance(there, list): there = there.pop(0) if len(there) > 1 else there[0] # one after the other
        if isinstance(there, bytes): self.send(200, there, "image/png")
        elif isinstance(there, int): self.error(there, "AuthenticationFailed" if there == 403 else "Not there")
        else: self.send(302, b"", location=there)


class Handler(Answering):
    "What is answered"
    def do_POST(self):
        s = self.server
        body = self.rfile.read(int(self.headers["content-length"]))
        with s.lock:
            s.count += 1
            self.number, kind, flying = f"req_{s.count}", s.plan(s.count), s.flying
            flying.add(self)
            s.times.append(time.monotonic())
            s.kinds[kind] += 1
            s.last = body
            s.paths.append((self.path, self.headers.get("authorization")))
        try: self.answer(kind, body)
        except OSError: pass # the client is gone
        finally: flying.discard(self)

    def answer(self, kind, body):
        s, me = self.server, self.headers.get("x-client-request-id")
        if self.headers.get("authorization") != f"Bearer {s.key}": kind = "401"
        if self.refuse(kind): return
        if kind in s.bodies: return self.send(200, s.bodies[kind])
        if kind == "endless": self.go_on_for_ever()
        time.sleep(s.latency * (5 if kind == "slow" else 1))
        self.wait_at_the_gate()
        n = int(hashlib.sha256(body[-200:] + self.number.encode()).hexdigest(), 16)
        usage = dict(text=20, image=0 if "generations" in self.path else 60 + n % 7, output=180 + n % 31)
        with s.lock: s.bill[me] = sum(RATES[k] * v for k, v in usage.items())
        if kind == "hang": time.sleep(s.hang)
        pictures = self.picture(kind, body, n)
        out = dict(created=1, data=[self.item(picture) for picture in (pictures if isinstance(pictures, list) else [pictures])])
        if s.usage: 
            details = dict(text_tokens=usage["text"], image_tokens=usage["image"])
            out["usage"] = dict(input_tokens=sum(details.values()), output_tokens=usage["output"],
                                total_tokens=sum(usage.values()), input_tokens_details=details)
        self.send(200, b'{"data": [{"b64_' if kind == "wrong JSON" else out, cut=kind == "cut")

    def go_on_for_ever(self):
        self.send_response(500)
        self.send_header("content-length", str(10**12))
        self.end_headers()
        while True:
            self.wfile.write(b"x" * 1000)
            self.wfile.flush()
            time.sleep(.02)

    def wait_at_the_gate(self):
        s = self.server
        if s.gate.is_set(): return
        s.held.add(self)
        s.gate.wait()
        s.held.discard(self)

    def picture(self, kind, body, n):
        "The reference picture turned and in another light, or soft spots where there is none; or what `draw` makes of it"
        if kind == "not a picture": return b"<html>busy</html>"
        if kind == "huge": return bomb()
        sent = pngs_in(body)
        if sent: image = Image.open(io.BytesIO(sent[0])).convert("RGB")
        else: image = Image.frombytes("RGB", (8, 8), random.Random(n).randbytes(192)).resize((64, 64), Image.BICUBIC)
        if self.server.draw: return self.server.draw(image, n)
        draw = random.Random(n)
        turned = image.rotate(draw.uniform(10, 30) * draw.choice([-1, 1]), Image.BICUBIC, fillcolor=image.getpixel((0, 0)))
        light = [draw.uniform(.5, 1) for _ in "rgb"]
        return png(Image.merge("RGB", [Image.eval(band, lambda v: v * l) for band, l in zip(turned.split(), light)]))

    def item(self, picture):
        s = self.server
        if s.item_of: return s.item_of(picture)
        if not s.urls: return dict(b64_json=base64.b64encode(picture).decode())
        path = f"/pictures/{self.number}.png"
        s.pictures[path] = picture
        return dict(url=s.urls.format(path))


class Server(ThreadingHTTPServer):
    """The server, at `url`. `todo`: faults of the next requests; `plan`: a function from a request's number to its fault.
    `bodies`: what is sent with status 200 in place of an answer, by fault. `draw`: what makes an answer's file of the picture that was sent, and a
    number; or a list of files. `item_of`: how a file is written into the answer.
    `bill`: millionths of a dollar, by id of the request. `kinds`: how many there were of each fault.
    `gate`: while it is cleared, answers are held back; `held` are the requests that wait for it."""
    daemon_threads, request_queue_size = True, 128
    def __init__(self, **options):
        super().__init__(("127.0.0.1", 0), Handler)
        self.model, self.key, self.latency, self.hang, self.shutdown_date = "gpt-image-page", KEY, 0, 3, None
        self.has_models, self.usage, self.urls = True, True, None
        self.bodies, self.draw, self.item_of = {}, None, None
        self.lock, self.gate, self.held, self.todo = threading.Lock(), threading.Event(), set(), []
        self.gate.set()
        self.__dict__.update(options)
        self.forget()
        threading.Thread(target=self.serve_forever, kwargs=dict(poll_interval=.05), daemon=True).start()

    def handle_error(self, request, client): pass

    def forget(self): 
        self.count, self.flying, self.bill, self.kinds, self.paths = 0, set(), {}, Counter(), []
        self.pictures, self.last, self.times = {}, b"", []

    def plan(self, count): return self.todo.pop(0) if self.todo else "ok"

    @property
    def url(self): return f"http://127.0.0.1:{self.server_port}/v1"

    @property
    def host(self): return f"127.0.0.1:{self.server_port}"

    def settled(self):
        "Wait until no request is being answered"
        while self.flying: time.sleep(.01)

    def close(self):
        self.shutdown()
        self.server_close()


def faulty(share, kinds, seed=0):
    "A plan by which that share of all requests meets a fault"
    draw = random.Random(seed)
    return lambda count: draw.choice(kinds) if draw.random() < share else "ok"

def quietly(call):
    "(what it gives, what it warned of)"
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        return call(), [str(w.message) for w in said if w.category is UserWarning]


# the program of another process: it augments a saved set, and prints what stopped it and what it warned of
CLIENT = '''
import json, sys, warnings
from synthnb.data import ImageSet
from synthnb.generate import augment
from synthnb.openai_images import OpenAIImages
if __name__ == "__main__":
    folder, out, options, n = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), int(sys.argv[4])
    generator = OpenAIImages(**options)
    generator.backoff = .02
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        try: augment(ImageSet.open(folder), generator, n=n, out=out, progress=False)
        except Exception as e: print(json.dumps(["stopped", f"{type(e).__name__}: {e}"]))
    for w in said: print(json.dumps(["warned", str(w.message)]))
'''

def client(folder, out, options, n):
    "Start it in a process of its own; the key is in its environment only"
    import synthnb
    here = str(Path(synthnb.__file__).parents[1])
    env = dict(os.environ, PYTHONPATH=here, OPENAI_API_KEY=KEY, TF_CPP_MIN_LOG_LEVEL="3")
    command = [sys.executable, "-c", CLIENT, folder, out, json.dumps(options), str(n)]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

def kill_after(server, process, answers):
    "Kill it once the server has sent so many more answers, while it waits for others"
    goal = len(server.bill) + answers
    def plan(count):
        if len(server.bill) >= goal: server.gate.clear()
        return "ok"
    server.plan = plan
    while process.poll() is None and len(server.held) < 3: time.sleep(.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    del server.plan
    server.gate.set()
    server.settled()
    assert process.returncode == -signal.SIGKILL, process.returncode
