package client

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/internal/cli/shell"
)

// toolError is a tool's own refusal: what it says is shown, the exit code is 1.
type toolError struct{ text string }

// Error is the tool's text, made harmless for a terminal.
func (e *toolError) Error() string { return "the tool says: " + e.text }

// print shows a result, and returns an error where the tool says that it failed.
func (o *callOptions) print(result *mcp.CallToolResult) error {
	if o.save != "" {
		if err := o.saveFiles(result); err != nil {
			return err
		}
	}
	if o.output == "json" {
		if err := shell.WriteJSON(o.sh.Out, result); err != nil {
			return err
		}
		if result.IsError {
			return &toolError{textOf(result)}
		}
		return nil
	}
	if result.IsError {
		return &toolError{textOf(result)}
	}
	if o.output != "text" {
		if headings, rows, ok := tabular(result.StructuredContent); ok {
			o.tty.list(headings, rows)
			return nil
		}
		if o.output == "table" {
			return errors.New("the result is not a list: try --output text")
		}
		if headings, row, ok := record(result); ok && o.tty.fancy {
			newGrid(headings, [][]string{row}).printRecords(o.sh.Out, o.tty.bold)
			return nil
		}
	}
	for _, content := range result.Content {
		o.printContent(content)
	}
	if len(result.Content) == 0 && result.StructuredContent != nil {
		return shell.WriteJSON(o.sh.Out, result.StructuredContent)
	}
	return nil
}

func textOf(result *mcp.CallToolResult) string {
	var texts []string
	for _, content := range result.Content {
		if text, ok := content.(*mcp.TextContent); ok {
			texts = append(texts, printable(text.Text))
		}
	}
	if len(texts) == 0 {
		return "it failed, without a reason"
	}
	return strings.Join(texts, "\n")
}

func (o *callOptions) printContent(content mcp.Content) {
	out := o.sh.Out
	switch c := content.(type) {
	case *mcp.TextContent:
		fmt.Fprintln(out, printable(c.Text))
	case *mcp.ImageContent:
		if picture := o.tty.picture(c.Data); picture != "" && strings.HasPrefix(c.MIMEType, "image/") {
			fmt.Fprintln(out, picture)
			return
		}
		fmt.Fprintf(out, "[%s, %d bytes; --save FOLDER writes it]\n", printable(c.MIMEType), len(c.Data))
	case *mcp.AudioContent:
		fmt.Fprintf(out, "[%s, %d bytes; --save FOLDER writes it]\n", printable(c.MIMEType), len(c.Data))
	case *mcp.ResourceLink:
		fmt.Fprintln(out, o.tty.link(c.Name, c.URI))
	case *mcp.EmbeddedResource:
		if c.Resource != nil && c.Resource.Text != "" {
			fmt.Fprintln(out, printable(c.Resource.Text))
		} else if c.Resource != nil {
			fmt.Fprintf(out, "[%s, %d bytes; --save FOLDER writes it]\n", printable(c.Resource.URI), len(c.Resource.Blob))
		}
	}
}

// saveFiles writes what is not text into the folder. Names are our own: a server does not choose where we write.
func (o *callOptions) saveFiles(result *mcp.CallToolResult) error {
	for i, content := range result.Content {
		var data []byte
		var kind string
		switch c := content.(type) {
		case *mcp.ImageContent:
			data, kind = c.Data, c.MIMEType
		case *mcp.AudioContent:
			data, kind = c.Data, c.MIMEType
		case *mcp.EmbeddedResource:
			if c.Resource != nil {
				data, kind = c.Resource.Blob, c.Resource.MIMEType
			}
		}
		if len(data) == 0 {
			continue
		}
		extension := ".bin"
		if known, err := mime.ExtensionsByType(kind); err == nil && len(known) > 0 {
			extension = slices.Min(known)
		}
		path := filepath.Join(o.save, fmt.Sprintf("result-%d%s", i+1, extension))
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return fmt.Errorf("save: %w", err)
		}
		_, err = file.Write(data)
		if err = errors.Join(err, file.Close()); err != nil {
			return fmt.Errorf("save: %w", err)
		}
		fmt.Fprintln(o.sh.Err, "saved "+path)
	}
	return nil
}

