// Package models holds the agent's model client (internal/agent/openai) against the protocol's own: OpenAI's clients for
// Python and JavaScript as the referees of what it sends and understands, and servers that people run themselves, with a
// model whose text is known beforehand.
package models
