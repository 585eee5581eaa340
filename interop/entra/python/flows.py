"""MSAL for Python through every flow, against the Entra that the environment names.

It speaks with the test in lines of JSON: what a person has to do ("open" an address, "approve" a device code), which
"policy" is to hold (a line comes back once it does), and what came of it.
"""

import base64
import http.server
import json
import os
import sys
import threading
import urllib.parse

import msal

env = json.loads(os.environ["FLOWS"])
GRAPH = "https://graph.microsoft.com/.default"
SEARCH = "https://search.azure.com/.default"
EXECUTE = f"api://{env['api']}/execute"
COMMON = {"authority": env["authority"], "instance_discovery": False, "verify": env["ca"]}


def say(**line):
    print(json.dumps(line), flush=True)


def policy(name):
    say(policy=name)
    sys.stdin.readline()


def claims_of(result):
    if "access_token" not in result:
        raise RuntimeError(f"{result.get('error')}: {result.get('error_description')}")
    part = result["access_token"].split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def flow(name, run):
    try:
        say(done=name, claims=run())
    except Exception as e:  # the test decides
        say(done=name, error=f"{type(e).__name__}: {e}", claims=None)


class Callback:
    """A web server of the application's own, which waits for the person to come back by form_post."""

    def __init__(self):
        self.arrived = threading.Event()
        self.form = {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                outer.form = dict(urllib.parse.parse_qsl(body))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"You may close this window.")
                outer.arrived.set()

            def log_message(self, *_):
                pass

        self.server = http.server.HTTPServer(("localhost", 0), Handler)
        self.uri = f"http://localhost:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait(self):
        if not self.arrived.wait(30):
            raise RuntimeError("nobody came back")
        self.server.shutdown()
        return self.form


public = msal.PublicClientApplication(env["webClient"], **COMMON)
person = {}


def device():
    started = public.initiate_device_flow(scopes=[EXECUTE])
    if "user_code" not in started:
        raise RuntimeError(started)
    say(approve=started["user_code"], **{"as": "alice"})
    started["interval"] = 1
    return public.acquire_token_by_device_flow(started)


def device_code():
    person.update(device())
    return claims_of(person)


def silent():
    account = public.get_accounts()[0]
    cached = public.acquire_token_silent_with_error([EXECUTE], account)
    fresh = public.acquire_token_silent_with_error([EXECUTE], account, force_refresh=True)
    if cached["token_source"] != "cache" or fresh["token_source"] != "identity_provider":
        raise RuntimeError(f"{cached['token_source']}, {fresh['token_source']}")
    return claims_of(fresh)


def by_form_post(**more):
    back = Callback()
    started = public.initiate_auth_code_flow([EXECUTE], redirect_uri=back.uri, response_mode="form_post", **more)
    say(open=started["auth_uri"], **{"as": "alice"})
    return public.acquire_token_by_auth_code_flow(started, back.wait())


with open(env["key"], encoding="utf-8") as f:
    key = f.read()
apps = {
    "secret": msal.ConfidentialClientApplication(env["api"], client_credential=env["secret"], **COMMON),
    "certificate": msal.ConfidentialClientApplication(
        env["api"], client_credential={"private_key": key, "thumbprint": env["thumbprint"]}, **COMMON
    ),
}


def claims_challenge():
    policy("mfa")
    refused = apps["secret"].acquire_token_on_behalf_of(person["access_token"], [SEARCH])
    if not refused.get("claims"):
        raise RuntimeError(f"no claims came with the refusal: {refused}")
    again = by_form_post(claims_challenge=refused["claims"])  # device code sends claims too late, with the first poll
    return claims_of(apps["secret"].acquire_token_on_behalf_of(again["access_token"], [SEARCH]))


flow("device code", device_code)
flow("silent", silent)
flow("silent for another resource", lambda: claims_of(public.acquire_token_silent_with_error(["https://graph.microsoft.com/User.Read"], public.get_accounts()[0])))
flow("code by form_post", lambda: claims_of(by_form_post()))
for credential, app in apps.items():
    flow("on behalf of, " + credential, lambda a=app: claims_of(a.acquire_token_on_behalf_of(person["access_token"], [SEARCH])))
    flow("client credentials, " + credential, lambda a=app: claims_of(a.acquire_token_for_client([GRAPH])))
flow("claims challenge", claims_challenge)
policy("")
say(end=True)
