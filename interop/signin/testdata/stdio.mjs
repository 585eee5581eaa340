// A client on the TypeScript SDK that cannot sign in to Entra: it starts "onbehalf stdio" as a local server.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';

const [command, ...args] = process.argv.slice(2);
const client = new Client({ name: 'typescript', version: '1' });
await client.connect(new StdioClientTransport({ command, args, env: process.env }));
const { tools } = await client.listTools();
console.log('tools: ' + tools.map((tool) => tool.name).join(' '));
const answers = await Promise.all([1, 2, 3, 4].map(() => client.callTool({ name: 'whoami', arguments: {} })));
console.log('called: ' + answers.map((answer) => answer.content[0].text).join(' '));
await client.close();