// tabular finds the one list of objects in a structured result.
func tabular(structured any) (headings []string, rows [][]string, ok bool) {
	list, isList := structured.([]any)
	if object, isObject := structured.(map[string]any); isObject {
		for _, value := range object {
			if found, is := value.([]any); is && len(found) > 0 {
				if isList {
					return nil, nil, false // several lists
				}
				list, isList = found, true
			}
		}
	}
	if !isList || len(list) == 0 {
		return nil, nil, false
	}
	for _, element := range list {
		object, isObject := element.(map[string]any)
		if !isObject {
			return nil, nil, false
		}
		for name := range object {
			if !slices.Contains(headings, name) {
				headings = append(headings, name)
			}
		}
	}
	slices.SortFunc(headings, byHeading)
	for _, element := range list {
		object, _ := element.(map[string]any)
		row := make([]string, len(headings))
		for i, name := range headings {
			row[i] = cell(object[name])
		}
		rows = append(rows, row)
	}
	return headings, rows, true
}

// record finds a result that is one object and whose text is nothing but that object's JSON.
func record(result *mcp.CallToolResult) (headings, row []string, ok bool) {
	object, isObject := result.StructuredContent.(map[string]any)
	if !isObject || len(object) == 0 || len(result.Content) > 1 {
		return nil, nil, false
	}
	if text := textOf(result); text != "" && !json.Valid([]byte(text)) {
		return nil, nil, false
	}
	headings = slices.SortedFunc(maps.Keys(object), byHeading)
	for _, name := range headings {
		row = append(row, cell(object[name]))
	}
	return headings, row, true
}

// byHeading sorts by name, what says which row it is first.
func byHeading(a, b string) int {
	if order := boolOrder(first(a), first(b)); order != 0 {
		return order
	}
	return strings.Compare(a, b)
}

// first reports columns that say what a row is.
func first(name string) bool { return slices.Contains([]string{"id", "name", "title"}, name) }

func cell(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case float64, bool, json.Number:
		return fmt.Sprint(v)
	default:
		text, err := json.Marshal(v)
		if err != nil {
			return "…"
		}
		return string(text)
	}
}

// link is a hyperlink where the terminal knows them (OSC 8), else name and address.
func (t *terminal) link(name, address string) string {
	name, address = printable(name), printable(address)
	if t.colour && strings.HasPrefix(address, "https://") {
		return "\x1b]8;;" + address + "\x1b\\" + name + "\x1b]8;;\x1b\\"
	}
	return name + " <" + address + ">"
}

// picture is an image for the terminals that show them inline, "" for the others.
func (t *terminal) picture(data []byte) string {
	if !t.fancy || len(data) > 2<<20 {
		return ""
	}
	switch t.program {
	case "iTerm.app", "WezTerm":
		return "\x1b]1337;File=inline=1;preserveAspectRatio=1:" + base64.StdEncoding.EncodeToString(data) + "\a"
	case "kitty", "ghostty":
		return kittyPicture(data)
	}
	return ""
}

// kittyPicture speaks kitty's graphics protocol, for PNG alone, in chunks of 4096 bytes.
func kittyPicture(data []byte) string {
	if !strings.HasPrefix(string(data), "\x89PNG") {
		return ""
	}
	encoded, control := base64.StdEncoding.EncodeToString(data), "a=T,f=100,"
	var text strings.Builder
	for len(encoded) > 0 {
		chunk := encoded[:min(4096, len(encoded))]
		encoded = encoded[len(chunk):]
		more := 0
		if len(encoded) > 0 {
			more = 1
		}
		fmt.Fprintf(&text, "\x1b_G%sm=%d;%s\x1b\\", control, more, chunk)
		control = ""
	}
	return text.String()
}
