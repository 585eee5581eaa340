"""The Python SDK: python_client.py URL TOKEN"""

import asyncio
import json
import sys

from mcp import Client
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client


async def main(url: str, token: str) -> None:
    async with create_mcp_http_client(headers={"Authorization": f"Bearer {token}"}) as http:
        async with Client(streamable_http_client(url, http_client=http)) as client:
            tools = await client.list_tools()
            result = await client.call_tool("greet", {"name": "python"})
            print(json.dumps({"tools": [t.name for t in tools.tools], "result": result.structured_content}))


asyncio.run(main(*sys.argv[1:]))
