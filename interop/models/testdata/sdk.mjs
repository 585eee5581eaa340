// OpenAI's own client as the referee: what it sends, and what it makes of streams. See sdk.py, which does the same.
import OpenAI, { APIError, AzureOpenAI } from "openai";

const version = "2024-10-21";
const config = JSON.parse(await new Response(process.stdin).text());
const { url, key } = config;
const provider = async () => key; // what getBearerTokenProvider of @azure/identity returns

const clients = {
  openai: (base) => new OpenAI({ baseURL: base + "/openai/v1/", apiKey: key, maxRetries: 0 }),
  "azure-v1-key": (base) => new OpenAI({ baseURL: base + "/openai/v1/", apiKey: key, maxRetries: 0 }),
  "azure-v1-entra": (base) => new OpenAI({ baseURL: base + "/openai/v1/", apiKey: provider, maxRetries: 0 }),
  "azure-key": (base) => new AzureOpenAI({ endpoint: base, apiVersion: version, apiKey: key, maxRetries: 0 }),
  "azure-entra": (base) => new AzureOpenAI({ endpoint: base, apiVersion: version, azureADTokenProvider: provider, maxRetries: 0 }),
};

const body = { model: "my-gpt", messages: config.messages, tools: config.tools, stream: true, stream_options: { include_usage: true } };

async function outcome(client) {
  const { choices: [choice], usage } = await client.chat.completions.stream(body).finalChatCompletion();
  return {
    text: (choice.message.content ?? "") + (choice.message.refusal ?? ""),
    calls: (choice.message.tool_calls ?? []).map((call) => [call.id, call.function.name, call.function.arguments]),
    reason: choice.finish_reason,
    in: usage?.prompt_tokens ?? 0,
    out: usage?.completion_tokens ?? 0,
  };
}

for (const [kind, make] of Object.entries(clients)) await outcome(make(`${url}/${kind}`));
const streams = {};
for (const name of config.streams) {
  try {
    streams[name] = await outcome(clients.openai(`${url}/${name}`));
  } catch (error) {
    streams[name] = { error: error.constructor.name, status: error instanceof APIError ? error.status : 0, message: String(error) };
  }
}
console.log(JSON.stringify(streams));
