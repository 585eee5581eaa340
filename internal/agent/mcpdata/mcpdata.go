// Package mcpdata makes plain, bounded data of what MCP servers say: tools, schemas, results, documents. A server may be
// hostile: nothing here runs longer or grows larger than it should, and nothing decides anything.
package mcpdata

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Plain returns text without what steers a screen or cannot be seen, so that people see what a model is told. It holds
// most bytes at most; an ellipsis stands for the rest.
func Plain(text string, most int) string {
	return Cut(strings.Map(visible, strings.ToValidUTF8(text, "\uFFFD")), most)
}

// Line is Plain in one line.
func Line(text string, most int) string {
	return Cut(strings.Join(strings.Fields(strings.Map(visible, strings.ToValidUTF8(text, "\uFFFD"))), " "), most)
}

// visible maps what cannot be seen to nothing. The joiners that scripts and emoji need stay.
//
// https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing
func visible(r rune) rune {
	const zeroWidthNonJoiner, zeroWidthJoiner = '\u200c', '\u200d'
	switch {
	case r == '\n', r == '\t', r == zeroWidthNonJoiner, r == zeroWidthJoiner:
		return r
	case r == '\u2028', r == '\u2029':
		return '\n'
	case unicode.Is(unicode.Cc, r), unicode.Is(unicode.Cf, r), r >= 0xe0100 && r <= 0xe01ef:
		return -1
	default:
		return r
	}
}

// Cut shortens text at a character's boundary.
func Cut(text string, most int) string {
	const ellipsis = "…"
	if len(text) <= most {
		return text
	}
	end := max(0, most-len(ellipsis))
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + ellipsis
}

// Title is what a tool calls itself towards people; "" for nothing beside its name.
func Title(tool *mcp.Tool) string {
	if tool.Title == "" && tool.Annotations != nil {
		return tool.Annotations.Title
	}
	return tool.Title
}

// Definition is the hash of all that models and people are told of a tool, and of the host that it is at.
func Definition(host string, tool *mcp.Tool) (string, error) {
	told, err := json.Marshal([]any{host, tool.Name, Title(tool), tool.Description, tool.InputSchema, tool.OutputSchema})
	if err != nil {
		return "", fmt.Errorf("the tool's definition cannot be read: %w", err)
	}
	sum := sha256.Sum256(told)
	return hex.EncodeToString(sum[:]), nil
}

// Words puts all content of a result into words, most bytes at most. Cut says how many were left out.
func Words(result *mcp.CallToolResult, most int) (text string, cut int) {
	var parts []string
	for _, content := range result.Content {
		parts = append(parts, words(content))
	}
	whole := Plain(strings.Join(parts, "\n"), 1<<30)
	short := Cut(whole, most)
	return short, len(whole) - len(short)
}

func words(content mcp.Content) string {
	switch c := content.(type) {
	case *mcp.TextContent:
		return c.Text
	case *mcp.ImageContent:
		return fmt.Sprintf("[an image, %s, %d bytes]", Line(c.MIMEType, 100), len(c.Data))
	case *mcp.AudioContent:
		return fmt.Sprintf("[a recording, %s, %d bytes]", Line(c.MIMEType, 100), len(c.Data))
	case *mcp.ResourceLink:
		return fmt.Sprintf("[a link: %s, %s] %s", c.Name, c.URI, c.Description)
	case *mcp.EmbeddedResource:
		switch {
		case c.Resource == nil:
			return "[a resource]"
		case c.Resource.Text != "":
			return c.Resource.Text
		default:
			return fmt.Sprintf("[a resource: %s, %s, %d bytes]", c.Resource.URI, Line(c.Resource.MIMEType, 100), len(c.Resource.Blob))
		}
	default:
		return "[content of an unknown kind]"
	}
}
