// Package mcp holds the tests of our MCP server against what other people wrote: the protocol's official conformance
// suite (build tag conformance, make conformance), MCP Inspector and the TypeScript SDK's clients (build tag interop,
// make interop). They install what they need from npm.
package mcp
