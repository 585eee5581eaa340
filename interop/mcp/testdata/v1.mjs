// The TypeScript SDK v1: node v1.mjs URL TOKEN
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [url, token] = process.argv.slice(2);
const client = new Client({ name: "interop", version: "1" });
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { Authorization: `Bearer ${token}` } } }));
const { tools } = await client.listTools();
const result = await client.callTool({ name: "greet", arguments: { name: "v1" } });
console.log(JSON.stringify({ tools: tools.map((t) => t.name), result: result.structuredContent }));
await client.close();
