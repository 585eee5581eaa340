// Package builtin is the model where none is configured. It is no model: it searches with the person's words and quotes
// what came back, and says so. It speaks what every model of package agent speaks, so that the same rules hold for it.
package builtin

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/onbehalf/onbehalf/internal/agent"
	"github.com/onbehalf/onbehalf/internal/agent/prose"
)

// Model is the stand-in.
type Model struct{}

var _ agent.Model = Model{}

// Name implements [agent.Model].
func (Model) Name() (string, bool) { return "builtin", true }

// Heading is how each answer begins.
const Heading = "*No model is configured here: this is a search with your words, and quotes of what it found.*"

const (
	maxSearches = 4   // servers that are searched beside one another
	maxQuotes   = 6   // documents that are quoted
	maxQuote    = 400 // characters of each
)

// Stream implements [agent.Model]: first it asks for a search at each server that has one, then it quotes.
func (Model) Stream(ctx context.Context, request *agent.ModelRequest, text func(string)) (*agent.Answer, error) {
	question, results := latest(request.Messages)
	if len(results) == 0 {
		if calls := searches(request.Tools, question); len(calls) > 0 {
			return &agent.Answer{Calls: calls}, nil
		}
		results = []string{"There is no tool here that searches."}
	}
	out := &agent.Answer{}
	for _, part := range quote(results, telling(question)) {
		if ctx.Err() != nil {
			return out, ctx.Err()
		}
		out.Text += part
		text(part)
	}
	return out, nil
}

// latest returns the person's last question, and what tools have said since.
func latest(messages []agent.ModelMessage) (question string, results []string) {
	for _, m := range messages {
		switch m.Role {
		case "user":
			question, results = m.Text, nil
		case "tool":
			results = append(results, m.Text)
		}
	}
	return question, results
}

// searches makes a call of the first tool of each server that takes words to look for, and needs nothing else.
func searches(tools []agent.ModelTool, question string) []agent.ModelCall {
	var out []agent.ModelCall
	searched := map[string]bool{}
	for _, tool := range tools {
		server, _, _ := strings.Cut(tool.Name, "__")
		name, longest := wordsOf(tool.Schema)
		if name == "" || searched[server] || len(out) == maxSearches {
			continue
		}
		arguments, err := json.Marshal(map[string]string{name: words(question, longest)})
		if err != nil {
			continue
		}
		searched[server] = true
		out = append(out, agent.ModelCall{ID: fmt.Sprintf("search%d", len(out)+1), Name: tool.Name, Arguments: string(arguments)})
	}
	return out
}

// wordsOf returns the argument of a tool that takes what to look for, and how many characters it may have (0: any).
func wordsOf(schema json.RawMessage) (name string, longest int) {
	var s struct {
		Properties map[string]struct {
			Type      any
			MaxLength int
		}
		Required []string
	}
	if json.Unmarshal(schema, &s) != nil {
		return "", 0
	}
	for _, name := range []string{"query", "q", "search", "search_query", "searchText", "text", "question", "keywords"} {
		kinds, one := s.Properties[name]
		if one && isText(kinds.Type) && !slices.ContainsFunc(s.Required, func(other string) bool { return other != name }) {
			return name, kinds.MaxLength
		}
	}
	return "", 0
}

func isText(kind any) bool {
	if list, ok := kind.([]any); ok {
		return slices.Contains(list, any("string"))
	}
	return kind == "string"
}

// words makes a query of a question: the words that tell something, or all where none does. What is an operator in the
// simple syntax of search services is none in a question. A single * means everything.
//
// https://learn.microsoft.com/azure/search/query-simple-syntax
func words(question string, longest int) string {
	question = strings.TrimSpace(question)
	if question != "*" {
		question = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
			if strings.ContainsRune(`+|-"*()~\?!`, r) {
				return ' '
			}
			return r
		}, question)), " ")
		if told := telling(question); len(told) > 0 {
			question = strings.Join(told, " ")
		}
	}
	if runes := []rune(question); longest > 0 && len(runes) > longest {
		question = string(runes[:longest])
	}
	return question
}

