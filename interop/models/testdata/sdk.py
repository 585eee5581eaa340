"""OpenAI's own client as the referee: what it sends, and what it makes of streams.

Reads one JSON object from standard input, {"url", "key", "streams": [name…], "messages", "tools"}, and writes {name: outcome}
for the streams. What was sent the server sees.
"""

import json
import sys

import openai

KINDS = ("openai", "azure-v1-key", "azure-v1-entra", "azure-key", "azure-entra")
VERSION = "2024-10-21"
MODEL = "my-gpt"


def client(kind, url, key):
    """Returns a client of Azure OpenAI or OpenAI as the documentation of each shows it."""
    provider = lambda: key  # what azure.identity.get_bearer_token_provider returns
    match kind:
        case "openai" | "azure-v1-key":
            return openai.OpenAI(base_url=url + "/openai/v1/", api_key=key, max_retries=0)
        case "azure-v1-entra":
            return openai.OpenAI(base_url=url + "/openai/v1/", api_key=provider, max_retries=0)
        case "azure-key":
            return openai.AzureOpenAI(azure_endpoint=url, api_version=VERSION, api_key=key, max_retries=0)
        case "azure-entra":
            return openai.AzureOpenAI(azure_endpoint=url, api_version=VERSION, azure_ad_token_provider=provider, max_retries=0)


def outcome(stream):
    """Drains a stream by the client's own accumulator."""
    with stream as events:
        for _ in events:
            pass
        try:
            completion = events.get_final_completion()
        except (openai.LengthFinishReasonError, openai.ContentFilterFinishReasonError) as error:
            completion = error.completion
    choice = completion.choices[0]
    usage = completion.usage
    return {
        "text": (choice.message.content or "") + (choice.message.refusal or ""),
        "calls": [[call.id, call.function.name, call.function.arguments] for call in choice.message.tool_calls or []],
        "reason": choice.finish_reason,
        "in": usage.prompt_tokens if usage else 0,
        "out": usage.completion_tokens if usage else 0,
    }


def main():
    config = json.load(sys.stdin)
    body = {"model": MODEL, "messages": config["messages"], "tools": config["tools"], "stream_options": {"include_usage": True}}
    for kind in KINDS:
        outcome(client(kind, f"{config['url']}/{kind}", config["key"]).chat.completions.stream(**body))
    streams = {}
    for name in config["streams"]:
        try:
            streams[name] = outcome(client("openai", f"{config['url']}/{name}", config["key"]).chat.completions.stream(**body))
        except openai.APIStatusError as error:
            streams[name] = {"error": type(error).__name__, "status": error.status_code}
        except openai.APIError as error:
            streams[name] = {"error": type(error).__name__}
    json.dump(streams, sys.stdout)


if __name__ == "__main__":
    main()
