"""A FastMCP client with a static bearer header."""
import asyncio
import os
import sys

from fastmcp import Client


async def main() -> None:
    async with Client(sys.argv[1], auth=os.environ["TOKEN"]) as client:
        print("tools:", " ".join(tool.name for tool in await client.list_tools()))
        result = await client.call_tool("whoami", {})
        print("called:", result.structured_content["upn"])


asyncio.run(main())