// telling returns the words of a question that say what it is about: English ones that are in most texts do not.
func telling(question string) []string {
	var out []string
	for word := range strings.FieldsFuncSeq(question, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '\'' }) {
		switch strings.ToLower(word) {
		case "a", "about", "am", "an", "and", "any", "are", "as", "at", "be", "by", "can", "could", "did", "do", "does", "for", "from", "give", "has",
			"have", "here", "how", "i", "i'm", "in", "is", "it", "many", "may", "me", "much", "must", "my", "of", "on", "or", "our", "please",
			"say", "says", "should", "show", "so", "tell", "that", "the", "their", "there", "these", "they", "this", "to", "up", "us", "was", "we", "were",
			"what", "what's", "when", "where", "which", "who", "whom", "whose", "why", "will", "with", "would", "you", "your":
		default:
			out = append(out, word)
		}
	}
	return out
}

// passage returns the block of a document that, with its heading, holds most of the words; the first such.
func passage(d document, words []string) prose.Block {
	best, most := prose.Block{}, -1
	for _, b := range prose.Read(d.content) {
		lower, held := strings.ToLower(b.Heading+" "+strings.Join(b.Lines, " ")), 0
		for _, word := range words {
			if strings.Contains(lower, strings.ToLower(word)) {
				held++
			}
		}
		if held > most {
			best, most = b, held
		}
	}
	if best.Heading == d.title {
		best.Heading = ""
	}
	return best
}

// quote writes the answer, in parts.
func quote(results, about []string) []string {
	parts := []string{Heading + "\n\n"}
	quoted, found := map[string]bool{}, 0
	for _, result := range results {
		data, ok := agent.Unwrap(result)
		if !ok {
			parts = append(parts, result+"\n\n")
			continue
		}
		documents := read(data)
		if documents == nil && strings.HasPrefix(result, "The call failed") {
			parts = append(parts, "The search failed.\n\n", block(prose.Block{Lines: []string{data}}), "\n")
			continue
		}
		for _, d := range documents {
			if quoted[d.cite] {
				continue
			}
			quoted[d.cite] = true
			if found++; found > maxQuotes {
				continue
			}
			parts = append(parts, "**"+escape(d.title)+"** "+d.cite+"\n\n", block(passage(d, about)), "\n")
		}
	}
	switch {
	case found > maxQuotes:
		parts = append(parts, fmt.Sprintf("%d more are among the sources.\n", found-maxQuotes))
	case found == 0 && len(parts) == 1:
		parts = append(parts, "Nothing that you may see holds these words. A search for * shows the first of all that you may see.\n")
	}
	return parts
}

type document struct{ cite, title, content string }

// read finds the documents in what a tool returned: they carry the number to cite them by.
func read(data string) []document {
	var root any
	if json.Unmarshal([]byte(data), &root) != nil {
		return nil
	}
	out := []document{}
	add := func(list any) {
		items, ok := list.([]any)
		if !ok {
			return
		}
		for _, item := range items {
			object, ok := item.(map[string]any)
			if cite := text(object, "cite"); ok && cite != "" {
				out = append(out, document{
					cite, text(object, "title", "name", "subject", "filename", "heading", "id", "key"),
					text(object, "content", "text", "extract", "snippet", "summary", "description", "body"),
				})
			}
		}
	}
	add(root)
	if object, ok := root.(map[string]any); ok {
		for _, list := range object {
			add(list)
		}
	}
	return out
}

func text(object map[string]any, names ...string) string {
	for _, name := range names {
		if value, ok := object[name].(string); ok && strings.TrimSpace(value) != "" {
			return value
		}
	}
	return ""
}

// block quotes what a document says in plain words: no markup of its own has any effect.
func block(b prose.Block) string {
	var out strings.Builder
	if b.Heading != "" {
		out.WriteString("> *" + escape(shortened(b.Heading, maxQuote/4)) + "*\n")
	}
	left := maxQuote
	for _, line := range b.Lines {
		if left <= 0 {
			out.WriteString("> …\n")
			break
		}
		line = shortened(strings.Join(strings.Fields(line), " "), left)
		left -= utf8.RuneCountInString(line)
		out.WriteString("> " + escape(line) + "\n")
	}
	return out.String()
}

// shortened ends a text where a word does.
func shortened(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	short := string(runes[:most])
	if i := strings.LastIndexByte(short, ' '); i > 0 {
		short = short[:i]
	}
	return short + " …"
}

// escape takes from Markdown what it would make of plain words.
//
// https://spec.commonmark.org/0.31.2/#backslash-escapes
func escape(plain string) string {
	var out strings.Builder
	for _, r := range strings.Join(strings.Fields(plain), " ") {
		if strings.ContainsRune("\\`*_{}[]()#+-!|<>~&$", r) {
			out.WriteByte('\\')
		}
		out.WriteRune(r)
	}
	return out.String()
}
