// The TypeScript SDK v2: node v2.mjs URL TOKEN auto|legacy
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const [url, token, mode] = process.argv.slice(2);
const client = new Client({ name: "interop", version: "1" }, { versionNegotiation: { mode } });
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { Authorization: `Bearer ${token}` } } }));
const { tools } = await client.listTools();
const result = await client.callTool({ name: "greet", arguments: { name: mode } });
console.log(JSON.stringify({ tools: tools.map((t) => t.name), result: result.structuredContent, version: client.getNegotiatedProtocolVersion?.() }));
await client.close();
