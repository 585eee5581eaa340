package refusal

import (
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A link that a server names is shown as text: it has to read as what it is.
func TestLinksThatReadOtherwise(t *testing.T) {
	for address, good := range map[string]bool{
		"https://payroll.example/approve?id=1":         true,
		"http://payroll.example:8080/":                 true,
		"https://evil.example/\u202ed/elpmaxe.llorap":  false,
		"https://\u202eelpmaxe.live/":                  false,
		"https://pаyroll.example/":                     false, // a Cyrillic letter
		"https://evil.example/\u00a0\u00a0payroll":     false,
		"https://payroll.example@evil.example/":        false,
		"javascript:alert(1)":                          false,
		"https://evil.example/\U000e0061\u200b?bank=1": false,
	} {
		result := &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{"a": &mcp.ElicitParams{Mode: "url", URL: address}}}
		if got := linkOf(result); (got == address) != good || got != "" && got != address {
			t.Errorf("%q: got %q", address, got)
		}
	}
}
