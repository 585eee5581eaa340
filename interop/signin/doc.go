// Package signin holds the tests of our client against servers and clients that other people wrote: MCP servers on the
// Go SDK's, the TypeScript SDK's and FastMCP's own middleware behind the local Entra, MCP Inspector and the TypeScript
// SDK's client through "onbehalf stdio", and a FastMCP client against our server (build tag interop, make interop).
package signin
