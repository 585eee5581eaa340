"""A server that knows no Entra but Microsoft's: PyJWT verifies the token by Microsoft's metadata, MSAL for Python
exchanges it on behalf of the person, and Graph at graph.microsoft.com says who that is."""

import http.server
import json
import os
import traceback

import jwt
import msal
import requests

TENANT, API, SECRET = os.environ["TENANT_ID"], os.environ["API_CLIENT_ID"], os.environ["CLIENT_SECRET"]
AUTHORITY = f"https://login.microsoftonline.com/{TENANT}"
keys = jwt.PyJWKClient(f"{AUTHORITY}/discovery/v2.0/keys")
app = msal.ConfidentialClientApplication(API, authority=AUTHORITY, client_credential=SECRET)


def answer(token):
    claims = jwt.decode(token, keys.get_signing_key_from_jwt(token).key, algorithms=["RS256"], audience=API, issuer=f"{AUTHORITY}/v2.0")
    search = app.acquire_token_on_behalf_of(token, ["https://search.azure.com/.default"])
    v1 = jwt.decode(search["access_token"], keys.get_signing_key_from_jwt(search["access_token"]).key, algorithms=["RS256"],
                    audience="https://search.azure.com", issuer=f"https://sts.windows.net/{TENANT}/")
    graph = app.acquire_token_on_behalf_of(token, ["https://graph.microsoft.com/.default"])
    me = requests.get("https://graph.microsoft.com/v1.0/me", headers={"Authorization": "Bearer " + graph["access_token"]}, timeout=30)
    me.raise_for_status()
    return {"issuer": claims["iss"], "v1": v1["iss"], "me": me.json()["userPrincipalName"]}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            status, body = 200, answer(self.headers["Authorization"].removeprefix("Bearer "))
        except Exception:
            status, body = 500, {"error": traceback.format_exc()}
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_):
        pass


http.server.HTTPServer(("127.0.0.1", 9000), Handler).serve_forever()
