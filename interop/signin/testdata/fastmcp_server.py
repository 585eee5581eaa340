"""A protected MCP server on FastMCP's own verifier for Entra."""
import asyncio
import socket
import sys

import uvicorn
from fastmcp import FastMCP
from fastmcp.server.auth import RemoteAuthProvider
from fastmcp.server.auth.providers.azure import AzureJWTVerifier
from fastmcp.server.dependencies import get_access_token
from pydantic import AnyHttpUrl

host, tenant, api = sys.argv[1:]
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
base = f"http://127.0.0.1:{listener.getsockname()[1]}"
auth = RemoteAuthProvider(
    token_verifier=AzureJWTVerifier(client_id=api, tenant_id=tenant, required_scopes=["execute"], base_authority=host),
    authorization_servers=[AnyHttpUrl(f"https://{host}/{tenant}/v2.0")],
    base_url=base,
)
server = FastMCP("fastmcp", auth=auth)


@server.tool
def whoami() -> str:
    """Says who calls"""
    return get_access_token().claims["preferred_username"]


app = server.http_app(path="/mcp")
print(base + "/mcp", flush=True)
asyncio.run(uvicorn.Server(uvicorn.Config(app, log_level="warning")).serve(sockets=[listener]))
